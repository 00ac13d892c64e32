"""DMA from memory to memory. Source: RM0090 sections 10.3 and 10.5.

Transfers that a peripheral asks for are not made: such a stream stays enabled, and it is told.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hil.targets.emulator.core.registers import Peripheral, Register, Storage, constant, read_only
from hil.targets.emulator.errors import BusError

_log = logging.getLogger(__name__)

_EN, _TEIE, _HTIE, _TCIE = 1 << 0, 1 << 2, 1 << 3, 1 << 4
_TEIF, _HTIF, _TCIF = 1 << 3, 1 << 4, 1 << 5
_INTERRUPTS = ((_TEIE, _TEIF), (_HTIE, _HTIF), (_TCIE, _TCIF))
_FLAGS = 0x3D
_FLAGS_AT = (0, 6, 16, 22)
_MEMORY_TO_MEMORY = 2
_CYCLES_PER_ITEM = 4  # a read and a write on the bus matrix, each with its arbitration
_CORE_COUPLED = range(0x1000_0000, 0x1001_0000)  # which only the core reaches: section 2.1


class Memory(Protocol):
    """What a transfer reads and writes."""

    def read(self, address: int, length: int) -> bytes:
        """Return bytes. Raises BusError."""

    def write(self, address: int, data: bytes) -> None:
        """Change bytes. Raises BusError."""


@dataclass
class Wiring:
    """What is around a controller.

    Attributes:
        memory: that it transfers in. holds: whether memory, and no register, is in a range.
        now: the core's cycle count.
        on_change: called when a deadline or an interrupt line may have changed.
    """

    memory: Memory
    holds: Callable[[int, int], bool]
    now: Callable[[], int]
    on_change: Callable[[], None]


@dataclass
class Stream:
    """One stream with its interrupt.

    Attributes:
        irq: its interrupt number.
        flags: as they stand in LISR or HISR, from bit 0.
    """

    irq: int
    controller: "DirectMemoryAccess"
    control: Storage = field(default_factory=lambda: Storage(writable=0x0FEF_FFFF))
    count: Storage = field(default_factory=lambda: Storage(writable=0xFFFF))
    source: Storage = field(default_factory=Storage)  # PAR
    target: Storage = field(default_factory=Storage)  # M0AR
    second: Storage = field(default_factory=Storage)  # M1AR
    fifo: Storage = field(default_factory=lambda: Storage(0x21, writable=0x87))
    flags: int = 0
    _due: int | None = None

    @property
    def clocked(self) -> bool:
        """Whether the controller has its clock."""
        return self.controller.clocked

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high; the core asks between two runs."""
        self._settle()
        enabled = self.control.value
        return any(enabled & enable and self.flags & flag for enable, flag in _INTERRUPTS)

    def deadline(self) -> int | None:
        """Return the cycle at which a transfer ends, None where none is under way."""
        return self._due

    def reset(self) -> None:
        """Return to the state after reset."""
        for storage in (self.control, self.count, self.source, self.target, self.second, self.fifo):
            storage.reset()
        self.flags, self._due = 0, None

    def _settle(self) -> None:
        """Make the transfer that is due: code that it changes must not be running."""
        if self._due is not None and self.controller.wiring.now() >= self._due:
            self._due = None
            result = self._transfer()
            self.flags |= result
            self.control.value &= ~_EN
            if result & _TCIF:
                self.count.value = 0

    def write_control(self, value: int) -> None:
        """Take the control register; EN begins a transfer."""
        starts = value & ~self.control.value & _EN
        self.control.write(value)
        if not value & _EN:
            self._due = None
        wiring = self.controller.wiring
        if starts and self.controller.copies and value >> 6 & 3 == _MEMORY_TO_MEMORY:
            self._due = wiring.now() + _CYCLES_PER_ITEM * max(self.count.value, 1)
        elif starts:
            _log.warning(
                "a stream of %s waits for the requests of %#010x, which are not modelled: "
                "nothing is transferred", self.controller.name, self.source.value,
            )  # fmt: skip
        wiring.on_change()

    def _transfer(self) -> int:
        """Move all items; returns the flags that this ends with."""
        control, wiring = self.control.value, self.controller.wiring
        memory = wiring.memory
        size = 1 << (control >> 11 & 3)  # PSIZE: NDTR counts items of it
        total = size * self.count.value
        places = self.source.value, self.target.value
        reach = total if control >> 9 & 1 else size, total if control >> 10 & 1 else 4
        for at, length in zip(places, reach, strict=True):
            if at in _CORE_COUPLED or not wiring.holds(at, length):
                return _TEIF
        try:
            if control >> 9 & 1:  # PINC
                data = memory.read(places[0], total)
            else:
                data = memory.read(places[0], size) * self.count.value
            if not control >> 10 & 1:  # MINC: each item goes to the same place
                data = data[-(1 << (control >> 13 & 3)) :]
            memory.write(places[1], data)
        except BusError:
            return _TEIF
        return _HTIF | _TCIF

    def registers(self) -> dict[int, Register]:
        """Return its registers by offset from its own first."""
        return {
            0x00: Register(self.control.read, self.write_control),
            0x04: self.count.register(),
            0x08: self.source.register(),
            0x0C: self.target.register(),
            0x10: self.second.register(),
            0x14: self.fifo.register(),
        }


class DirectMemoryAccess(Peripheral):
    """One controller of eight streams.

    Attributes:
        copies: whether it reaches memory on both sides: DMA2 alone does.
    """

    def __init__(
        self, name: str, address: int, irqs: tuple[int, ...], wiring: Wiring, *, copies: bool
    ) -> None:
        self.wiring = wiring
        self.copies = copies
        self.streams = [Stream(irq, self) for irq in irqs]
        registers: dict[int, Register] = {
            0x00: read_only(lambda: self._status(0)),
            0x04: read_only(lambda: self._status(4)),
            0x08: Register(constant(0).read, lambda value: self._clear(0, value), merges=False),
            0x0C: Register(constant(0).read, lambda value: self._clear(4, value), merges=False),
        }
        for number, stream in enumerate(self.streams):
            for offset, register in stream.registers().items():
                registers[0x10 + 0x18 * number + offset] = register
        super().__init__(name, address, registers)

    def reset(self) -> None:
        """Return to the state after reset."""
        for stream in self.streams:
            stream.reset()

    def _status(self, first: int) -> int:
        value = 0
        for stream, shift in zip(self.streams[first : first + 4], _FLAGS_AT, strict=True):
            value |= stream.flags << shift
        return value

    def _clear(self, first: int, value: int) -> None:
        for stream, shift in zip(self.streams[first : first + 4], _FLAGS_AT, strict=True):
            stream.flags &= ~(value >> shift & _FLAGS)
        self.wiring.on_change()
