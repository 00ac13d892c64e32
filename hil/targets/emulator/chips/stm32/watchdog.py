"""IWDG: resets the chip unless it is fed. Source: RM0090 section 21, RM0432 section 46."""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

from hil.targets.emulator.chips.stm32.clocks import WATCHDOG_RESET
from hil.targets.emulator.core.registers import Peripheral, Register, Storage, constant, write_only

_ADDRESS = 0x4000_3000
_LSI_HZ = 32_000
_FEED, _UNLOCK, _START = 0xAAAA, 0x5555, 0xCCCC
_SHORTEST_PRESCALER, _LARGEST_PR = 4, 6


class Watchdog(Peripheral):
    """What resets the chip unless it is fed.

    Attributes:
        cause: the flag of RCC_CSR that tells.
    """

    cause: ClassVar[int]

    @abstractmethod
    def deadline(self) -> int | None:
        """Return the cycle at which it acts, None while it does not run."""

    @abstractmethod
    def is_due(self) -> bool:
        """Whether it has not been fed in time."""


class IndependentWatchdog(Watchdog):
    """IWDG, on a clock of its own.

    Args:
        now: the core's cycle count.
        core_hz: the core's clock, which its time is counted in.
        by_hardware: whether option bytes have it run from reset on.
        on_change: called when `deadline` may have changed.
    """

    cause = WATCHDOG_RESET
    models = "started by software or by option bytes; resets the chip and says so in RCC_CSR"

    def __init__(
        self,
        now: Callable[[], int],
        core_hz: int,
        by_hardware: Callable[[], bool],
        on_change: Callable[[], None],
    ) -> None:
        self._now = now
        self._core_hz = core_hz
        self._by_hardware = by_hardware
        self._on_change = on_change
        self._due: int | None = None
        self._unlocked = False
        self._prescaler = Storage(writable=0x7)
        self._reload = Storage(0xFFF, writable=0xFFF)
        super().__init__(
            "IWDG",
            _ADDRESS,
            {
                0x0: write_only(self._take_key),
                0x4: Register(self._prescaler.read, self._if_unlocked(self._prescaler)),
                0x8: Register(self._reload.read, self._if_unlocked(self._reload)),
                0xC: constant(0),
            },
        )

    def reset(self) -> None:
        """Stop; start again where option bytes say so."""
        self._prescaler.reset()
        self._reload.reset()
        self._unlocked = False
        self._due = None
        if self._by_hardware():
            self._feed()

    def deadline(self) -> int | None:
        """Return the cycle at which it resets the chip, None while it does not run."""
        return self._due

    def is_due(self) -> bool:
        """Whether it has not been fed in time."""
        return self._due is not None and self._now() >= self._due

    def before_clock(self, core_hz: int) -> None:
        """Count what is left in cycles of the core's new clock."""
        if self._due is not None:
            now = self._now()
            self._due = now + (self._due - now) * core_hz // self._core_hz
            self._on_change()
        self._core_hz = core_hz

    def _take_key(self, key: int) -> None:
        self._unlocked = key == _UNLOCK
        if key == _START or (key == _FEED and self._due is not None):
            self._feed()

    def _feed(self) -> None:
        steps = _SHORTEST_PRESCALER << min(self._prescaler.value, _LARGEST_PR)
        ticks = steps * (self._reload.value + 1)
        self._due = self._now() + ticks * self._core_hz // _LSI_HZ
        self._on_change()

    def _if_unlocked(self, storage: Storage) -> Callable[[int], None]:
        def write(value: int) -> None:
            if self._unlocked:
                storage.write(value)

        return write
