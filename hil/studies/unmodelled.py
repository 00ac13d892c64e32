"""Reports, once each, what a program uses without a model or without a clock."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hil.errors import FirmwareFault
from hil.studies.program_places import ProgramPlaces
from hil.targets.emulator.chips.stm32.gates import block_at
from hil.targets.emulator.modelled import elsewhere
from hil.targets.emulator.register_names import RegisterNames

if TYPE_CHECKING:
    from hil.targets.emulator.chips.stm32.chip import Chip

_MOST_TOLD = 32  # registers of one peripheral


class Unmodelled:
    """Tells of each register once, and with a peripheral's first where that can be had.

    Args:
        warn: takes the text.
        strict: whether the first such use is an error, at which the core halts.
    """

    def __init__(
        self,
        chip: "Chip",
        elf: Path | None,
        warn: Callable[[str], None],
        *,
        strict: bool,
    ) -> None:
        self._chip = chip
        self._elf = elf
        self._warn = warn
        self._strict = strict
        self._names = RegisterNames(chip.svd)
        self._told: Counter[str] = Counter()
        self._first = ""
        chip.memory.bus.on_unmodelled = self._note
        chip.memory.bus.on_unclocked = self._note_unclocked

    def raise_if_strict(self) -> None:
        """Raise FirmwareFault where a use is an error and there was one."""
        if self._strict and self._first:
            raise FirmwareFault(
                f"the program used {self._first}", hint="without --strict it goes on"
            )

    def _other(self, address: int) -> str:
        """Say where a peripheral that is left out by choice can be had."""
        block = self._block(address)
        return (
            f"; {block} is left out by choice, {elsewhere(block, str(self._elf))}" if block else ""
        )

    def by_peripheral(self) -> dict[str, tuple[str, ...]]:
        """Return the registers that were used, by peripheral."""
        found: dict[str, list[str]] = {}
        for address in sorted(self._chip.memory.bus.unmodelled):
            name = self._names.peripheral(address) or self._block(address) or "no peripheral"
            found.setdefault(name, []).append(self._names.register(address))
        return {name: tuple(registers) for name, registers in found.items()}

    def _block(self, address: int) -> str:
        return block_at(self._chip.unmodelled, address)

    def _note_unclocked(self, peripheral: str, address: int) -> None:
        within = self._function()
        where = f" in {within}" if within else ""
        self._warn(
            f"{self._names.name(address)} is written{where} while {peripheral} has no clock from "
            "RCC, or is held in reset: nothing happens"
        )

    def _function(self) -> str:
        return ProgramPlaces(self._elf).function(self._chip.engine.read("pc"))

    def _note(self, address: int) -> None:
        function = self._function()
        within = f", used in {function}" if function else ""
        text = f"{self._names.name(address)}, which is not modelled{within}"
        if self._strict and not self._first:
            self._first = text
            self._chip.core.halt(0)
        if not self._strict:
            self._tell(self._block(address) or self._names.peripheral(address), text, address)

    def _tell(self, peripheral: str, text: str, address: int) -> None:
        self._told[peripheral] += 1
        if self._told[peripheral] == 1:
            self._warn(
                f"{text}: it keeps what is written to it, and does nothing{self._other(address)}"
            )
        elif self._told[peripheral] < _MOST_TOLD:
            self._warn(text)
        elif self._told[peripheral] == _MOST_TOLD:
            self._warn(f"{text}; --report-unmodelled lists what else of {peripheral} it uses")
