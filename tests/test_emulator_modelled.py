"""What is modelled is said from the code: in the help, in the page, and when something is not."""

import re
from pathlib import Path

import pytest
import thumb
from emulated import BOARD

from hil import cli
from hil.studies import emulate
from hil.targets.emulator import modelled
from hil.targets.emulator.register_names import RegisterNames

PAGE = Path(__file__).parents[1] / "docs/emulator.md"
TOUCH = """
function start
 ldr r0, ={address:#x}
 ldr r1, [r0]
 ldr r1, [r0, #4]
 ldr r0, =0x18
 ldr r1, =0x20026
 bkpt 0xab
"""


def test_the_page_s_table_is_the_code_s() -> None:
    table = modelled.markdown(modelled.of_board(BOARD))
    assert table in PAGE.read_text("utf-8"), "write it anew: hil.targets.emulator.modelled.markdown"


def test_the_help_has_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["emulate", "--help"])
    printed = re.sub(r"\s+", " ", capsys.readouterr().out)
    for names, text in modelled.rows(modelled.of_board(BOARD)):
        assert f"{names} {text}" in printed


def test_every_peripheral_is_modelled_or_left_out_and_none_is_both() -> None:
    chip = modelled.of_board(BOARD)
    for name, block in chip.unmodelled.items():
        blocks = range(block.address, block.address + block.bytes)
        assert not any(one.address in blocks for one in chip.peripherals), name


@pytest.mark.parametrize(
    ("address", "named", "elsewhere"),
    [
        (0x4001_3000, "SPI1_CR1", "SPI1 is left out by choice, Renode has it: renode -e"),
        (0x5005_0000, "DCMI_CR", "DCMI is left out by choice, neither here nor in Renode's"),
        (0x4000_5400, "I2C1_CR1", "sysbus LoadELF @"),
        (0x4000_6400, "CAN1_MCR", "CAN1 is left out by choice, Renode has it"),
    ],
)
def test_each_register_that_is_left_out_is_named_at_its_first_use(
    address: int, named: str, elsewhere: str
) -> None:
    elf = thumb.assemble(TOUCH.format(address=address))
    told: list[str] = []
    outcome = emulate.run(elf, BOARD, max_seconds=60, warn=told.append)
    first, second = told
    assert first.startswith(f"{named} ({address:#010x}), which is not modelled, used in start")
    assert elsewhere in first
    ((peripheral, registers),) = outcome.unmodelled.items()
    assert named == f"{peripheral}_{registers[0]}"
    assert second.startswith(f"{peripheral}_{registers[1]} (")
    assert second.endswith("which is not modelled, used in start")


def test_a_peripheral_that_is_written_to_without_its_clock_is_told_once() -> None:
    """RM0090 section 6.3.14: what has no clock ignores writes."""
    source = """
    function start
     ldr r0, =0x40004400
     str r0, [r0, #0xC]
     str r0, [r0, #4]
     ldr r0, =0x18
     ldr r1, =0x20026
     bkpt 0xab
    """
    told: list[str] = []
    emulate.run(thumb.assemble(source), BOARD, max_seconds=60, warn=told.append)
    (line,) = told
    assert line.startswith("USART2_CR1 (0x4000440c) is written in start while USART2 has no clock")


def test_a_block_with_very_many_registers_is_told_of_in_few_lines() -> None:
    source = """
    function start
     ldr r0, =0x40023830
     mov r1, #0x80
     str r1, [r0, #4]
     ldr r0, =0x50001000
     movs r2, #200
    1: str r1, [r0], #4
     subs r2, #1
     bne 1b
     movs r0, #0x18
     ldr r1, =0x20026
     bkpt 0xAB
    """
    told: list[str] = []
    outcome = emulate.run(thumb.assemble(source), BOARD, max_seconds=60, warn=told.append)
    assert len(told) == 32
    assert told[-1].endswith("--report-unmodelled lists what else of OTG_FS it uses")
    assert sum(len(registers) for registers in outcome.unmodelled.values()) == 200


@pytest.mark.parametrize(
    ("names", "joined"),
    [
        (("TIM2", "TIM1", "TIM3"), "TIM1 to TIM3"),
        (("USART6", "USART1", "USART2"), "USART1, USART2, USART6"),
        (("GPIOA", "GPIOB", "GPIOC", "CRC"), "CRC, GPIOA to GPIOC"),
        ((), ""),
    ],
)
def test_names_that_count_on_are_a_range(names: tuple[str, ...], joined: str) -> None:
    assert modelled.ranges(names) == joined


def test_the_report_lists_nothing_where_all_is_modelled(
    capsys: pytest.CaptureFixture[str],
) -> None:
    elf = thumb.assemble(TOUCH.format(address=0x4002_3800))
    assert cli.main(["emulate", str(elf), "--report-unmodelled", "--max-seconds", "60"]) == 0
    assert "it used no register that is not modelled" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (0xE000_E010, "SYST_CSR (0xe000e010)"),
        (0xE000_ED28, "CFSR (0xe000ed28)"),
        (0x4002_3C0C, "FLASH_SR (0x40023c0c)"),
        (0x0800_0000, "0x08000000"),
    ],
)
def test_registers_have_names(address: int, name: str) -> None:
    assert RegisterNames("STM32F439x.svd").name(address) == name
