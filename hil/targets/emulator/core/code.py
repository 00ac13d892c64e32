"""Where code has run, so that code which changes is translated and timed anew."""

from hil.targets.emulator.core.clock import Clock
from hil.targets.emulator.core.engine import Engine

_PAGE = 0x1000


class SeenCode:
    """The pages that code has run in."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._pages: set[int] = set()

    def note(self, address: int) -> None:
        """Remember that code runs at an address."""
        self._pages.add(address // _PAGE)

    def forget(self, address: int, length: int) -> None:
        """Have what changed in a range read and timed anew, and translated if code has run there.

        Args:
            address: first address of the range.
            length: bytes.
        """
        self._clock.invalidate(address, length)
        if self.has_run_at(address, length):
            self._engine.forget_code(address, length)

    def has_run_at(self, address: int, length: int) -> bool:
        """Whether code has run in one of the pages of a range.

        Args:
            address: of the first byte.
            length: bytes.
        """
        first, last = address // _PAGE, (address + length - 1) // _PAGE
        if first == last:
            return first in self._pages
        return not self._pages.isdisjoint(range(first, last + 1))
