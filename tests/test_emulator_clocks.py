"""Clocks of the emulated chip are as strict as silicon's. Source: RM0090 sections 3.5.1, 5, 7.2."""

from dataclasses import replace

import pytest
from emulated import BOARD, chip_with, finished, registers, running

from hil.config import board
from hil.targets.emulator.chips.stm32.clocks import ClockTree
from hil.targets.emulator.chips.stm32f4.chip import Stm32F4 as Chip
from hil.targets.emulator.chips.stm32f4.clock_limits import broken_by

MHZ = 1_000_000
REGISTERS = "ldr r6, =0x40023C00\n ldr r7, =0x40023800\n"  # FLASH, RCC
WAIT_STATES = "movs r0, #5\n str r0, [r6]\n"
PRESCALERS = "ldr r0, =0x9400\n str r0, [r7, #8]\n"  # APB1 by 4, APB2 by 2
APB2_ONLY = "ldr r0, =0x8000\n str r0, [r7, #8]\n"
STORE_R1 = "str r1, [r7, #8]\n"
PLL_168 = "ldr r0, =0x07005410\n str r0, [r7, #4]\n ldr r0, =0x01000081\n str r0, [r7]\n"
LOCKED = "1: ldr r0, [r7]\n lsls r0, r0, #6\n bpl 1b\n"
SWITCH = "ldr r0, [r7, #8]\n orr r0, #2\n str r0, [r7, #8]\n"
IN_ORDER = f"{REGISTERS}{WAIT_STATES}{PRESCALERS}{PLL_168}{LOCKED}{SWITCH}"


def program(source: str) -> str:
    return f"\nfunction start\n {source}\n nop\n nop\n bkpt 0\n"


def broken_chip(source: str, on: board.Board = BOARD) -> Chip:
    """Run a program until the chip stops; return the chip."""
    chip = chip_with(program(source), on)
    with running(chip):
        wait_until_stopped(chip)
    return chip


def wait_until_stopped(chip: Chip) -> None:
    for _ in range(1_000):
        if chip.core.locked_up:
            return
        chip.core.linger()
    raise AssertionError("the chip goes on")


def test_the_pll_drives_the_core_where_all_is_done_in_order() -> None:
    with finished(program(f"{IN_ORDER} ldr r4, [r7]\n ldr r5, [r7, #8]")) as chip:
        control, configuration = registers(chip, "r4", "r5")
        assert control & 0x0300_0002 == 0x0300_0002
        assert configuration == 0x9400 | 0b1010
        assert chip.rcc.core_hz == 168 * MHZ
        assert chip.broken == ""


def test_a_pll_takes_its_time_and_the_core_waits_with_the_switch() -> None:
    source = (
        f"{REGISTERS}{WAIT_STATES}{PRESCALERS}{PLL_168} ldr r4, [r7]\n{SWITCH} ldr r5, [r7, #8]"
    )
    with finished(program(f"{source}\n{LOCKED} ldr r6, [r7, #8]")) as chip:
        control, asked, switched = registers(chip, "r4", "r5", "r6")
        assert not control & 1 << 25
        assert asked & 0b1111 == 0b0010
        assert switched & 0b1111 == 0b1010


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (f"{REGISTERS}{PRESCALERS}{PLL_168}{LOCKED}{SWITCH}", "168 MHz need 5 wait states"),
        (f"{REGISTERS}{WAIT_STATES}{PLL_168}{LOCKED}{SWITCH}", "APB1 runs at 168 MHz"),
        (
            f"{REGISTERS}{WAIT_STATES}{PLL_168}{LOCKED} ldr r0, =0x9402\n str r0, [r7, #8]\n",
            "APB1 runs at 168 MHz",  # prescalers and switch in one store
        ),
        (f"{REGISTERS}{WAIT_STATES}{APB2_ONLY}{PLL_168}{LOCKED}{SWITCH}", "APB1 runs at 168 MHz"),
        (
            f"{REGISTERS}{PRESCALERS}{PLL_168}{LOCKED} ldr r1, =0x9402\n{WAIT_STATES}{STORE_R1}",
            "168 MHz need 5 wait states",  # the new ones are not there yet
        ),
        (f"{IN_ORDER} movs r0, #4\n str r0, [r6]\n" + "nop\n" * 40, "168 MHz need 5 wait states"),
        (
            IN_ORDER.replace("0x07005410", "0x07005A10"),
            "the core runs at 180 MHz, its regulator is set for 168 MHz",
        ),
    ],
    ids=[
        "wait states", "prescalers", "one store", "APB1 alone", "not read back", "fewer later",
        "no over-drive",
    ],
)  # fmt: skip
def test_a_clock_that_the_chip_does_not_bear_stops_it_with_the_reason(
    source: str, why: str
) -> None:
    assert why in broken_chip(source).broken


def test_a_reset_mends_a_chip_that_stopped() -> None:
    chip = chip_with(program(f"{REGISTERS}{PRESCALERS}{PLL_168}{LOCKED}{SWITCH}"))
    with running(chip):
        wait_until_stopped(chip)
        chip.hold_in_reset(asserted=True)
        chip.core.halted = True
        chip.hold_in_reset(asserted=False)
        assert (chip.broken, chip.core.locked_up, chip.rcc.core_hz) == ("", False, 16 * MHZ)


@pytest.mark.parametrize(
    ("dev_id", "scale", "over_drive", "most_mhz"),
    [
        (0x419, 3, False, 168), (0x419, 3, True, 180), (0x419, 2, False, 144),
        (0x419, 2, True, 168), (0x419, 1, True, 120), (0x413, 3, False, 168), (0x413, 1, True, 168),
        (0x413, 2, False, 144), (0x433, 2, False, 84), (0x433, 1, False, 60),
        (0x431, 3, False, 100),
    ],
)  # fmt: skip
def test_the_regulators_scale_and_the_over_drive_say_how_fast_a_core_may_run(
    dev_id: int, scale: int, over_drive: bool, most_mhz: int
) -> None:
    def why(core_hz: int) -> str:
        return broken_by(
            ClockTree(core_hz, core_hz // 4, core_hz // 4),
            dev_id=dev_id,
            wait_states=6,
            scale_bits=scale,
            over_drive=over_drive,
        )

    assert why(most_mhz * MHZ) == ""
    assert f"set for {most_mhz} MHz" in why(most_mhz * MHZ + 1)


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        (0x0700_5404, "4 MHz goes in"),
        (0x0700_3108, "the VCO would run at 392 MHz, / 4"),
        (0x0700_0C08, "the VCO would run at 96 MHz"),
        (0x0740_5404, "the crystal is off"),
    ],
)
def test_a_pll_outside_its_range_never_locks(
    caplog: pytest.LogCaptureFixture, setting: int, what: str
) -> None:
    source = f"""
     {REGISTERS}{WAIT_STATES}
     ldr r0, =0x{setting:08x}
     str r0, [r7, #4]
     ldr r0, =0x01000081
     str r0, [r7]
     ldr r1, =20000
    1: subs r1, #1
     bne 1b
     ldr r4, [r7]
    """
    with finished(program(source)) as chip:
        locked = bool(registers(chip, "r4")[0] & 1 << 25)
        assert locked == (what.endswith("/ 4")), what
    assert ("the PLL never locks: " in caplog.text) != locked
    assert f"it gets {what.split(maxsplit=1)[0]} MHz" in caplog.text or not what.endswith("goes in")
    assert "its source hse is off" in caplog.text or what != "the crystal is off"


@pytest.mark.parametrize(("hse_hz", "ready"), [(8 * MHZ, 1), (0, 0)])
def test_a_crystal_takes_two_milliseconds_and_a_dead_one_for_ever(
    caplog: pytest.LogCaptureFixture, hse_hz: int, ready: int
) -> None:
    source = f"""
     {REGISTERS}
     ldr r0, =0x00010081
     str r0, [r7]
     ldr r4, [r7]
     ldr r1, =20000
    1: subs r1, #1
     bne 1b
     ldr r5, [r7]
     ldr r0, =0x00010001
    """
    with finished(program(source), board=replace(BOARD, hse_hz=hse_hz)) as chip:
        at_once, later = registers(chip, "r4", "r5")
        assert (at_once >> 17 & 1, later >> 17 & 1) == (0, ready)
    assert ("the crystal never swings: the board has none" in caplog.text) != ready


def test_what_the_core_runs_from_stays_on_and_a_pll_that_is_on_keeps_its_setting() -> None:
    source = f"""
     {IN_ORDER}
     movs r0, #0
     str r0, [r7]
     ldr r4, [r7]
     ldr r0, =0x07003220
     str r0, [r7, #4]
     ldr r5, [r7, #4]
    """
    with finished(program(source)) as chip:
        control, setting = registers(chip, "r4", "r5")
        assert control & 0x0100_0001 == 0x0100_0001
        assert setting == 0x0700_5410


def test_the_regulators_scale_keeps_while_the_pll_is_on() -> None:
    source = f"""
     {REGISTERS}
     ldr r0, =0x10000000
     str r0, [r7, #0x40]
     ldr r5, =0x40007000
     {PLL_168}
     movs r0, #0
     str r0, [r5]
     ldr r4, [r5]
    """
    with finished(program(source)) as chip:
        assert registers(chip, "r4") == (0xC000,)


def test_wait_states_that_were_read_back_are_in_force() -> None:
    """ST's HAL reads them back once, right behind the store, and gives up where they differ."""
    source = f"""
     {REGISTERS}{PRESCALERS}{PLL_168}{LOCKED}
     ldr r1, =0x9402
     movs r0, #5
     str r0, [r6]
     ldr r4, [r6]
     {STORE_R1}
    """
    with finished(program(source)) as chip:
        assert registers(chip, "r4") == (5,)
        assert chip.broken == ""


@pytest.mark.parametrize(
    ("dev_id", "after_reset"),
    [(0x413, 0x4000), (0x419, 0xC000), (0x421, 0xC000), (0x431, 0x8000), (0x433, 0x8000)],
)
def test_the_regulators_scale_after_reset_is_the_part_s(dev_id: int, after_reset: int) -> None:
    """By which Zephyr and ST's LL choose wait states: RM0090, RM0368, RM0383, RM0390."""
    chip = chip_with(program("nop"), board=replace(BOARD, dev_id=dev_id))
    assert chip.power.registers[0].read() == after_reset


def test_a_regulator_that_is_set_too_low_may_be_forgiven(caplog: pytest.LogCaptureFixture) -> None:
    source = f"""
     {REGISTERS}{WAIT_STATES}{PRESCALERS}
     ldr r0, =0x10000000
     str r0, [r7, #0x40]
     ldr r5, =0x40007000
     mov r0, #0x4000
     str r0, [r5]
     {PLL_168}{LOCKED}{SWITCH}
    """
    chip = chip_with(program(source))
    chip.forgives_margins = True
    with finished(program(source), chip=chip):
        assert chip.broken == ""
    (told,) = (record.getMessage() for record in caplog.records)
    assert "its regulator is set for 120 MHz: silicon may go on" in told


def test_buses_that_are_too_fast_may_be_forgiven(caplog: pytest.LogCaptureFixture) -> None:
    source = program(f"{REGISTERS}{WAIT_STATES}{PLL_168}{LOCKED}{SWITCH}")
    chip = chip_with(source)
    chip.forgives_margins = True
    with finished(source, chip=chip):
        assert chip.broken == ""
    assert [record.getMessage() for record in caplog.records] == [
        "APB1 runs at 168 MHz and bears 42 MHz: silicon may go on, or do anything"
    ]


ICRST, ICEN = 1 << 11, 1 << 9


@pytest.mark.parametrize(
    ("stores", "kept"),
    [((ICEN, ICRST), 0), ((ICEN, 0, ICRST), ICRST), ((ICEN, ICEN | ICRST), ICEN)],
    ids=["off and reset at once", "off, then reset", "reset while on"],
)
def test_a_cache_takes_its_reset_only_while_it_is_off_already(
    stores: tuple[int, ...], kept: int
) -> None:
    lines = "\n".join(f"ldr r0, ={value}\n str r0, [r6]" for value in stores)
    with finished(program(f"{REGISTERS}{lines}\n ldr r4, [r6]")) as chip:
        assert registers(chip, "r4") == (kept,)


@pytest.mark.parametrize("sleep_bit", [0, 1])
def test_the_cycle_counter_stands_in_sleep_unless_dbgmcu_keeps_the_clock(sleep_bit: int) -> None:
    source = f"""
     ldr r2, =0xE0042004
     movs r1, #{sleep_bit}
     str r1, [r2]
     ldr r0, =0xE000E014
     ldr r1, =100000
     str r1, [r0]
     str r1, [r0, #4]
     movs r1, #3
     str r1, [r0, #-4]
     cpsid i
     ldr r0, =0xE000EDFC
     ldr r1, =0x01000000
     str r1, [r0]
     ldr r0, =0xE0001000
     movs r1, #1
     str r1, [r0]
     ldr r4, [r0, #4]
     dsb
     wfi
     ldr r5, [r0, #4]
    """
    with finished(program(source)) as chip:
        before, after = registers(chip, "r4", "r5")
        slept = after - before
        assert (slept > 90_000) if sleep_bit else (slept < 1_000)
