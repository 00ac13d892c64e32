"""Peripherals of the emulated chip, by programs that use them."""

import time
from itertools import pairwise

import pytest
from emulated import (
    USART1,
    USART1_BAUD,
    USART1_CLOCKS,
    USART1_PINS,
    chip_with,
    finished,
    registers,
    running,
)

from hil.config import board
from hil.targets.emulator.chips.stm32.gates import ENABLE_TO_RESET
from hil.targets.emulator.chips.stm32f4 import rcc as f4_rcc
from hil.targets.emulator.chips.stm32f4.chip import Stm32F4
from hil.targets.emulator.chips.stm32l4 import rcc as l4_rcc
from hil.targets.emulator.chips.stm32l4.chip import Stm32L4

ECHO = f"""
function start
 {USART1}
 ldr r1, =0x200c
 str r1, [r0, #12]
1: ldr r1, [r0]
 lsls r2, r1, #26
 bpl 1b
 ldr r1, [r0, #4]
 adds r1, #1
 str r1, [r0, #4]
 b 1b
"""
INTERRUPT_ECHO = f"""
function start
 {USART1}
 ldr r1, =0x202c
 str r1, [r0, #12]
 ldr r2, =0xE000E104
 movs r1, #32
 str r1, [r2]
1: wfi
 b 1b
function irq
 ldr r0, =0x40011000
 ldr r1, [r0, #4]
 adds r1, #1
 str r1, [r0, #4]
 bx lr
"""


@pytest.mark.parametrize("program", [ECHO, INTERRUPT_ECHO], ids=["polling", "interrupts"])
def test_a_usart_echoes(program: str) -> None:
    with running(chip_with(program)) as chip:
        line = chip.usarts["usart1"].line
        line.send(bytes(range(200)))
        assert line.receive(200, 20.0) == bytes(range(1, 201))


@pytest.mark.parametrize("program", [ECHO, INTERRUPT_ECHO], ids=["polling", "interrupts"])
def test_a_core_that_waits_for_input_sleeps(program: str) -> None:
    with running(chip_with(program)) as chip:
        line = chip.usarts["usart1"].line
        line.send(b"a")
        assert line.receive(1, 20.0) == b"b"
        cpu, instructions = time.process_time(), chip.clock.run.instructions
        assert line.receive(1, 0.3) == b""
        # A core that spins would have executed tens of millions of instructions.
        assert chip.clock.run.instructions - instructions < 10_000
        assert time.process_time() - cpu < 0.2


def test_the_cycle_count_goes_on_while_the_core_waits_for_input() -> None:
    with running(chip_with(ECHO)) as chip:
        line = chip.usarts["usart1"].line
        line.send(b"a")
        line.receive(1, 20.0)
        before = chip.clock.run.cycles
        line.receive(1, 0.3)
        assert chip.clock.run.cycles - before > 0.1 * chip.rcc.core_hz


def test_a_usart_takes_its_time_when_baud_timing_is_on() -> None:
    program = f"""
    function start
     {USART1}
     ldr r1, =0x2008
     str r1, [r0, #12]
     movs r4, #10
    1: ldr r1, [r0]
     lsls r2, r1, #24
     bpl 1b
     str r4, [r0, #4]
     subs r4, #1
     bne 1b
    2: ldr r1, [r0]
     lsls r2, r1, #25
     bpl 2b
     bkpt 0
    """
    chip = chip_with(program)
    chip.usarts["usart1"].times_bytes = True
    with finished(program, chip=chip):
        assert chip.clock.run.cycles == pytest.approx(10 * 10 * 139, rel=0.02)


SEND = """
 movs r1, #65
 str r1, [r0, #4]
 ldr r4, [r0]
"""


def sender(*parts: str, control: int = 0x2008) -> str:
    """Return a program that sets up USART1 in parts and sends a byte; r4 is the status behind."""
    setting = f" ldr r0, =0x40011000\n ldr r1, ={control}\n str r1, [r0, #12]"
    return "\n".join(["function start", *parts, setting, SEND, " bkpt 0"])


def test_a_usart_sends_when_all_of_it_is_set_up() -> None:
    with finished(sender(USART1)) as chip:
        assert chip.usarts["usart1"].line.receive(1, 0.0) == b"A"
        assert registers(chip, "r4") == (0xC0,)


@pytest.mark.parametrize(
    ("program", "status"),
    [
        pytest.param(sender(USART1_PINS, USART1_BAUD), 0, id="no clock"),
        pytest.param(sender(USART1, control=0x0008), 0, id="UE clear"),
        pytest.param(sender(USART1, control=0x2004), 0, id="TE clear"),
        pytest.param(sender(USART1_CLOCKS, USART1_PINS), 0, id="no baud rate"),
        pytest.param(sender(USART1_CLOCKS, USART1_BAUD), 0xC0, id="no pin"),
        pytest.param(sender(USART1_PINS, USART1_CLOCKS, USART1_BAUD), 0xC0, id="pin unclocked"),
    ],
)
def test_a_usart_that_lacks_something_sends_nothing(program: str, status: int) -> None:
    with finished(program) as chip:
        assert chip.usarts["usart1"].line.receive(1, 0.0) == b""
        assert registers(chip, "r4") == (status,)


@pytest.mark.parametrize(
    ("setup", "control", "received"),
    [
        pytest.param(USART1, 0x2004, True, id="all"),
        pytest.param(USART1, 0x0004, False, id="UE clear"),
        pytest.param(USART1, 0x2008, False, id="RE clear"),
        pytest.param(USART1_CLOCKS + USART1_PINS, 0x2004, False, id="no baud rate"),
        pytest.param(USART1_CLOCKS + USART1_BAUD, 0x2004, False, id="no pin"),
    ],
)
def test_a_usart_receives_only_when_all_of_it_is_set_up(
    setup: str, control: int, *, received: bool
) -> None:
    chip = chip_with(sender(setup, control=control))
    with finished("", chip=chip):
        line = chip.usarts["usart1"].line
        line.send(b"x")
        status = int.from_bytes(chip.bus.read(0x4001_1000, 4), "little")
        assert bool(status & 1 << 5) == received


@pytest.mark.parametrize(
    ("register", "enable", "bit", "value"),
    [
        (0x4002_0400, 0x4002_3830, 1, 0x1234),  # GPIOB
        (0x4002_2800, 0x4002_3830, 10, 0x1234),  # GPIOK
        (0x4001_1008, 0x4002_3844, 4, 0x1234),  # USART1
        (0x4000_4408, 0x4002_3840, 17, 0x1234),  # USART2
        (0x4000_4808, 0x4002_3840, 18, 0x1234),  # USART3
        (0x4000_7000, 0x4002_3840, 28, 0x4100),  # PWR
    ],
)
def test_a_peripheral_without_its_clock_reads_as_zero_and_ignores_writes(
    register: int, enable: int, bit: int, value: int
) -> None:
    reset = enable - 0x20
    program = f"""
    function start
     ldr r0, ={register}
     ldr r1, ={value}
     ldr r2, ={enable}
     ldr r3, ={reset}
     ldr r7, =1 << {bit}
     movs r6, #0
     str r1, [r0]
     ldr r4, [r0]
     str r7, [r2]
     ldr r5, [r0]
     str r1, [r0]
     ldr r8, [r0]
     str r6, [r2]
     ldr r9, [r0]
     str r7, [r2]
     ldr r10, [r0]
     str r7, [r3]
     ldr r11, [r0]
     str r6, [r3]
     ldr r12, [r0]
     bkpt 0
    """
    with finished(program) as chip:
        off, fresh, on, off_again, kept = registers(chip, "r4", "r5", "r8", "r9", "r10")
        held, reset_again = registers(chip, "r11", "r12")
        assert (off, off_again, held) == (0, 0, 0)
        assert on == kept == value
        assert fresh == reset_again != value


CHIPS = {
    "stm32f439": (Stm32F4, f4_rcc.LAYOUT),
    "nucleo_l4r5zi": (Stm32L4, l4_rcc.LAYOUT),
}


@pytest.mark.parametrize(
    ("of", "name"), [(of, name) for of, (kind, _) in CHIPS.items() for name in kind.unmodelled]
)
def test_what_is_not_modelled_keeps_writes_only_while_it_has_its_clock(of: str, name: str) -> None:
    kind, layout = CHIPS[of]
    block = kind.unmodelled[name]
    rcc, enable = layout.address, layout.enables[block.gate.bus]
    reset, clocks, held = enable + ENABLE_TO_RESET, block.gate.enable, block.gate.reset
    first, last = block.address, block.address + block.bytes - 4
    chip = kind(board.load(of))
    bus, after_reset = chip.memory.bus, chip.memory.bus.read(rcc + enable, 4)

    def kept() -> tuple[int, int]:
        return bus.read(first, 4), bus.read(last, 4)

    def write(value: int) -> tuple[int, int]:
        bus.write(first, 4, value)
        bus.write(last, 4, value)
        return kept()

    assert write(1) == (0, 0)
    for bit in block.gate.bits:  # any of them
        bus.write(rcc + enable, 4, after_reset | 1 << bit)
        assert write(2 + bit) == (2 + bit, 2 + bit)
        bus.write(rcc + enable, 4, after_reset)
        assert write(1) == (0, 0)
    bus.write(rcc + enable, 4, after_reset | clocks)
    assert kept() == (2 + bit, 2 + bit)
    bus.write(rcc + reset, 4, held)
    assert write(1) == (0, 0)
    bus.write(rcc + reset, 4, 0)
    assert kept() == (0, 0)
    assert write(3) == (3, 3)


@pytest.mark.parametrize("of", CHIPS)
def test_no_two_peripherals_share_an_address_or_a_bit(of: str) -> None:
    kind, _ = CHIPS[of]
    modelled = [p for p in kind(board.load(of)).peripherals if p.name in kind.gates]
    of_other_boards = {*kind.gates} - {p.name for p in modelled}
    assert of_other_boards <= {"FMC"} & {*kind.unmodelled}  # modelled where a board has SDRAM
    blocks = [range(b.address, b.address + b.bytes) for b in kind.unmodelled.values()]
    blocks += [range(p.address, p.address + p.bytes) for p in modelled]
    ordered = sorted(blocks, key=lambda block: block.start)
    assert all(one.stop <= other.start for one, other in pairwise(ordered))
    of_any_adc = {"ADC"}  # what the three share
    of_modelled = [kind.gates[p.name] for p in modelled if p.name not in of_any_adc]
    gates = [*of_modelled, *(block.gate for block in kind.unmodelled.values())]
    bits = [(gate.bus, bit) for gate in gates for bit in gate.bits]
    assert len(bits) == len(set(bits))


def test_gpio_outputs_read_back_and_bsrr_sets_and_resets() -> None:
    program = """
    function start
     ldr r0, =0x40023830
     movs r1, #0x40
     str r1, [r0]
     ldr r0, =0x40021800
     ldr r1, =0x10000000
     str r1, [r0]
     ldr r1, =0x4000
     str r1, [r0, #24]
     ldr r4, [r0, #16]
     ldr r1, =0x40000000
     str r1, [r0, #24]
     ldr r5, [r0, #16]
     bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5") == (0x4000, 0)


def test_bit_band_aliases_reach_single_bits() -> None:
    program = """
    function start
     ldr r0, =0x20000104
     movs r1, #0x81
     str r1, [r0]
     ldr r2, =0x22002080
     ldr r4, [r2, #28]
     movs r1, #0
     str r1, [r2]
     movs r1, #1
     str r1, [r2, #124]
     ldr r5, [r0]
     ldr r0, =0x40023830
     movs r2, #0x10
     str r2, [r0]
     ldr r2, =0x42420280
     str r1, [r2, #56]
     ldr r0, =0x40021014
     ldr r6, [r0]
     bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5", "r6") == (1, 0x8000_0080, 1 << 14)


def test_the_cycle_counter_counts_only_while_enabled() -> None:
    program = """
    function start
     ldr r0, =0xE0001000
     movs r1, #1
     str r1, [r0]
     ldr r4, [r0, #4]
     ldr r2, =0xE000EDFC
     ldr r1, =0x01000000
     str r1, [r2]
     b 1f
    1: ldr r5, [r0, #4]
     b 2f
    2: ldr r6, [r0, #4]
     bkpt 0
    """
    with finished(program) as chip:
        off, first, second = registers(chip, "r4", "r5", "r6")
        assert off == 0
        assert first < second < 100


def test_the_chip_says_what_it_is() -> None:
    program = """
    function start
     ldr r0, =0x1FFF7A22
     ldrh r4, [r0]
     ldr r0, =0xE0042000
     ldr r5, [r0]
     bkpt 0
    """
    with finished(program, unique_id="one") as chip:
        size, idcode = registers(chip, "r4", "r5")
        assert size == 2048
        assert idcode & 0xFFF == 0x419
        one = chip.bus.read(0x1FFF_7A10, 12)
    assert one != chip_with(program, unique_id="other").bus.read(0x1FFF_7A10, 12)


def test_a_reset_request_restarts_the_program_and_says_so() -> None:
    program = """
    function start
     ldr r0, =0x40023800
     ldr r4, [r0, #116]
     lsls r1, r4, #3
     bmi 1f
     ldr r0, =0xE000ED0C
     ldr r1, =0x05FA0004
     str r1, [r0]
     b .
    1: bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r4")[0] & 1 << 28


RNG = """
function start
 ldr r0, =0x40023834
 movs r1, #64
 str r1, [r0]
 ldr r0, =0x50060800
"""


def test_random_numbers_come_and_differ() -> None:
    source = f"""{RNG}
     movs r1, #4
     str r1, [r0]
     ldr r4, [r0, #8]
    1: ldr r2, [r0, #4]
     lsls r2, r2, #31
     beq 1b
     ldr r5, [r0, #8]
     ldr r3, [r0, #4]
    2: ldr r2, [r0, #4]
     lsls r2, r2, #31
     beq 2b
     ldr r6, [r0, #8]
     bkpt
    """
    with finished(source) as chip:
        early, first, second, status = registers(chip, "r4", "r5", "r6", "r3")
        assert early == 0, "none is there at once"
        assert status == 0, "the next takes its time"
        assert first not in {0, second}
        assert second != 0


def test_a_random_number_interrupts() -> None:
    source = f"""{RNG}
     ldr r2, =0xE000E108
     ldr r1, =0x10000
     str r1, [r2]
     movs r1, #12
     str r1, [r0]
    1: wfi
     b 1b
    function irq
     ldr r4, [r0, #8]
     ldr r5, [r0, #4]
     bkpt
    """
    with finished(source) as chip:
        number, status = registers(chip, "r4", "r5")
        assert number != 0
        assert status == 0


@pytest.mark.parametrize(
    ("clock", "what"),
    [
        (1 << 23, "0x4002b000 of DMA2D, which is not modelled"),
        (0, "0x4002b000 of DMA2D, which has"),
    ],
)
def test_a_program_that_polls_what_is_not_modelled_is_told_by_name(
    clock: int, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = f"""
    function start
     ldr r0, =0x40023830
     ldr r1, ={clock}
     str r1, [r0]
     ldr r0, =0x4002B000
     ldr r3, =12000
    1: ldr r2, [r0]
     subs r3, #1
     bne 1b
     bkpt
    """
    with finished(source):
        assert [record.message for record in caplog.records if what in record.message]
        assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("name", "address", "gate", "port", "pins"),
    [
        ("uart4", 0x4000_4C00, (0x40, 19), (0x4002_0800, 2), (10, 11)),
        ("usart6", 0x4001_1400, (0x44, 5), (0x4002_0800, 2), (6, 7)),
        ("uart7", 0x4000_7800, (0x40, 30), (0x4002_1000, 4), (8, 7)),
        ("uart8", 0x4000_7C00, (0x40, 31), (0x4002_1000, 4), (1, 0)),
    ],
)
def test_the_other_uarts_carry_bytes_in_alternate_function_8(
    name: str, address: int, gate: tuple[int, int], port: tuple[int, int], pins: tuple[int, int]
) -> None:
    """STM32F439 data sheet, table 12; RM0090 sections 6.3.13 and 6.3.14."""
    modes = sum(2 << 2 * pin for pin in pins)
    functions = sum(8 << 4 * pin for pin in pins)
    program = f"""
    function start
     ldr r0, =0x40023800
     ldr r1, ={1 << port[1]}
     str r1, [r0, #0x30]
     ldr r1, ={1 << gate[1]}
     str r1, [r0, #{gate[0]}]
     ldr r0, ={port[0]}
     ldr r1, ={functions & 0xFFFF_FFFF}
     str r1, [r0, #0x20]
     ldr r1, ={functions >> 32}
     str r1, [r0, #0x24]
     ldr r1, ={modes}
     str r1, [r0]
     ldr r0, ={address}
     movs r1, #139
     str r1, [r0, #8]
     ldr r1, =0x200c
     str r1, [r0, #12]
    1: ldr r1, [r0]
     lsls r2, r1, #26
     bpl 1b
     ldr r1, [r0, #4]
     adds r1, #1
     str r1, [r0, #4]
     b 1b
    """
    with running(chip_with(program)) as chip:
        line = chip.usarts[name].line
        line.send(b"HAL")
        assert line.receive(3, 20.0) == b"IBM"
