"""Option bytes and the watchdog: what the emulated chip makes of them, and what the harness says.

Source: RM0090 sections 3.6, 3.7, 3.9.10 and 21.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from emulated import BOARD, chip_with, finished, memory_words, registers

from hil.build.image import Segment
from hil.errors import FlashError, ProbeError
from hil.targets import option_bytes
from hil.targets.debugger import Debugger
from hil.targets.emulator import powered
from hil.targets.emulator.board import EmulatedBoard, default_clock
from hil.targets.emulator.chips.stm32f4.chip import Stm32F4 as Chip
from hil.targets.emulator.errors import BusError
from hil.targets.emulator.target import _find_probe

FACTORY = 0x0FFF_AAEC
RDP_1, RDP_2 = 0x0FFF_55EC, 0x0FFF_CCEC
WDG_SW, BFB2, DB1M = 1 << 5, 1 << 4, 1 << 30
OPTIONS = """
 ldr r7, =0x40023C00
 ldr r0, =0x08192A3B
 str r0, [r7, #8]
 ldr r0, =0x4C5D6E7F
 str r0, [r7, #8]
"""
IDLE = "\nfunction start\n b .\n"


def chip_of(options: int, source: str = IDLE) -> Chip:
    chip = chip_with(source)
    chip.options.program(options)
    return chip


# the chip


def test_option_bytes_are_programmed_only_when_told_and_read_where_they_stand() -> None:
    source = f"""
    function start
     {OPTIONS}
     ldr r0, =0x0FFEAAEC
     str r0, [r7, #20]
     ldr r1, =0x1FFFC000
     ldrh r3, [r1, #8]
     orr r0, #2
     str r0, [r7, #20]
     ldrh r4, [r1, #8]
     ldrh r5, [r1]
     ldr r1, =0x1FFEC008
     ldrh r6, [r1]
     bkpt 0
    """
    with finished(source) as chip:
        assert registers(chip, "r3", "r4", "r5", "r6") == (0x0FFF, 0x0FFE, 0xAAEC, 0x0FFF)


def test_locked_option_bytes_do_not_change() -> None:
    source = """
    function start
     ldr r7, =0x40023C00
     movs r0, #2
     str r0, [r7, #20]
     ldr r4, [r7, #20]
     bkpt 0
    """
    chip = chip_with(source)
    with finished(source, chip):
        assert registers(chip, "r4") == (FACTORY | 1,)
        assert chip.options.value == FACTORY


def test_option_bytes_that_were_not_programmed_are_lost_with_a_reset() -> None:
    chip = chip_of(FACTORY & ~WDG_SW)
    chip.options.reset()
    assert chip.options.read() == FACTORY & ~WDG_SW | 1


@pytest.mark.parametrize("address", [0x0800_0000, 0x0000_0000])
def test_read_out_protection_keeps_a_debugger_from_the_flash_and_not_the_core(address: int) -> None:
    source = "\nfunction start\n ldr r0, =0x08000004\n ldr r4, [r0]\n bkpt 0\n"
    chip = chip_of(RDP_1, source)
    with finished(source, chip=chip):
        assert registers(chip, "r4")[0] & 0x0800_0001 == 0x0800_0001
        with pytest.raises(BusError):
            chip.bus.read(address, 4)
        assert memory_words(chip, 0x4002_3C14, 1) == [RDP_1 | 1]


def test_giving_up_the_read_out_protection_costs_the_flash() -> None:
    chip = chip_of(RDP_1)
    assert chip.memory.flash[:8] != b"\xff" * 8
    chip.options.program(FACTORY)
    assert bytes(chip.memory.flash) == b"\xff" * BOARD.flash.bytes


def test_the_highest_read_out_protection_is_for_ever() -> None:
    chip = chip_of(RDP_2)
    chip.options.program(FACTORY)
    assert chip.options.level == 2


@pytest.mark.parametrize(("second_boots", "expected"), [(True, 2), (False, 1)])
def test_bfb2_starts_the_second_bank_where_it_holds_a_program(
    second_boots: bool, expected: int
) -> None:
    source = "\nfunction start\n movs r4, #1\n bkpt 0\n"
    chip = chip_of(FACTORY | BFB2, source)
    second = bytes.fromhex("00400020") + (0x0810_0009).to_bytes(4, "little")
    code = bytes.fromhex("0224" + "00be")  # movs r4, #2; bkpt 0
    if second_boots:
        chip.memory.flash[0x10_0000:0x10_000C] = second + code
    with finished(source, chip=chip):
        assert registers(chip, "r4") == (expected,)


RUNS_ON = """
function start
 ldr r6, =0x40003000
 ldr r7, =0x40023800
 ldr r4, [r7, #116]
 lsls r0, r4, #2
 bmi 2f
 {before}
 ldr r1, =3500000
1: {fed}
 subs r1, #1
 bne 1b
 movs r4, #0
2: bkpt 0
"""
START_WATCHDOG = "ldr r0, =0xCCCC\n str r0, [r6]"
FEED = "ldr r0, =0xAAAA\n str r0, [r6]"


@pytest.mark.parametrize(
    ("options", "before", "fed", "bites"),
    [
        (FACTORY, "", "", False),
        (FACTORY, START_WATCHDOG, "", True),
        (FACTORY & ~WDG_SW, "", "", True),
    ],
    ids=["off", "by software", "by hardware"],
)
def test_the_watchdog_resets_a_chip_that_does_not_feed_it(
    options: int, before: str, fed: str, bites: bool
) -> None:
    source = RUNS_ON.format(before=before, fed=fed)
    with finished(source, chip=chip_of(options, source)) as chip:
        assert bool(registers(chip, "r4")[0] & 1 << 29) == bites


def test_the_watchdog_leaves_alone_who_feeds_it_and_takes_its_own_time() -> None:
    unlocked = "ldr r0, =0x5555\n str r0, [r6]\n movs r0, #20\n str r0, [r6, #8]"
    source = RUNS_ON.format(before=f"{unlocked}\n{START_WATCHDOG}", fed=FEED)
    with finished(source.replace("3500000", "40000")) as chip:
        assert registers(chip, "r4") == (0,)
    late = source.replace("3500000", "40000").replace(f"1: {FEED}", "1: nop")
    with finished(late) as chip:
        assert registers(chip, "r4")[0] & 1 << 29


# the harness


@contextmanager
def board_with(options: int, options_1: int | None = None) -> Iterator[Callable[[], Debugger]]:
    """Power a board with option bytes; lend what opens a debugger on it."""
    emulated = EmulatedBoard(BOARD, "options", make_clock=default_clock)
    assert isinstance(emulated.chip, Chip)
    emulated.chip.options.program(options, options_1)
    powered.add(emulated)
    opened: list[Debugger] = []

    def open_debugger() -> Debugger:
        opened.append(Debugger(BOARD, _find_probe("options"), hint="check the cable"))
        opened[-1].open()
        return opened[-1]

    try:
        yield open_debugger
    finally:
        for one in opened:
            one.close()
        powered.remove(emulated)
        emulated.power_off()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (RDP_1, "read-out protection is on"),
        (RDP_2, "read-out protection is at level 2, for ever"),
        (FACTORY & ~WDG_SW, "WDG_SW = 0"),
        (FACTORY | BFB2, "BFB2 = 1"),
    ],
)
def test_a_chip_whose_option_bytes_forbid_a_measurement_is_refused_with_the_reason(
    options: int, why: str
) -> None:
    with board_with(options) as open_debugger, pytest.raises(ProbeError, match=why):
        open_debugger().program([Segment(0x0800_0000, bytes(range(64)))])


@pytest.mark.parametrize(
    ("options", "options_1", "address", "sector"),
    [(FACTORY & ~(1 << 17), None, 0x0800_0000, 1), (FACTORY, 0x0FFE_0000, 0x080F_FFF0, 12)],
)
def test_sectors_that_are_write_protected_are_named_before_anything_is_erased(
    options: int, options_1: int | None, address: int, sector: int
) -> None:
    with board_with(options, options_1) as open_debugger:
        debugger = open_debugger()
        with pytest.raises(FlashError, match=f"against writing: {sector}"):
            debugger.program([Segment(address, bytes(0x4100))])


def test_protected_sectors_that_the_image_does_not_need_are_no_matter() -> None:
    with board_with(FACTORY & ~(1 << 20)) as open_debugger:
        open_debugger().program([Segment(0x0800_0000, bytes(range(64)))])


def test_a_mebibyte_in_two_banks_is_refused_where_the_board_s_file_has_one() -> None:
    flash = replace(BOARD.flash, bytes=1 << 20)
    board = replace(BOARD, memories=tuple(flash if m is BOARD.flash else m for m in BOARD.memories))
    with pytest.raises(ProbeError, match="DB1M"):
        option_bytes.check(board, lambda _address: FACTORY | DB1M, ())
