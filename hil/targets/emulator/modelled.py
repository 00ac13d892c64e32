"""What of a chip is modelled, and what is left out by choice: from the code itself."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.targets.emulator.chips.stm32.chip import Chip

_LONGEST_LISTED = 2
BY_CHOICE = "left out by choice: their registers keep what is written, and do nothing"
_IN_RENODE = frozenset({"CAN1", "CAN2", "ETH", "SPI1", "SPI2", "SPI3", "I2C1", "I2C2", "I2C3"})
"""What of it Renode 1.16's own platforms/cpus/stm32f4.repl has."""
_RENODE = (
    "renode -e 'mach create; machine LoadPlatformDescription @platforms/cpus/stm32f4.repl; "
    "sysbus LoadELF @{elf}; start'"
)


def elsewhere(peripheral: str, elf: str = "FILE.elf") -> str:
    """Return where a peripheral that is left out can be had, in words.

    Args:
        peripheral: its name.
        elf: the program, for the command that is told.
    """
    if peripheral in _IN_RENODE:
        return f"Renode has it: {_RENODE.format(elf=elf)}"
    return "neither here nor in Renode's stm32f4.repl"


def rows(chip: "Chip") -> list[tuple[str, str]]:
    """Return names of peripherals, and what of them works, in the order of their addresses."""
    found = sorted(chip.peripherals, key=lambda one: one.address)
    by_text: dict[str, list[str]] = {}
    for one in found:
        if one.models:
            by_text.setdefault(one.models, []).append(one.name)
    return [(ranges(names), text) for text, names in by_text.items()]


def left_out(chip: "Chip") -> list[str]:
    """Return the names of what is left out by choice."""
    return sorted(chip.unmodelled)


def markdown(chip: "Chip") -> str:
    """Return the table of docs/emulator.md."""
    lines = [f"| {names} | {text} |" for names, text in rows(chip)]
    lines.append(f"| {ranges(left_out(chip))} | {BY_CHOICE} |")
    return "\n".join(("| peripheral | what of it works |", "|---|---|", *lines))


def plain(chip: "Chip") -> str:
    """Return the table for a terminal."""
    lines = [f"  {names}  {text}" for names, text in rows(chip)]
    return "\n".join((*lines, f"  (none)  {ranges(left_out(chip))}: {BY_CHOICE}"))


def of_board(board: "Board") -> "Chip":
    """Return a chip of a board, to be looked at."""
    from hil.targets.emulator import chips

    return chips.find(board.chip)(board)


def ranges(names: Iterable[str]) -> str:
    """Join names, those that count on as a range: GPIOA to GPIOC, TIM1 to TIM3, USART1."""
    runs: list[list[tuple[str, int, str]]] = []
    for one in sorted(_parts(name) for name in names):
        stem, number, _ = one
        if runs and number and (stem, number - 1) == runs[-1][-1][:2]:
            runs[-1].append(one)
        else:
            runs.append([one])
    return ", ".join(
        f"{run[0][2]} to {run[-1][2]}" if len(run) > _LONGEST_LISTED else _joined(run)
        for run in runs
    )


def _joined(run: Iterable[tuple[str, int, str]]) -> str:
    return ", ".join(name for _, _, name in run)


def _parts(name: str) -> tuple[str, int, str]:
    """Return a name's stem, the number or the port's letter at its end, and the name."""
    match = re.fullmatch(r"(\D+)(\d+)", name)
    if match:
        return match.group(1), int(match.group(2)), name
    port = re.fullmatch(r"(GPIO)([A-Z])", name)
    return (port.group(1), ord(port.group(2)) - ord("A") + 1, name) if port else (name, 0, name)
