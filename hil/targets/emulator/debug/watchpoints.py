"""Data watchpoints: the DWT's comparators on the engine's memory accesses."""

from collections.abc import Sequence
from dataclasses import dataclass

from hil.targets.emulator.core.engine import Engine
from hil.targets.emulator.debug.dwt import Comparator

_FIRST_DEVICE = 0x4000_0000


@dataclass(frozen=True)
class _Watch:
    addresses: range
    reads: bool
    writes: bool
    comparator: int


class Watchpoints:
    """Keeps the engine's hooks as the comparators say, and notes hits.

    Attributes:
        hit: whether an access of this run matched.
    """

    def __init__(self, engine: Engine, comparators: Sequence[Comparator]) -> None:
        self._engine = engine
        self._comparators = comparators
        self._current: list[_Watch] = []
        self.hit = False

    def update(self, *, enabled: bool) -> None:
        """Make changes of the comparators take effect; call it between runs."""
        self.hit = False
        wanted = [
            _Watch(*watches, index)
            for index, comparator in enumerate(self._comparators)
            if enabled and (watches := comparator.watches)
        ]
        if wanted != self._current:
            self._current = wanted
            self._engine.watch([w.addresses for w in wanted], self._on_access)

    def _on_access(self, address: int, size: int, *, is_write: bool) -> bool:
        """Note a match; returns whether the run ends behind this access."""
        if self.hit:
            return False
        for watch in self._current:
            touches = address < watch.addresses.stop and address + size > watch.addresses.start
            if touches and (watch.writes if is_write else watch.reads):
                self._comparators[watch.comparator].matched = True
                self.hit = True
        # An access that ends a run is made again: devices would notice.
        return self.hit and address < _FIRST_DEVICE
