"""DWT: the cycle counter, and comparators that the debugger sets. Source: ARM DDI 0403E C1.8."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hil.targets.emulator.core.registers import Peripheral, Register, Storage, constant

ADDRESS = 0xE000_1000
COMPARATORS = 4
_CYCCNTENA = 1
_PC_MATCH, _READ, _WRITE, _READ_WRITE = 4, 5, 6, 7
_MATCHED = 1 << 24


@dataclass
class Comparator:
    """One of the four comparators."""

    value: Storage = field(default_factory=Storage)
    mask: Storage = field(default_factory=lambda: Storage(writable=0x1F))
    function: Storage = field(default_factory=lambda: Storage(writable=0x000F_FDAF))
    matched: bool = False

    @property
    def halts_at(self) -> int | None:
        """The instruction address at which it halts the core, if it does."""
        return self.value.value & ~1 if self.function.value & 0xF == _PC_MATCH else None

    @property
    def watches(self) -> tuple[range, bool, bool] | None:
        """The data addresses that it watches, whether for reads, whether for writes."""
        kind = self.function.value & 0xF
        if kind not in {_READ, _WRITE, _READ_WRITE}:
            return None
        length = 1 << self.mask.value
        start = self.value.value & ~(length - 1)
        return range(start, start + length), kind != _WRITE, kind != _READ

    def read_function(self) -> int:
        """Return the function register; reading it clears MATCHED."""
        value = self.function.value | (_MATCHED if self.matched else 0)
        self.matched = False
        return value


class DataWatchpointTrace(Peripheral):
    """DWT.

    Args:
        now: the core's cycle count.
        tracing: DEMCR.TRCENA, without which nothing here works.
        on_change: called when comparators have changed.

    Attributes:
        on_read: called, where set, when software reads the cycle counter: for profiles.
    """

    models = "cycle counter, four watchpoint comparators"

    def __init__(
        self,
        now: Callable[[], int],
        tracing: Callable[[], bool],
        on_change: Callable[[], None],
    ) -> None:
        self._now = now
        self._tracing = tracing
        self._on_change = on_change
        self.on_read: Callable[[], None] | None = None
        self._control = Storage(COMPARATORS << 28, writable=0x007F_1FFF)
        self._count = 0
        self._since: int | None = None
        self.comparators = [Comparator() for _ in range(COMPARATORS)]
        registers = {
            0x00: Register(self._control.read, self._write_control),
            0x04: Register(self._read_count, self._write_count),
            0x1C: constant(0),
        }
        # The event counters count nothing here: the cycle model has its own.
        registers |= {offset: constant(0) for offset in range(0x08, 0x1C, 4)}
        for index, comparator in enumerate(self.comparators):
            registers |= self._comparator_registers(0x20 + 0x10 * index, comparator)
        super().__init__("DWT", ADDRESS, registers)

    def reset(self) -> None:
        """Stop the counter; comparators keep until power is gone, as debug logic does."""
        self._control.reset()
        self._count = 0
        self._since = None

    def update(self) -> None:
        """Start or stop counting after a change of TRCENA or CYCCNTENA."""
        counts = bool(self._control.value & _CYCCNTENA) and self._tracing()
        if counts and self._since is None:
            self._since = self._now()
        elif not counts and self._since is not None:
            self._count += self._now() - self._since
            self._since = None

    def skip(self, cycles: int) -> None:
        """Leave out cycles that went by while the core's clock stood."""
        if self._since is not None:
            self._since += cycles

    def _comparator_registers(self, offset: int, comparator: Comparator) -> dict[int, Register]:
        def writes(storage: Storage) -> Callable[[int], None]:
            def write(value: int) -> None:
                storage.write(value)
                self._on_change()

            return write

        return {
            offset: Register(comparator.value.read, writes(comparator.value)),
            offset + 4: Register(comparator.mask.read, writes(comparator.mask)),
            offset + 8: Register(comparator.read_function, writes(comparator.function)),
        }

    def _write_control(self, value: int) -> None:
        self._control.write(value)
        self.update()

    def _read_count(self) -> int:
        if self.on_read is not None:
            self.on_read()
        running = 0 if self._since is None else self._now() - self._since
        return (self._count + running) & 0xFFFF_FFFF

    def _write_count(self, value: int) -> None:
        self._count = value
        if self._since is not None:
            self._since = self._now()
