"""The board's description for Renode, held to the one that everything else reads."""

from itertools import pairwise
from pathlib import Path

import pytest

from hil.config import board as boards
from hil.config.board import Region
from hil.paths import BOARDS

BOARD = boards.load("stm32f439")


@pytest.fixture(scope="module")
def platform() -> str:
    return (BOARDS / "stm32f439.repl").read_text(encoding="utf-8")


def memories(platform: str) -> dict[str, Region]:
    """Return the memories that a platform description declares, by name."""
    found = {}
    lines = platform.splitlines()
    for heading, first in pairwise(lines):
        name, _, kind = heading.partition(": ")
        if kind.startswith("Memory.MappedMemory @ sysbus "):
            found[name] = Region(
                int(kind.split()[-1], 16), int(first.removeprefix("    size: "), 16)
            )
    return found


def test_renodes_memories_are_the_boards(platform: str) -> None:
    assert memories(platform) == {one.name: one.region for one in BOARD.regions}


def test_renode_has_the_link_s_uart_and_a_cycle_counter(platform: str) -> None:
    assert f"\n{BOARD.uart}: UART.STM32_UART @ " in platform
    assert "\ndwt: Python.PythonPeripheral @ sysbus 0xE0001000\n" in platform


@pytest.mark.parametrize("name", ["stm32f439.repl", "stm32f439.resc", "stm32f439.robot"])
def test_nothing_is_fetched_when_the_board_is_built(name: str) -> None:
    text = Path(BOARDS / name).read_text(encoding="utf-8")
    assert "http" not in text
    assert "ApplySVD" not in text
