"""What the flash controllers of several families share: access control, errors, repairs.

Source: RM0090 section 3, RM0432 section 3.
"""

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from hil.targets.emulator.chips.stm32.key_sequence import KeySequence
from hil.targets.emulator.core.programming import Programming
from hil.targets.emulator.core.registers import Peripheral, Register, Storage

ERASED = 0xFF
IRQ = 4
_KEYS = (0x4567_0123, 0xCDEF_89AB)

# FLASH_SR and FLASH_CR
EOP = 1 << 0
OPERR = 1 << 1
BSY = 1 << 16
EOPIE = 1 << 24
ERRIE = 1 << 25
LOCK = 1 << 31

# FLASH_ACR
LATENCY = 0xF
_CACHE_ON = (1 << 9, 1 << 10)
_CACHE_RESET_BY_ON = 2  # ICRST and DCRST are as far above ICEN and DCEN


class Options(Protocol):
    """Option bytes: what outlives power."""

    @property
    def level(self) -> int:
        """The read-out protection: 0, 1 or 2."""

    @property
    def starts_watchdog(self) -> bool:
        """Whether the independent watchdog runs from reset on."""

    def placed(self) -> Iterable[tuple[int, bytearray]]:
        """Return the addresses where they are read, each with its bytes."""


@dataclass(frozen=True)
class FlashCalls:
    """Whom a flash controller tells what.

    Attributes:
        changed: called with offset and length of what was erased or programmed.
        set_acr: receives the access control register.
        on_interrupt: called when the interrupt line is high.
        on_repair: called when `settle` has something to do soon.
        programming: what the C side may answer.
        now: the core's cycle count.
    """

    changed: Callable[[int, int], None]
    set_acr: Callable[[int], None]
    on_interrupt: Callable[[], None]
    on_repair: Callable[[], None]
    programming: Programming
    now: Callable[[], int] = lambda: 0


class AccessControl:
    """FLASH_ACR: wait states that take a moment, caches that are reset only while they are off.

    Args:
        reset, writable: of the register.
        settles_cycles: how long new wait states take; reading them back waits for that.
    """

    def __init__(
        self, reset: int, writable: int, calls: FlashCalls, settles_cycles: int = 0
    ) -> None:
        self._settles_cycles = settles_cycles
        self._storage = Storage(reset, writable=writable)
        self._calls = calls
        self._wait_states_before = 0
        self._settles_at = 0

    def reset(self) -> None:
        """Return to the value after reset."""
        self._storage.reset()
        self._wait_states_before = self._settles_at = 0
        self._calls.set_acr(self._storage.value)

    @property
    def least_wait_states(self) -> int:
        """The wait states that are in force, the fewer of two while they change."""
        return min(self._wait_states, self._storage.value & LATENCY)

    @property
    def _wait_states(self) -> int:
        if self._calls.now() < self._settles_at:
            return self._wait_states_before
        return self._storage.value & LATENCY

    def read(self) -> int:
        """Return FLASH_ACR: firmware that reads new wait states back has them in force."""
        self._settles_at = 0
        return self._storage.value

    def write(self, value: int) -> None:
        """Take FLASH_ACR: a cache's reset bit only where the cache is off."""
        for on in _CACHE_ON:
            if self._storage.value & on:
                value &= ~(on << _CACHE_RESET_BY_ON)
        if (self._storage.value ^ value) & LATENCY:
            self._wait_states_before = self._wait_states
            self._settles_at = self._calls.now() + self._settles_cycles
        self._storage.write(value)
        self._calls.set_acr(self._storage.value)

    def register(self) -> Register:
        """Return the bus's view of it."""
        return Register(self.read, self.write)


class FlashController(Peripheral):
    """FLASH, but for what is erased and programmed at once.

    Args:
        memory: the flash's bytes.
        access: FLASH_ACR.
        errors: of FLASH_SR.

    Attributes:
        irq: its interrupt number.
        erase_s: seconds of the host that erasing takes; `math.inf` where it never ends.
    """

    models = "locks, erasing, programming with its errors, wait states, caches; option bytes"
    options: Options

    def __init__(
        self,
        address: int,
        memory: "bytearray | memoryview",
        access: AccessControl,
        calls: FlashCalls,
        errors: int,
    ) -> None:
        self.irq = IRQ
        self.sources = (self,)
        self._memory = memory
        self._access = access
        self._calls = calls
        self._errors = errors
        self.erase_s = 0.0
        self._stuck: frozenset[int] = frozenset()
        self._on_step: Callable[[str], None] | None = None
        self._busy_until = 0.0
        self._repairs: list[tuple[int, bytes]] = []
        self._keys = KeySequence(_KEYS)
        self._status = 0
        self._control = 0
        super().__init__("FLASH", address, {0x00: access.register()})

    def reset(self) -> None:
        """Return to the state after reset: locked. Option bytes are loaded anew."""
        self._access.reset()
        self._keys.reset()
        self._calls.programming.close()
        self._status = self._control = 0
        self._busy_until = 0.0

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high."""
        ended = self._control & EOPIE and self._status & EOP
        failed = self._control & ERRIE and self._status & self._errors
        return bool(ended or failed)

    @property
    def stuck(self) -> frozenset[int]:
        """Offsets of bytes that stay 0 whatever is programmed, as those of worn cells."""
        return self._stuck

    @stuck.setter
    def stuck(self, offsets: frozenset[int]) -> None:
        self._stuck = offsets
        self._calls.programming.close()

    @property
    def on_step(self) -> Callable[[str], None] | None:
        """Told "erase" and "program" when either begins; None for nobody."""
        return self._on_step

    @on_step.setter
    def on_step(self, told: Callable[[str], None] | None) -> None:
        self._on_step = told
        self._calls.programming.close()

    def deadline(self) -> int | None:
        """Return None: the line changes only by what software does."""
        return None

    @abstractmethod
    def program(self, offset: int, size: int, value: int) -> bool:
        """Take a store to flash that is about to happen; returns whether it may.

        Where the outcome is not the value stored, `settle` makes it so.

        Args:
            offset: from the flash's start.
            size: 1, 2 or 4 bytes.
            value: what is stored.
        """

    def settle(self) -> None:
        """Put right what a store wrote that programming would not have."""
        for offset, outcome in self._repairs:
            self._memory[offset : offset + len(outcome)] = outcome
        self._repairs.clear()

    @property
    def least_wait_states(self) -> int:
        """The wait states that are in force, the fewer of two while they change."""
        return self._access.least_wait_states

    def _come_out_as(self, offset: int, outcome: bytes) -> None:
        """Have bytes end up otherwise than the store that is about to happen leaves them."""
        self._calls.programming.close()
        self._repairs.append((offset, outcome))
        self._calls.on_repair()

    def _read_status(self) -> int:
        if self._repairs:
            self.settle()
        return self._status | (BSY if self._is_busy else 0)

    @property
    def _is_busy(self) -> bool:
        return bool(self._busy_until) and time.monotonic() < self._busy_until

    def _begin_erasing(self) -> None:
        self._tell("erase")
        if self.erase_s:
            self._busy_until = time.monotonic() + self.erase_s

    def _tell(self, step: str) -> None:
        if self._on_step is not None:
            self._on_step(step)

    def _as_cells_take_it(self, offset: int, data: bytes) -> bytes:
        return bytes(0 if offset + at in self._stuck else one for at, one in enumerate(data))

    def _clear_status(self, value: int) -> None:
        self._status &= ~value

    def _erase_range(self, start: int, end: int) -> None:
        self._memory[start:end] = bytes([ERASED]) * (end - start)
        self._calls.changed(start, end - start)

    def _erase_all(self) -> None:
        self._erase_range(0, len(self._memory))

    def _end(self) -> None:
        if self._control & EOPIE:
            self._status |= EOP
            self._notify()

    def _fail(self, error: int) -> None:
        self._calls.programming.close()
        self._status |= error | (OPERR if self._control & ERRIE else 0)
        self._notify()

    def _notify(self) -> None:
        if self._control & (EOPIE | ERRIE) and self.interrupt:
            self._calls.on_interrupt()
