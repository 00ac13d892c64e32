"""Names of the places of a program that need not be the project's own."""

from contextlib import suppress
from pathlib import Path

from hil.build.image import refusals
from hil.build.places import Places
from hil.errors import BuildError, UsageError
from hil.studies.profile.flame import UNKNOWN, Functions


class ProgramPlaces(Places):
    """Names places as far as the file knows them: nothing where it is stripped or damaged.

    Args:
        elf: None for a program that came without one.
    """

    def __init__(self, elf: Path | None) -> None:
        self._functions: Functions | None = None
        self._has_lines = elf is not None
        if elf is not None:
            self._elf = elf
            with suppress(BuildError, UsageError), refusals(elf):
                self._functions = Functions.of(elf)

    def function(self, address: int) -> str:
        """Return the name of the function that holds an address, empty where none does."""
        name = self._functions.name(address & ~1) if self._functions else UNKNOWN
        return "" if name == UNKNOWN else name

    def line(self, address: int) -> str:
        """Return the file and line of an address, empty where they are not known."""
        return super().line(address) if self._has_lines else ""
