"""Bytes that C takes from a transmitter are those that Python would have sent; no count tells."""

import threading
import time

import pytest
from emulated import USART1, StillChip, chip_with, finished, heard_from_reset, registers

from hil.targets.emulator.core.sending import SENT_BYTES

DEADLINE_S = 120.0
COUNT = 400
STATUS, DATA, CONTROL = 0x4001_1000, 0x4001_1004, 0x4001_100C
TXE, RXNE = 0x80, 0x20
PROGRAM = """
function start
 {usart}
 ldr r1, ={control}
 str r1, [r0, #12]
 {before}
 ldr r6, ={count}
 movs r5, #0
1: ldr r1, [r0]
 add r5, r1, r5, ror #5
 tst r1, #0x80
 beq 1b
 {store} r6, [r0, #4]
 {between}
 subs r6, #1
 bne 1b
3: ldr r1, [r0]
 tst r1, #0x40
 beq 3b
 ldr r2, [r0, #4]
 ldr r3, [r0]
 bkpt 0
 .pool
"""
EVERY_16TH = "tst r6, #15\n bne 2f\n {}\n2:"
BETWEEN = {
    "nothing": "",
    "a write to its control": EVERY_16TH.format("ldr r3, [r0, #12]\n str r3, [r0, #12]"),
    "a write to another device": EVERY_16TH.format("ldr r3, =0x40023830\n str r5, [r3]"),
    "TC cleared": EVERY_16TH.format("mvn r3, #0x40\n str r3, [r0]\n ldr r3, [r0]\n add r5, r3"),
    "its status read again": EVERY_16TH.format("ldr r3, [r0]\n ldrh r4, [r0]\n add r5, r4"),
    "a byte received": EVERY_16TH.format("ldr r3, [r0, #4]\n add r5, r3"),
    "another transmitter": EVERY_16TH.format("ldr r3, =0x40004400\n str r6, [r3, #4]"),
    "its clock off and on": EVERY_16TH.format(
        "ldr r3, =0x40023844\n ldr r1, [r3]\n movs r4, #0\n str r4, [r3]\n ldr r4, [r0]\n"
        " add r5, r4\n str r1, [r3]"
    ),
}


def outcome(source: str, data: bytes, *, takes: bool) -> tuple[tuple[object, ...], int]:
    """Return what a program comes to, with what it sent and left unread, and C's part of it."""
    chip = chip_with(source)
    heard_from_reset(chip, data)
    if not takes:
        chip.memory.bus.sending.open = lambda *_, **__: None  # type: ignore[method-assign]
    with finished(source, chip=chip):
        run, line = chip.clock.run, chip.usarts["usart1"].line
        chip.memory.bus.lent.take_back()
        found = run.cycles, run.instructions, *registers(chip, "r2", "r3", "r5", "r6")
        sent = line.receive(line.in_waiting(), 0)
        return (*found, chip.memory.accesses()[0], sent, line.take_most(99), line.take()), (
            chip.memory.bus.sending.writes
        )


@pytest.mark.parametrize("data", [b"", bytes(range(40))], ids=["silent", "heard"])
@pytest.mark.parametrize("between", BETWEEN)
def test_what_is_sent_and_counted_is_the_same(between: str, data: bytes) -> None:
    source = PROGRAM.format(
        usart=USART1, control=0x200C, before="", count=COUNT, store="str", between=BETWEEN[between]
    )
    by_c, count = outcome(source, data, takes=True)
    by_python, none = outcome(source, data, takes=False)
    assert by_c == by_python
    assert none == 0
    assert count > COUNT // 2
    assert bytes(at & 0xFF for at in range(COUNT, 0, -1)) in by_c


def test_more_than_c_holds_is_sent_in_order() -> None:
    count = 2 * SENT_BYTES + 100
    source = PROGRAM.format(
        usart=USART1, control=0x200C, before="", count=count, store="str", between=""
    )
    (*_, sent, _, _), by_c = outcome(source, b"", takes=True)
    assert sent == bytes(at & 0xFF for at in range(count, 0, -1))
    assert by_c > SENT_BYTES


def test_seven_bits_and_parity_are_seven_bits() -> None:
    source = PROGRAM.format(
        usart=USART1, control=0x240C, before="", count=COUNT, store="str", between=""
    )
    (*_, sent, _, _), by_c = outcome(source, b"", takes=True)
    assert sent == bytes(at & 0x7F for at in range(COUNT, 0, -1))
    assert by_c > COUNT // 2


@pytest.mark.parametrize(
    ("before", "store"), [("movs r1, #0x80\n str r1, [r0, #20]", "str"), ("", "strb")]
)
def test_c_takes_nothing_of_dma_or_of_narrow_stores(before: str, store: str) -> None:
    source = PROGRAM.format(
        usart=USART1, control=0x200C, before=before, count=9, store=store, between=""
    )
    (*_, sent, _, _), by_c = outcome(source, b"", takes=True)
    assert sent == bytes(range(9, 0, -1))
    assert by_c == 0


def test_c_takes_nothing_where_bytes_take_their_time() -> None:
    source = PROGRAM.format(
        usart=USART1, control=0x200C, before="", count=3, store="str", between=""
    )
    chip = chip_with(source)
    chip.usarts["usart1"].times_bytes = True
    with finished(source, chip=chip):
        assert chip.memory.bus.sending.writes == 0


def test_a_host_that_waits_is_woken_by_what_it_waits_for() -> None:
    source = """
function start
 {usart}
 ldr r1, =0x200C
 str r1, [r0, #12]
1: ldr r1, [r0]
 tst r1, #0x20
 beq 1b
 ldr r2, [r0, #4]
 ldr r6, ={count}
2: ldr r1, [r0]
 tst r1, #0x80
 beq 2b
 str r6, [r0, #4]
 subs r6, #1
 bne 2b
 b 1b
 .pool
"""
    chip = chip_with(source.format(usart=USART1, count=COUNT))
    line = chip.usarts["usart1"].line
    chip.power_on()
    try:
        for count in (1, 3, 199, 399):  # the first 180 or so pass Python, as IDLE has yet to come
            line.send(b"?")
            began = time.monotonic()
            said = line.receive(count, DEADLINE_S) + line.receive(COUNT - count, DEADLINE_S)
            assert time.monotonic() - began < DEADLINE_S, "a wait ran out"
            assert said == bytes(at & 0xFF for at in range(COUNT, 0, -1))
        assert chip.memory.bus.sending.writes > COUNT
    finally:
        chip.power_off()


def sending() -> StillChip:
    """Return a chip whose transmitter is C's, with two bytes on the line."""
    chip = StillChip()
    chip.write(0x4002_0024, 0x770)
    chip.write(0x4002_0000, 0xA828_0000)
    chip.write(0x4001_1008, 139)
    chip.write(CONTROL, 0x200C)
    chip.write(DATA, ord("a"))
    chip.write(DATA, ord("b"))
    assert chip.chip.memory.bus.sending.owner is not None
    return chip


def is_open(chip: StillChip) -> bool:
    """Whether C would take the next byte."""
    return bool(chip.chip.memory.bus.sending._c.open)


def test_what_the_host_sends_is_seen_in_the_status() -> None:
    chip = sending()
    chip.chip.usarts["usart1"].line.send(b"x")
    assert not is_open(chip)
    assert chip.read(STATUS) & (TXE | RXNE) == TXE | RXNE


def test_a_fault_on_the_line_that_comes_later_is_met_by_every_byte() -> None:
    chip = sending()
    line = chip.chip.usarts["usart1"].line
    line.leaves = lambda byte: byte ^ 0xFF
    assert not is_open(chip)
    chip.write(DATA, ord("c"))
    assert not is_open(chip)
    assert line.receive(3, 0) == b"ab" + bytes((ord("c") ^ 0xFF,))


def test_a_tap_that_comes_later_gets_every_byte() -> None:
    chip, heard = sending(), bytearray()
    line = chip.chip.usarts["usart1"].line
    line.tap = heard.extend
    assert not is_open(chip)
    chip.write(DATA, ord("c"))
    assert line.receive(3, 0) == b"ab"
    assert heard == b"c"


def test_accesses_that_are_counted_pass_python() -> None:
    chip = sending()
    chip.chip.memory.bus.observe()
    assert not is_open(chip)
    chip.write(DATA, ord("c"))
    assert not is_open(chip)


def test_what_the_host_drops_is_gone() -> None:
    source = PROGRAM.format(
        usart=USART1, control=0x200C, before="", count=COUNT, store="str", between=""
    )
    chip = chip_with(source)
    with finished(source, chip=chip):
        line = chip.usarts["usart1"].line
        assert chip.memory.bus.sending.writes
        assert line.in_waiting() == COUNT
        line.discard_received()
        assert line.in_waiting() == 0
        assert line.receive(1, 0) == b""


def test_a_reader_beside_the_core_gets_every_byte_once() -> None:
    count = 3 * SENT_BYTES
    source = PROGRAM.format(
        usart=USART1, control=0x200C, before="", count=count, store="str", between=""
    )
    chip = chip_with(source)
    line, had = chip.usarts["usart1"].line, bytearray()

    def read() -> None:
        while len(had) < count:
            had.extend(line.receive(min(7, count - len(had)), DEADLINE_S))

    host = threading.Thread(target=read)
    host.start()
    with finished(source, chip=chip):
        host.join(DEADLINE_S)
    assert bytes(had) == bytes(at & 0xFF for at in range(count, 0, -1))
