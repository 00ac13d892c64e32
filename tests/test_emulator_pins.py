"""Pins, EXTI and SYSCFG: RM0090 sections 8.3, 9.2 and 12.3, with the core standing by."""

import threading

import pytest
from emulated import DEADLINE_S, StillChip, chip_with, running

from hil.errors import UsageError

GPIOA, GPIOB = 0x4002_0000, 0x4002_0400
MODER, OTYPER, PUPDR, IDR, ODR, BSRR = 0x00, 0x04, 0x0C, 0x10, 0x14, 0x18
EXTI, SYSCFG = 0x4001_3C00, 0x4001_3800
IMR, EMR, RTSR, FTSR, SWIER, PR = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14
EXTI0_IRQ, EXTI9_5_IRQ, EXTI15_10_IRQ = 6, 23, 40


@pytest.fixture
def chip() -> StillChip:
    return StillChip()


def test_an_input_follows_what_is_outside_and_else_its_pull(chip: StillChip) -> None:
    pins = chip.chip.pins
    assert chip.read(GPIOB + IDR) & 1 == 0
    chip.write(GPIOB + PUPDR, 1)
    assert chip.read(GPIOB + IDR) & 1 == 1
    pins.drive("PB0", level=False)
    assert chip.read(GPIOB + IDR) & 1 == 0
    chip.write(GPIOB + PUPDR, 2)
    pins.drive("PB0", level=True)
    assert chip.read(GPIOB + IDR) & 1 == 1
    pins.drive("PB0", level=None)
    assert chip.read(GPIOB + IDR) & 1 == 0


def test_an_output_shows_its_level_outside(chip: StillChip) -> None:
    pins = chip.chip.pins
    seen: list[bool] = []
    pins.watch("PB7", seen.append)
    chip.write(GPIOB + ODR, 1 << 7)
    assert not pins.level("PB7")
    chip.write(GPIOB + MODER, 1 << 14)
    assert pins.level("PB7")
    chip.write(GPIOB + BSRR, 1 << 23)
    chip.write(GPIOB + BSRR, 1 << 3)
    assert seen == [True, False]


def test_an_open_drain_output_lets_go_of_the_pin(chip: StillChip) -> None:
    chip.write(GPIOB + MODER, 1)
    chip.write(GPIOB + OTYPER, 1)
    chip.write(GPIOB + ODR, 1)
    chip.chip.pins.drive("PB0", level=False)
    assert chip.read(GPIOB + IDR) & 1 == 0
    chip.chip.pins.drive("PB0", level=True)
    assert chip.read(GPIOB + IDR) & 1 == 1
    chip.write(GPIOB + ODR, 0)
    assert chip.read(GPIOB + IDR) & 1 == 0


def test_an_analog_pin_reads_as_zero(chip: StillChip) -> None:
    chip.chip.pins.drive("PB0", level=True)
    chip.write(GPIOB + MODER, 3)
    assert chip.read(GPIOB + IDR) & 1 == 0


@pytest.mark.parametrize(
    ("edges", "rises", "falls"), [(RTSR, 1, 0), (FTSR, 0, 1)], ids=["rising", "falling"]
)
def test_an_edge_pends_its_line(chip: StillChip, edges: int, rises: int, falls: int) -> None:
    chip.write(EXTI + IMR, 1)
    chip.write(EXTI + edges, 1)
    chip.chip.pins.drive("PA0", level=True)
    assert chip.read(EXTI + PR) == rises
    chip.write(EXTI + PR, 1)
    chip.chip.pins.drive("PA0", level=False)
    assert chip.read(EXTI + PR) == falls
    chip.write(EXTI + PR, 1)
    assert chip.read(EXTI + PR) == 0


@pytest.mark.parametrize(("line", "irq"), [(0, EXTI0_IRQ), (7, EXTI9_5_IRQ), (13, EXTI15_10_IRQ)])
def test_a_line_listens_to_the_port_that_syscfg_says(chip: StillChip, line: int, irq: int) -> None:
    chip.write(SYSCFG + 8 + 4 * (line // 4), 2 << 4 * (line % 4))
    chip.write(EXTI + IMR, 1 << line)
    chip.write(EXTI + RTSR, 1 << line)
    chip.chip.pins.drive(f"PA{line}", level=True)
    chip.wait(1)
    assert chip.pending == set()
    chip.chip.pins.drive(f"PC{line}", level=True)
    chip.wait(1)
    assert chip.pending == {irq}


def test_a_masked_line_pends_nothing(chip: StillChip) -> None:
    chip.write(EXTI + RTSR, 1)
    chip.chip.pins.drive("PA0", level=True)
    chip.wait(1)
    assert (chip.read(EXTI + PR), chip.pending) == (0, set())


def test_software_pends_a_line(chip: StillChip) -> None:
    chip.write(EXTI + IMR, 1 << 3)
    chip.write(EXTI + SWIER, 1 << 3)
    chip.wait(1)
    assert (chip.read(EXTI + PR), chip.read(EXTI + SWIER)) == (8, 8)
    assert chip.pending == {9}
    chip.write(EXTI + PR, 8)
    assert (chip.read(EXTI + PR), chip.read(EXTI + SWIER)) == (0, 0)


def test_an_output_of_the_firmware_s_own_makes_edges_too(chip: StillChip) -> None:
    chip.write(GPIOA + MODER, 0xA800_0001)
    chip.write(EXTI + IMR, 1)
    chip.write(EXTI + RTSR, 1)
    chip.write(GPIOA + ODR, 1)
    assert chip.read(EXTI + PR) == 1


@pytest.mark.parametrize("name", ["PA16", "PZ0", "A0", "PA", ""])
def test_a_pin_that_is_not_there_is_refused(chip: StillChip, name: str) -> None:
    with pytest.raises(UsageError, match="no pin"):
        chip.chip.pins.drive(name, level=True)


BUTTON = """
function start
 ldr r0, =0x40023844
 ldr r1, =0x4000
 str r1, [r0]
 ldr r0, =0x40013C00
 movs r1, #1
 str r1, [r0, {mask}]
 str r1, [r0, #8]
 ldr r2, =0xE000E100
 movs r1, #64
 str r1, [r2]
 movs r4, #0
 {sleep}
1: cmp r4, #0
 beq {again}
 bkpt 0
function irq
 movs r1, #1
 str r1, [r0, #0x14]
 movs r4, #1
 dsb
 bx lr
"""


@pytest.mark.parametrize(
    "program",
    [
        BUTTON.format(mask="#0", sleep="2: wfi", again="2b"),
        BUTTON.format(mask="#4", sleep="wfe\n movs r4, #1", again="1b"),
    ],
    ids=["by interrupt from WFI", "by event from WFE"],
)
def test_a_button_wakes_a_sleeping_core(program: str) -> None:
    woken = threading.Event()

    def at_breakpoint(_address: int) -> bool:
        woken.set()
        return False

    chip = chip_with(program)
    chip.endings.on_breakpoint = at_breakpoint
    with running(chip):
        while not chip.core.asleep:
            chip.core.linger()
        with chip.paused():
            chip.pins.drive("PA0", level=True)
        assert woken.wait(DEADLINE_S)


def test_a_timer_on_the_wake_up_pin_ends_runs_only_where_somebody_watches_it(
    chip: StillChip,
) -> None:
    chip.write(GPIOA + 0x20, 1)  # PA0 is TIM2_CH1
    chip.write(GPIOA + MODER, 0xA800_0002)
    for offset, value in ((0x2C, 99), (0x34, 50), (0x18, 0x60), (0x20, 1), (0, 1)):
        chip.write(0x4000_0000 + offset, value)
    assert chip.chip.pins.deadline() is None
    told: list[bool] = []
    chip.chip.pins.watch("PA0", told.append)
    assert chip.chip.pins.deadline() == 51
    for _ in range(3):
        chip.wait(50)
        chip.chip.pins.settle()
    assert told == [False, True, False]
