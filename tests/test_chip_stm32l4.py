"""The STM32L4+ as a second chip: clocks, flash, serial port, timers, and what a debugger asks."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_model
from elftools.elf.elffile import ELFFile
from emulated import finished, flash_with, memory_words, registers

from hil.build.firmware import build, find_toolchain
from hil.config import board as boards
from hil.config.board import Board, Flash
from hil.errors import FlashError, ProbeError
from hil.link.client import Device
from hil.studies.boards import check, clocks, loops, wires
from hil.targets import chips, clock_tree, option_bytes, pyocd_parts
from hil.targets.chips import stm32l4, stm32l4_algorithm
from hil.targets.emulator.board import default_clock
from hil.targets.emulator.chips.stm32.clocks import ClockTree
from hil.targets.emulator.chips.stm32l4.chip import Stm32L4
from hil.targets.emulator.chips.stm32l4.clock_limits import broken_by
from hil.targets.emulator.target import EmulatedTarget

DUAL = boards.load("nucleo_l4r5zi")
SINGLE = stm32l4.with_banks(DUAL, 1)
MHZ = 1_000_000
FACTORY = 0xFFEF_F8AA


@pytest.mark.parametrize("board", [DUAL, SINGLE], ids=["two banks", "one bank"])
def test_the_firmware_is_flashed_by_our_algorithm_and_answers(board: Board, tmp_path: Path) -> None:
    image = build(tiny_model.write(tmp_path / "model"), DUAL, find_toolchain("zig"))
    with EmulatedTarget(board) as target:
        target.flash(image)
        target.reset()
        device = Device(target.serial(), timeout_s=120.0)
        device.expect(image)
        chip = target.emulated.chip
        assert (chip.rcc.core_hz, chip.broken) == (120 * MHZ, "")
        read = clock_tree.read(board, target.debugger.read_word)
        assert read == clock_tree.expected(board)
        found = target.debugger.identity()
        assert found is not None
        assert (found.dev_id, found.flash_bytes) == (0x470, 2 << 20)
        state = target.debugger.look(lambda _: True)
        assert state.resets or state.supply


def test_the_words_of_the_flash_algorithm_are_its_source_compiled(tmp_path: Path) -> None:
    script, elf = tmp_path / "algorithm.ld", tmp_path / "algorithm.elf"
    script.write_text(
        "SECTIONS { . = 0x20000020; .text : { *(.text*) *(.rodata*) } /DISCARD/ : { *(.ARM*) } }"
    )
    flags = [
        *("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4", "-Os", "-g", "-std=c11"),
        *("-ffreestanding", "-fno-sanitize=all", "-fno-stack-protector", "-fomit-frame-pointer"),
        *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-nostdlib"),
        "-Wl,--entry=init",
    ]
    source = Path(stm32l4_algorithm.__file__).with_suffix(".c")
    command = [sys.executable, "-m", "ziglang", "cc", *flags, "-T", str(script), str(source)]
    subprocess.run([*command, "-o", str(elf)], check=True, timeout=120)
    with elf.open("rb") as stream:
        file = ELFFile(stream)
        code: bytes = file.get_section_by_name(".text").data()  # type: ignore[union-attr]
        symbols: Any = file.get_section_by_name(".symtab")
        entries = {
            name: symbols.get_symbol_by_name(name)[0]["st_value"] - 0x2000_0021
            for name in stm32l4_algorithm.ENTRIES
        }
    code += bytes(-len(code) % 4)
    words = tuple(int.from_bytes(code[i : i + 4], "little") for i in range(0, len(code), 4))
    shown = ", ".join(f"0x{word >> 16:04X}_{word & 0xFFFF:04X}" for word in words)
    assert words == stm32l4_algorithm.CODE, f"write these into stm32l4_algorithm.py: {shown}"
    assert entries == stm32l4_algorithm.ENTRIES


def test_a_part_that_pyocd_knows_keeps_pyocds_description() -> None:
    from pyocd.target import TARGET

    before = TARGET["stm32l475xg"]
    pyocd_parts.register(replace(DUAL, pyocd_target="stm32l475xg"))
    assert TARGET["stm32l475xg"] is before


# clocks

PLL_120 = """
 ldr r0, =0x40021000
 ldr r1, [r0]
 orr r1, r1, #0x100        @ HSION
 str r1, [r0]
 ldr r1, =0x01001E12       @ HSI16 / 2 x 30 / 2, R on
 str r1, [r0, #0xC]
 ldr r1, [r0]
 orr r1, r1, #0x01000000
 str r1, [r0]
1: ldr r1, [r0]
 tst r1, #0x02000000
 beq 1b
"""
BOOST = """
 ldr r2, =0x10000000
 str r2, [r0, #0x58]       @ PWREN
 ldr r3, =0x40007000
 movs r2, #0
 str r2, [r3, #0x80]
"""
FIVE_WAIT_STATES = """
 ldr r3, =0x40022000
 movw r2, #0x705
 str r2, [r3]
2: ldr r4, [r3]
 cmp r4, r2
 bne 2b
"""
TO_PLL = """
 movs r1, #3
 str r1, [r0, #8]
3: ldr r1, [r0, #8]
 and r1, r1, #0xC
 cmp r1, #0xC
 bne 3b
"""


def l4_with(source: str, board: Board = DUAL) -> Stm32L4:
    """Return a chip, without power yet, that has a program in its flash."""
    return Stm32L4(board, flash=flash_with(source, board), make_clock=default_clock)


def test_a_program_that_follows_the_manual_runs_at_120_mhz() -> None:
    chip = l4_with(f"function start {PLL_120} {BOOST} {FIVE_WAIT_STATES} {TO_PLL} bkpt 0")
    assert chip.rcc.core_hz == 4 * MHZ
    with finished("", chip):
        assert (chip.rcc.core_hz, chip.broken) == (120 * MHZ, "")


def test_the_pll_gives_the_core_nothing_while_its_output_is_off() -> None:
    no_output = PLL_120.replace("0x01001E12", "0x00001E12")
    program = (
        f"function start {no_output} movs r1, #3 \n str r1, [r0, #8] \n ldr r5, [r0, #8] \n bkpt 0"
    )
    with finished("", l4_with(program)) as chip:
        assert registers(chip, "r5")[0] >> 2 & 3 == 0
        assert chip.rcc.core_hz == 4 * MHZ


@pytest.mark.parametrize(
    ("hz", "wait_states", "regulator", "boosts", "complaint"),
    [
        (120 * MHZ, 5, 1, True, ""),
        (120 * MHZ, 4, 1, True, "120 MHz need 5 wait states of the flash, it has 4"),
        (120 * MHZ, 5, 1, False, "the core runs at 120 MHz, its regulator is set for 80 MHz"),
        (24 * MHZ, 2, 2, False, ""),
        (26 * MHZ, 2, 2, False, ""),
        (26 * MHZ, 1, 2, False, "26 MHz need 2 wait states of the flash, it has 1"),
        (32 * MHZ, 3, 2, False, "the core runs at 32 MHz, its regulator is set for 26 MHz"),
    ],
)
def test_limits_are_those_of_the_regulators_range(
    hz: int, wait_states: int, regulator: int, boosts: bool, complaint: str
) -> None:
    tree = ClockTree(hz, hz, hz)
    found = broken_by(tree, wait_states=wait_states, regulator=regulator, boosts=boosts)
    assert found == complaint


# serial port


@pytest.mark.parametrize(("brr", "sent"), [(0x8235, b"x"), (0x2FF, b""), (0x10_0000, b"")])
def test_the_low_power_port_has_20_bits_of_baud_rate(brr: int, sent: bytes) -> None:
    program = f"""
    function start
     ldr r0, =0x40021000
     movs r1, #0x40
     str r1, [r0, #0x4C]       @ GPIOG
     movs r1, #1
     str r1, [r0, #0x5C]       @ LPUART1
     ldr r0, =0x48001800
     ldr r1, =0x80000000
     str r1, [r0, #0x20]
     movs r1, #8
     str r1, [r0, #0x24]
     ldr r1, =0xFFFEBFFF
     str r1, [r0]              @ PG7, PG8: alternate
     ldr r0, =0x40008000
     ldr r1, ={brr}
     str r1, [r0, #0xC]
     movs r1, #0xD
     str r1, [r0]              @ UE, RE, TE
     ldr r4, [r0, #0x1C]
     ldr r5, [r0, #0xC]
     movs r1, #'x'
     str r1, [r0, #0x28]
     bkpt 0
    """
    chip = l4_with(program)
    with finished("", chip):
        status, rate = registers(chip, "r4", "r5")
        assert status & (1 << 21 | 1 << 22) == 1 << 21 | 1 << 22
        assert rate == brr & 0xF_FFFF
        assert chip.usarts["lpuart1"].line.receive(len(sent), 0) == sent


@pytest.mark.parametrize(
    ("port", "pin", "function"),
    [
        *(("lpuart1", pin, 8) for pin in ("A2", "B11", "C1", "G7")),
        *(("usart1", pin, 7) for pin in ("A9", "B6", "G9")),
    ],
)
def test_a_port_sends_on_each_of_its_pins(port: str, pin: str, function: int) -> None:
    letter, number = ord(pin[0]) - ord("A"), int(pin[1:])
    base, enable, bit = {
        "lpuart1": (0x4000_8000, 0x4002_105C, 0),
        "usart1": (0x4001_3800, 0x4002_1060, 14),
    }[port]
    gpio = 0x4800_0000 + 0x400 * letter
    stores = {
        0x4002_104C: 1 << letter,
        enable: 1 << bit,
        gpio + 0x20 + 4 * (number // 8): function << 4 * (number % 8),
        gpio: 0xFFFF_FFFF & ~(1 << 2 * number),
        base + 0xC: 0x22B9 if port == "lpuart1" else 35,  # 115,200 baud at 4 MHz
        base: 0xD,
        base + 0x28: ord("x"),
    }
    code = "".join(
        f"ldr r0, ={at}\n ldr r1, ={value}\n str r1, [r0]\n" for at, value in stores.items()
    )
    chip = l4_with(f"function start\n {code} bkpt 0")
    with finished("", chip):
        assert chip.usarts[port].line.receive(1, 0) == b"x"


def test_a_byte_lasts_what_the_baud_rate_says() -> None:
    chip = Stm32L4(DUAL)
    port, bus = chip.usarts["lpuart1"], chip.memory.bus
    bus.write(0x4002_105C, 4, 1)
    bus.write(0x4000_800C, 4, 256 * 40)
    assert port._byte_cycles() == 10 * 40
    bus.write(0x4002_1088, 4, 2 << 10)  # HSI16, where the core runs at 4 MHz
    assert port._byte_cycles() == 10 * 40 // 4


# timers


def test_a_timer_counts_microseconds_at_any_clock_of_its_bus() -> None:
    program = f"""
    function start {PLL_120} {BOOST} {FIVE_WAIT_STATES} {TO_PLL}
     ldr r1, =0x703            @ APB1 by 16: the timer's clock is 15 MHz
     str r1, [r0, #8]
     movs r1, #8
     orr r1, r1, #0x10000000
     str r1, [r0, #0x58]
     ldr r2, =0x40000C00
     movs r1, #14
     str r1, [r2, #0x28]
     movs r1, #1
     str r1, [r2, #0x14]       @ UG loads the prescaler
     str r1, [r2]
     ldr r3, =40000
    4: subs r3, #1
     bne 4b
     ldr r4, [r2, #0x24]
     bkpt 0
    """
    with finished("", l4_with(program)) as chip:
        (count,) = registers(chip, "r4")
        assert count == pytest.approx(40_000 * 3 / 120, rel=0.01)


# flash


def controller(board: Board) -> tuple[Stm32L4, Callable[[int, int], None]]:
    """Return a chip with its flash unlocked, and what writes one of the controller's registers."""
    chip = Stm32L4(board)

    def write(offset: int, value: int) -> None:
        chip.memory.bus.write(0x4002_2000 + offset, 4, value)

    write(0x08, 0x4567_0123)
    write(0x08, 0xCDEF_89AB)
    return chip, write


@pytest.mark.parametrize(
    ("board", "page", "bank", "erased"),
    [
        (DUAL, 3, 0, range(0x3000, 0x4000)),
        (DUAL, 3, 1, range(0x10_3000, 0x10_4000)),
        (SINGLE, 3, 0, range(0x6000, 0x8000)),
        (SINGLE, 3, 1, range(0x6000, 0x8000)),
    ],
)
def test_a_page_is_erased_where_the_bank_mode_has_it(
    board: Board, page: int, bank: int, erased: range
) -> None:
    chip, write = controller(board)
    flash = chip.memory.flash
    flash[:] = bytes(len(flash))
    write(0x14, 1 << 16 | 1 << 1 | page << 3 | bank << 11)
    assert flash[erased.start : erased.stop] == b"\xff" * len(erased)
    assert flash.count(b"\xff") == len(erased)


def test_a_double_word_is_programmed_only_where_it_is_erased() -> None:
    chip, write = controller(DUAL)
    bus, flash = chip.bus, 0x0800_0000
    write(0x14, 1)
    bus.write(flash, bytes(range(8)))
    assert bus.read(flash, 8) == bytes(range(8))
    bus.write(flash, b"\x11" * 8)
    assert bus.read(flash, 8) == bytes(range(8))
    assert memory_words(chip, 0x4002_2010, 1)[0] & 1 << 3  # PROGERR
    bus.write(flash, bytes(8))  # zero goes over everything
    assert bus.read(flash, 8) == bytes(8)
    bus.write(flash + 12, b"\x01\x02\x03\x04")
    assert memory_words(chip, 0x4002_2010, 1)[0] & 1 << 5  # PGAERR: no first word


@pytest.mark.parametrize(
    ("board", "optr", "complaint"),
    [
        (DUAL, FACTORY, ""),
        (DUAL, FACTORY & ~(1 << 16), "IWDG_SW = 0"),
        (DUAL, FACTORY & ~0xFF | 0x55, "read-out protection is on"),
        (DUAL, FACTORY | 1 << 20, "BFB2 = 1"),
        (DUAL, FACTORY & ~(1 << 22), "DBANK = 0.*the board's file says two banks"),
        (SINGLE, FACTORY, "DBANK = 1.*the board's file says one bank"),
        (SINGLE, FACTORY & ~(1 << 22), ""),
    ],
)
def test_option_bytes_that_forbid_a_measurement_are_told(
    board: Board, optr: int, complaint: str
) -> None:
    words = {0x4002_2020: optr, **dict.fromkeys((0x4002_202C, 0x4002_2030), 0xFF00_FFFF)}
    words |= dict.fromkeys((0x4002_204C, 0x4002_2050), 0xFF00_FFFF)
    if not complaint:
        option_bytes.check(board, words.__getitem__, ())
        return
    with pytest.raises(ProbeError, match=complaint):
        option_bytes.check(board, words.__getitem__, ())


def test_a_check_says_what_option_bytes_keep_the_chip_from() -> None:
    with EmulatedTarget(DUAL) as target:
        options = check.of_another_chip(DUAL, target.debugger)
        assert (options.name, options.good) == ("option bytes", True)
        chip = target.emulated.chip
        assert isinstance(chip, Stm32L4)
        chip.options.program(FACTORY & ~(1 << 16))
        options = check.of_another_chip(DUAL, target.debugger)
        assert (options.good, "IWDG_SW = 0" in options.detail) == (False, True)


@pytest.mark.parametrize("board", [DUAL, SINGLE], ids=["two banks", "one bank"])
def test_a_board_is_looked_at_without_firmware(board: Board) -> None:
    with EmulatedTarget(board) as target, EmulatedTarget(board) as model:
        debugger = target.debugger
        debugger.reset_and_halt()
        model.debugger.reset_and_halt()
        assert loops.unsettled(board, debugger) == 0
        found = {one.name: one for one in loops.compare(board, debugger, model.debugger)}
        assert {one.good for one in found.values()} == {True}
        eight, nine = (found[f"{n} cached lines"].value for n in (8, 9))
        assert eight is not None
        assert nine is not None
        assert nine > eight + 9 * 5  # the ninth line evicts each: every load waits
        debugger.reset_and_halt()
        ports = list(wires.look(board, debugger, target.serial()))
        assert [(one.name, one.good) for one in ports] == [
            ("serial 115,200 baud", True),
            ("serial 1,000,000 baud", True),
        ]
        assert "8 bytes to PG8, 0 wrong; 8 from PG7, 0 wrong or lost" in ports[0].detail


def test_a_boards_clocks_are_looked_at_without_firmware() -> None:
    with EmulatedTarget(DUAL) as target:
        target.debugger.reset_and_halt()
        found = {one.name: one for one in clocks.look(DUAL, target.debugger, own_time=True)}
        assert found["clock"].good
        assert found["crystal"].good


def test_pages_that_are_write_protected_are_told() -> None:
    chip, _ = controller(DUAL)
    chip.options._programmed[0x2C] = 0xFF05_FF00 | 2  # pages 2 to 5 of bank 1
    chip.options.load()

    class Piece:
        address, end = 0x0800_2000, 0x0800_3001

    def word(at: int) -> int:
        return memory_words(chip, at, 1)[0]

    with pytest.raises(FlashError, match=r"writing: 2, 3"):
        option_bytes.check(DUAL, word, [Piece()])


def test_sram2_is_at_two_addresses() -> None:
    chip = Stm32L4(DUAL)
    chip.bus.write(0x2003_0004, b"\x12\x34\x56\x78")
    assert chip.bus.read(0x1000_0004, 4) == b"\x12\x34\x56\x78"
    chip.bus.write(0x1000_FFFC, b"\x9a\xbc\xde\xf0")
    assert chip.bus.read(0x2003_FFFC, 4) == b"\x9a\xbc\xde\xf0"


def test_a_flash_of_another_geometry_is_told() -> None:
    odd = replace(DUAL.memories[0], flash=Flash((2048,) * 1024, 8, 5, 64))
    with pytest.raises(ProbeError, match="512 pages in two banks or 256 in one, not 1024"):
        Stm32L4(replace(DUAL, memories=(odd, *DUAL.memories[1:])))


def test_a_chip_of_which_nothing_is_known_is_left_alone() -> None:
    assert chips.find("stm32h7") is None
