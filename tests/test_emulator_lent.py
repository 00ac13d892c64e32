"""Bytes that a receiver lends to C are read as they would be in Python, and no count tells."""

import pytest
from emulated import USART1, StillChip, chip_with, finished, heard_from_reset, registers

from hil.targets.emulator.chips.stm32.chip import Chip
from hil.targets.emulator.core.lent import LENT_BYTES

DATA = bytes((3 * at + at // 256 + 7) & 0xFF for at in range(700))
RECEIVE = """
1: ldr r1, [r0]
 tst r1, #0x20
 beq 1b
 {load} r2, [r0, #4]
 add r5, r2, r5, ror #5
 {between}
 subs r6, #1
 bne 1b
"""
PROGRAM = """
function start
 {usart}
 ldr r1, =0x200C
 str r1, [r0, #12]
 {before}
 ldr r6, ={count}
 movs r5, #0
 {receive}
 ldr r3, [r0]
 bkpt 0
 .pool
"""
EVERY_64TH = "tst r6, #63\n bne 2f\n {}\n2:"
BETWEEN = {
    "nothing": "",
    "a write to its control": EVERY_64TH.format("ldr r3, [r0, #12]\n str r3, [r0, #12]"),
    "a write to another device": EVERY_64TH.format("ldr r3, =0x40023830\n str r5, [r3]"),
    "a byte sent": EVERY_64TH.format("str r2, [r0, #4]"),
    "its interrupt's bit": EVERY_64TH.format("ldr r3, =0x202C\n str r3, [r0, #12]"),
    "its clock off and on": EVERY_64TH.format(
        "ldr r3, =0x40023844\n ldr r1, [r3]\n movs r4, #0\n str r4, [r3]\n ldr r4, [r0]\n"
        " add r5, r4\n str r1, [r3]"
    ),
}
WAIT_FOR_A_TIMER = """
 ldr r4, =0xE000E010
 ldr r1, =20000
 str r1, [r4, #4]
 str r1, [r4, #8]
 movs r1, #5
 str r1, [r4]
 ldr r2, [r0, #4]
1: ldr r2, [r0, #4]
 ldr r1, [r4]
 tst r1, #0x10000
 beq 1b
"""


def chip_for(source: str, data: bytes, *, lends: bool) -> Chip:
    """Return a chip that has bytes on its line as soon as it is out of reset."""
    chip = chip_with(source)
    heard_from_reset(chip, data)
    if not lends:
        chip.memory.bus.lent.allowed = lambda: False
    return chip


def outcome(source: str, data: bytes, *, lends: bool) -> tuple[tuple[object, ...], int]:
    """Return what a program comes to with what it left unread, and how many bytes C answered."""
    chip = chip_for(source, data, lends=lends)
    with finished(source, chip=chip):
        lent = chip.memory.bus.lent
        lent.take_back()
        line = chip.usarts["usart1"].line
        run = chip.clock.run
        found = run.cycles, run.instructions, *registers(chip, "r2", "r3", "r5", "r6")
        return (*found, line.take_most(len(data)), line.take()), lent.reads


@pytest.mark.parametrize("load", ["ldr", "ldrh", "ldrb"])
@pytest.mark.parametrize("between", BETWEEN)
def test_what_is_read_and_counted_is_the_same(load: str, between: str) -> None:
    receive = RECEIVE.format(load=load, between=BETWEEN[between])
    source = PROGRAM.format(usart=USART1, before="", count=len(DATA) - 100, receive=receive)
    lent, reads = outcome(source, DATA, lends=True)
    unlent, none = outcome(source, DATA, lends=False)
    assert lent == unlent
    assert none == 0
    assert reads > len(DATA) // 2


def test_a_loop_that_takes_bytes_is_not_passed_over() -> None:
    source = PROGRAM.format(usart=USART1, before="", count=0, receive=WAIT_FOR_A_TIMER)
    data = b"\x55" * (2 * LENT_BYTES)
    lent, reads = outcome(source, data, lends=True)
    assert (lent, 0) == outcome(source, data, lends=False)
    assert reads > 100


@pytest.mark.parametrize("setting", ["times_bytes", "dma"])
def test_nothing_is_lent_where_a_read_does_more_than_take_a_byte(setting: str) -> None:
    before = "movs r1, #0x40\n str r1, [r0, #20]" if setting == "dma" else ""
    receive = RECEIVE.format(load="ldr", between="")
    source = PROGRAM.format(usart=USART1, before=before, count=5, receive=receive)
    chip = chip_for(source, DATA, lends=True)
    chip.usarts["usart1"].times_bytes = setting == "times_bytes"
    with finished(source, chip=chip):
        assert chip.memory.bus.lent.reads == 0


def receiving() -> StillChip:
    """Return a chip whose receiver works."""
    chip = StillChip()
    chip.write(0x4002_0024, 0x770)
    chip.write(0x4002_0000, 0xA828_0000)
    chip.write(0x4001_1008, 139)
    chip.write(0x4001_100C, 0x200C)
    return chip


def standing() -> StillChip:
    """Return a chip whose receiver has lent all but the first and the last byte of DATA."""
    chip = receiving()
    chip.chip.usarts["usart1"].line.send(DATA)
    assert chip.read(0x4001_1004) == DATA[0]
    return chip


def test_what_the_host_drops_is_gone() -> None:
    chip = standing()
    chip.chip.usarts["usart1"].line.discard_sent()
    assert chip.read(0x4001_1000) & 0x20 == 0
    assert chip.read(0x4001_1004) == DATA[0]


def test_what_was_lent_comes_before_what_the_host_sends_later() -> None:
    chip = standing()
    line = chip.chip.usarts["usart1"].line
    line.send(b"end")
    chip.write(0x4001_100C, 0x200C)
    assert line.take_most(len(DATA) + 3) == (DATA + b"end")[1:-1]


def test_a_fault_on_the_line_is_met_by_every_byte() -> None:
    chip = receiving()
    line = chip.chip.usarts["usart1"].line
    line.arrives = lambda byte, _: byte ^ 0xFF
    line.send(DATA)
    assert [chip.read(0x4001_1004) for _ in range(100)] == [byte ^ 0xFF for byte in DATA[:100]]
    assert chip.chip.memory.bus.lent.reads == 0


def test_accesses_that_are_counted_pass_python() -> None:
    chip = standing()
    observed = chip.chip.memory.bus.observe()
    assert bytes(chip.read(0x4001_1004) for _ in range(9)) == DATA[1:10]
    assert observed[0x4001_1004].reads == 9
