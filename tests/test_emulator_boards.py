"""What differs between emulated boards of one chip family: memories, flash, identity."""

from dataclasses import replace
from pathlib import Path

import pytest
from emulated import BOARD, StillChip, chip_with, finished, memory_words, registers

from hil.config import board
from hil.errors import UsageError
from hil.targets.emulator.board import default_clock
from hil.targets.emulator.core.engine import Engine
from hil.targets.emulator.debug.port import DebugPort, TransferFault
from hil.targets.emulator.timing.addresses import memories_of

F407 = board.load("stm32f407g_disc1")
F429 = board.load("stm32f429i_disc1")
BFAR, FLASH_CR = 0xE000_ED38, 0x4002_3C10
KIB = 1024


@pytest.mark.parametrize(
    ("chosen", "dev_id", "size_kib"),
    [(BOARD, 0x419, 2048), (F429, 0x419, 2048), (F407, 0x413, 1024)],
)
def test_a_chip_says_which_part_it_is(chosen: board.Board, dev_id: int, size_kib: int) -> None:
    program = """
    function start
     ldr r0, =0x1FFF7A22
     ldrh r4, [r0]
     ldr r0, =0xE0042000
     ldr r5, [r0]
     bkpt 0
    """
    with finished(program, board=chosen) as chip:
        size, code = registers(chip, "r4", "r5")
        assert (size, code & 0xFFF, code >> 16) == (size_kib, dev_id, chosen.rev_id)
        (low,) = memory_words(chip, 0xE00F_FFE0, 1)  # PIDR0 of the ROM table
        (high,) = memory_words(chip, 0xE00F_FFE4, 1)  # PIDR1
        assert low | (high & 0xF) << 8 == dev_id


@pytest.mark.parametrize(
    "address",
    [0x2002_0000, 0x0810_0000, 0x0010_0000, 0x1001_0000],
    ids=["RAM", "flash", "flash at 0", "CCM"],
)
@pytest.mark.parametrize("access", ["ldr r2, [r1]", "str r2, [r1]"])
def test_what_a_smaller_part_lacks_is_a_bus_fault(address: int, access: str) -> None:
    program = f"""
    function start
     ldr r0, =0x{address - 4:08x}
     ldr r2, [r0]
     ldr r1, =0x{address:08x}
     movs r4, #1
     {access}
     movs r4, #2
     bkpt 0
    function hard
     bkpt 1
    """
    with finished(program, board=F407) as chip:
        assert registers(chip, "r4") == (1,)
        assert memory_words(chip, BFAR, 1) == [address]


def test_the_larger_part_has_what_the_smaller_lacks() -> None:
    program = """
    function start
     ldr r0, =0x20020000
     ldr r1, =0x12345678
     str r1, [r0]
     ldr r4, [r0]
     ldr r0, =0x08100000
     ldr r5, [r0]
     bkpt 0
    """
    with finished(program) as chip:
        assert registers(chip, "r4", "r5") == (0x1234_5678, 0xFFFF_FFFF)


def test_the_timing_model_knows_the_boards_memories() -> None:
    names = {memory.address: (memory.name, memory.end) for memory in memories_of(F407)}
    assert names[0] == ("flash", 0x0010_0000)
    assert names[0x0800_0000] == ("flash", 0x0810_0000)
    assert names[0x2001_C000] == ("sram2", 0x2002_0000)
    assert names[0x2002_0000][0] == "unknown"
    assert {memory.name for memory in memories_of(BOARD)} >= {"sram1", "sram2", "sram3", "ccm"}


def test_more_flash_than_the_timing_model_follows_is_refused() -> None:
    flash = replace(BOARD.flash, bytes=4 << 20)
    others = [memory for memory in BOARD.memories if memory.flash is None]
    with pytest.raises(UsageError, match="4,194,304 B of flash"):
        default_clock(Engine(), replace(BOARD, memories=(flash, *others)))


@pytest.mark.parametrize(
    ("chosen", "sector", "erased"),
    [
        (F407, 4, (64 * KIB, 128 * KIB)),
        (F407, 11, (896 * KIB, 1024 * KIB)),
        (F407, 12, None),
        (F407, 16, (0, 16 * KIB)),  # the highest bit of SNB is not there
        (BOARD, 16, (1024 * KIB, 1040 * KIB)),
        (BOARD, 27, (1920 * KIB, 2048 * KIB)),
        (BOARD, 28, None),
    ],
)
def test_sectors_are_those_of_the_board(
    chosen: board.Board, sector: int, erased: tuple[int, int] | None
) -> None:
    chip = chip_with("function start\n b .", board=chosen)
    chip.memory.flash[:] = bytes(chosen.flash.bytes)
    for register, value in (
        (0x4002_3C04, 0x4567_0123), (0x4002_3C04, 0xCDEF_89AB),
        (FLASH_CR, 2 | sector << 3 | 1 << 16),
    ):  # fmt: skip
        chip.bus.write(register, value.to_bytes(4, "little"))
    start, end = erased or (0, 0)
    expected = bytearray(chosen.flash.bytes)
    expected[start:end] = b"\xff" * (end - start)
    assert bytes(chip.memory.flash) == expected


def test_a_crystal_of_another_speed_gives_another_clock() -> None:
    program = """
    function start
     ldr r0, =0x40023800
     ldr r1, =0x00010081
     str r1, [r0]
    1: ldr r1, [r0]
     lsls r1, r1, #14
     bpl 1b
     movs r1, #1
     str r1, [r0, #8]
     bkpt 0
    """
    with finished(program, board=replace(BOARD, hse_hz=25_000_000)) as chip:
        assert chip.rcc.core_hz == 25_000_000


def test_a_debugger_cannot_read_past_the_smaller_parts_memory() -> None:
    port = DebugPort(chip_with("function start\n b .", board=F407).bus)
    port.write_dp(0x4, 0x5000_0000)
    port.write_ap(0x0, 0x2300_0052)
    port.write_ap(0x4, 0x2001_FFFC)
    port.read_ap(0xC)
    port.write_ap(0x4, 0x2002_0000)
    with pytest.raises(TransferFault):
        port.read_ap(0xC)


PARTS = {
    "STM32F446": (0x421, 180, {"sram1": (0x2000_0000, 112), "sram2": (0x2001_C000, 16)}, 512),
    "STM32F469": (
        0x434, 180,
        {"sram1": (0x2000_0000, 160), "sram2": (0x2002_8000, 32), "sram3": (0x2003_0000, 128)},
        2048,
    ),
}  # fmt: skip


def _board(tmp_path: Path, part: str) -> board.Board:
    """Load a board's file with a part of the family that no board of ours has."""
    dev_id, mhz, rams, flash_kib = PARTS[part]
    text = (Path(board.__file__).parents[2] / "boards/stm32f439.toml").read_text("utf-8")
    head = text[: text.index("[[memory]]")]
    head = head.replace("0x419", f"{dev_id:#x}").replace("hz = 168_000_000", f"hz = {mhz}_000_000")
    tail = text[text.index("[link]") :]
    sectors = "{ count = 4, bytes = 16384 }, { count = 1, bytes = 65536 }, "
    sectors += f"{{ count = {(flash_kib - 128) // 128}, bytes = 131072 }}"
    memories = f"""
[[memory]]
name = "flash"
address = 0x0800_0000
bytes = {flash_kib * KIB}
uses = ["code", "dma"]
wait_states = 5
programs_bytes = 4
sectors = [{sectors}]
"""
    for name, (address, kib) in rams.items():
        memories += f"""
[[memory]]
name = "{name}"
address = {address:#x}
bytes = {kib * KIB}
uses = ["code", "data", "dma"]
"""
    path = tmp_path / f"{part.lower()}.toml"
    path.write_text(head + memories + tail, encoding="utf-8")
    return board.load(str(path))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_family_is_a_board_s_file(part: str, tmp_path: Path) -> None:
    """Its last word of RAM is there, the next one is not; UART7 is there where the part has it."""
    chosen = _board(tmp_path, part)
    end = max(ram.end for ram in chosen.regions if ram.flash is None)
    program = f"""
    function start
     ldr r0, =0xE000ED24
     ldr r1, =0x70000
     str r1, [r0]
     ldr r0, =0x40023800
     ldr r1, =0x40000000
     str r1, [r0, #0x40]
     ldr r0, =0x40007808
     movs r1, #99
     str r1, [r0]
     ldr r6, [r0]
     ldr r0, ={end - 4:#x}
     str r1, [r0]
     ldr r4, [r0]
     movs r5, #0
     str r1, [r0, #4]
     bkpt 0
    function bus
     movs r5, #1
     bkpt 0
    """
    with finished(program, board=chosen) as chip:
        has_uart7 = part == "STM32F469"
        assert registers(chip, "r4", "r5", "r6") == (99, 1, 99 if has_uart7 else 0)


def test_a_peripheral_that_the_part_lacks_is_told(caplog: pytest.LogCaptureFixture) -> None:
    chip = StillChip(F407)
    assert "switches on UART7, which this part does not have" in caplog.text
    chip.write(0x4000_7808, 99)
    assert chip.read(0x4000_7808) == 0
