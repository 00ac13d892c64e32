"""DMA1 and DMA2. Source: RM0090 sections 10.3 and 10.5.

An item is moved when its peripheral asks for it, at the next moment that the core gives; memory to
memory is moved whole when its time is over. Bursts, FIFO thresholds and arbitration cost nothing.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hil.targets.emulator.chips.stm32f4.dma_requests import REQUESTS
from hil.targets.emulator.core.registers import Peripheral, Register, Storage, constant, read_only
from hil.targets.emulator.core.source import Request
from hil.targets.emulator.errors import BusError

_log = logging.getLogger(__name__)

_EN, _TEIE, _HTIE, _TCIE = 1 << 0, 1 << 2, 1 << 3, 1 << 4
_CIRC, _PINC, _MINC, _DBM, _CT = 1 << 8, 1 << 9, 1 << 10, 1 << 18, 1 << 19
_TEIF, _HTIF, _TCIF = 1 << 3, 1 << 4, 1 << 5
_INTERRUPTS = ((_TEIE, _TEIF), (_HTIE, _HTIF), (_TCIE, _TCIF))
_WHILE_ON = _EN | 0x1E  # what can be changed while the stream is enabled
_FLAGS = 0x3D
_FLAGS_AT = (0, 6, 16, 22)
_TO_MEMORY, _TO_PERIPHERAL, _MEMORY_TO_MEMORY = 0, 1, 2
_CYCLES_PER_ITEM = 4  # a read and a write on the bus matrix, each with its arbitration
_CORE_COUPLED = range(0x1000_0000, 0x1001_0000)  # which only the core reaches: section 2.1


class Memory(Protocol):
    """What a transfer reads and writes."""

    def read(self, address: int, length: int) -> bytes:
        """Return bytes. Raises BusError.

        Args:
            address: of the first byte.
            length: bytes.
        """

    def write(self, address: int, data: bytes) -> None:
        """Change bytes. Raises BusError.

        Args:
            address: of the first byte.
            data: the bytes.
        """


@dataclass
class Wiring:
    """What is around a controller.

    Attributes:
        memory: that it transfers in. holds: whether memory, and no register, is in a range.
        now: the core's cycle count.
        on_change: called when a deadline or an interrupt line may have changed.
        requests: of the peripherals, by name.
    """

    memory: Memory
    holds: Callable[[int, int], bool]
    now: Callable[[], int]
    on_change: Callable[[], None]
    requests: Mapping[str, Request]


@dataclass
class Stream:
    """One stream with its interrupt.

    Attributes:
        irq: its interrupt number.
        number: of the controller's streams.
        flags: as they stand in LISR or HISR, from bit 0.
    """

    irq: int
    number: int
    controller: "DirectMemoryAccess"
    control: Storage = field(default_factory=lambda: Storage(writable=0x0FEF_FFFF))
    count: Storage = field(default_factory=lambda: Storage(writable=0xFFFF))
    peripheral: Storage = field(default_factory=Storage)  # PAR
    memories: tuple[Storage, Storage] = field(default_factory=lambda: (Storage(), Storage()))
    fifo: Storage = field(default_factory=lambda: Storage(0x21, writable=0x87))
    flags: int = 0
    _whole: int = 0  # items of the transfer
    _ready_at: int = 0  # the cycle from which the next item can be moved
    _requests: list[Request] = field(default_factory=list)
    _names: tuple[str, ...] = ()  # of the requests

    @property
    def clocked(self) -> bool:
        """Whether it is in use: its controller has its clock, and it moves or has moved items."""
        return self.controller.clocked

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high; the core asks between two runs."""
        enabled = self.control.value
        if enabled & _EN:
            self.settle()
        if not self.flags:
            return False
        return any(enabled & enable and self.flags & flag for enable, flag in _INTERRUPTS)

    def deadline(self) -> int | None:
        """Return the cycle at which there is something to do, None where nothing is under way."""
        due = self._due()
        if due is None:
            return None
        # A request that is always there need not end a run for each item.
        return max(due, self._ready_at) if due else self._ready_at + self._patience()

    def reset(self) -> None:
        """Return to the state after reset."""
        for storage in (self.control, self.count, self.peripheral, *self.memories, self.fifo):
            storage.reset()
        self.flags = 0
        self._requests, self._names = [], ()

    def serves(self, name: str) -> bool:
        """Whether it is on and waits for a request."""
        return bool(self.control.value & _EN) and name in self._names

    # registers

    def registers(self) -> dict[int, Register]:
        """Return its registers by offset from its own first."""
        first, second = self.memories
        return {
            0x00: Register(self._settled(self.control), self._write_control),
            0x04: Register(self._settled(self.count), self._when_off(self.count)),
            0x08: Register(self.peripheral.read, self._when_off(self.peripheral)),
            0x0C: first.register(),
            0x10: second.register(),
            0x14: Register(self.fifo.read, self._when_off(self.fifo)),
        }

    def _settled(self, storage: Storage) -> Callable[[], int]:
        def read() -> int:
            self.settle()
            return storage.value

        return read

    def _when_off(self, storage: Storage) -> Callable[[int], None]:
        def write(value: int) -> None:
            if not self.control.value & _EN:
                storage.write(value)

        return write

    def _write_control(self, value: int) -> None:
        """Take the control register; EN begins a transfer."""
        before = self.control.value
        if before & _EN:
            self.settle()
            value = before & ~_WHILE_ON | value & _WHILE_ON
            if not value & _EN and self.control.value & _EN:
                self.flags |= _TCIF  # section 10.3.15: the end of what has been moved
        self.control.write(value)
        if value & ~before & _EN:
            self._begin()
        self.controller.wiring.on_change()

    def _begin(self) -> None:
        wiring, control = self.controller.wiring, self.control.value
        self._whole = self.count.value
        if self._copies:
            if not self.controller.copies:
                self.control.value &= ~_EN
                self.flags |= _TEIF
            self._ready_at = wiring.now() + _CYCLES_PER_ITEM * max(self.count.value, 1)
            return
        self._ready_at = wiring.now() + _CYCLES_PER_ITEM
        if control & _DBM:
            self.control.value |= _CIRC
        names = REQUESTS[self.controller.name].get((self.number, control >> 25 & 7), ())
        self._names = names
        self._requests = [wiring.requests[name] for name in names if name in wiring.requests]
        if not self._requests:
            self.controller.unmet.update(names)
            asked = " or ".join(names) or "nothing"
            _log.warning(
                "stream %d of %s waits for the requests of %s, which is not modelled: nothing is "
                "transferred", self.number, self.controller.name, asked,
            )  # fmt: skip

    # transfers

    @property
    def _copies(self) -> bool:
        return self.control.value >> 6 & 3 == _MEMORY_TO_MEMORY

    def _due(self) -> int | None:
        if not self.control.value & _EN or (not self.count.value and not self._copies):
            return None
        if self._copies:
            return self._ready_at
        due = (request.due() for request in self._requests)
        return min((at for at in due if at is not None), default=None)

    def _patience(self) -> int:
        left = self.count.value
        half = left - self._whole // 2
        return _CYCLES_PER_ITEM * ((half if half > 0 else left) - 1)

    def settle(self) -> None:
        """Move what is due."""
        now = self.controller.wiring.now()
        while (due := self._due()) is not None:
            at = max(due, self._ready_at)
            if at > now:
                return
            if self._copies:
                self._end(self._copy())
                return
            self._move(at)

    def _move(self, at: int) -> None:
        """Move one item that a peripheral has asked for."""
        control = self.control.value
        try:
            self._move_item(control, 1 << (control >> 11 & 3))
        except BusError:
            self._end(_TEIF)
            return
        self._ready_at = at + _CYCLES_PER_ITEM
        for request in self._requests:
            request.taken(at)
        self.count.value -= 1
        if self.count.value == self._whole - self._whole // 2:
            self.flags |= _HTIF
        if self.count.value:
            return
        self.flags |= _TCIF
        for request in self._requests:
            request.ended()
        if control & _CIRC:
            self.count.value = self._whole
            self.control.value ^= _CT if control & _DBM else 0
        else:
            self.control.value &= ~_EN

    def _move_item(self, control: int, size: int) -> None:
        wiring, done = self.controller.wiring, self._whole - self.count.value
        in_second = control & _DBM and control & _CT
        base = self.memories[1 if in_second else 0].value
        memory = base + (done * size if control & _MINC else 0)
        peripheral = self.peripheral.value + (done * size if control & _PINC else 0)
        if memory in _CORE_COUPLED or not wiring.holds(memory, size):
            raise BusError(memory)
        if control >> 6 & 3 == _TO_PERIPHERAL:
            wiring.memory.write(peripheral, wiring.memory.read(memory, size))
        else:
            wiring.memory.write(memory, wiring.memory.read(peripheral, size))

    def _end(self, result: int) -> None:
        self.flags |= result
        self.control.value &= ~_EN
        if result & _TCIF:
            self.count.value = 0

    def _copy(self) -> int:
        """Move all items from memory to memory; returns the flags that this ends with."""
        control, wiring = self.control.value, self.controller.wiring
        memory = wiring.memory
        size = 1 << (control >> 11 & 3)  # PSIZE: NDTR counts items of it
        total = size * self.count.value
        places = self.peripheral.value, self.memories[0].value
        reach = total if control & _PINC else size, total if control & _MINC else 4
        for at, length in zip(places, reach, strict=True):
            if at in _CORE_COUPLED or not wiring.holds(at, length):
                return _TEIF
        try:
            if control & _PINC:
                data = memory.read(places[0], total)
            else:
                data = memory.read(places[0], size) * self.count.value
            if not control & _MINC:  # each item goes to the same place
                data = data[-(1 << (control >> 13 & 3)) :]
            memory.write(places[1], data)
        except BusError:
            return _TEIF
        return _HTIF | _TCIF


class DirectMemoryAccess(Peripheral):
    """One controller of eight streams.

    Attributes:
        copies: whether it reaches memory on both sides: DMA2 alone does.
        unmet: requests that streams wait for and nobody makes.
    """

    models = (
        "memory to memory; requests of USARTs, timers, ADC, DAC; circular, double buffer, half, "
        "full"
    )

    def __init__(
        self, name: str, address: int, irqs: tuple[int, ...], wiring: Wiring, *, copies: bool
    ) -> None:
        self.wiring = wiring
        self.unmet: set[str] = set()
        self.copies = copies
        self.streams = [Stream(irq, number, self) for number, irq in enumerate(irqs)]
        self.sources = self.streams
        registers: dict[int, Register] = {
            0x00: read_only(lambda: self._status(0), self._changes),
            0x04: read_only(lambda: self._status(4), self._changes),
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

    def serves(self, name: str) -> bool:
        """Whether a stream is on and waits for a request, by its name."""
        return any(stream.serves(name) for stream in self.streams)

    def _status(self, first: int) -> int:
        value = 0
        for stream, shift in zip(self.streams[first : first + 4], _FLAGS_AT, strict=True):
            stream.settle()
            value |= stream.flags << shift
        return value

    def _changes(self) -> int | None:
        deadlines = (stream.deadline() for stream in self.streams)
        return min((at for at in deadlines if at is not None), default=None)

    def _clear(self, first: int, value: int) -> None:
        for stream, shift in zip(self.streams[first : first + 4], _FLAGS_AT, strict=True):
            stream.flags &= ~(value >> shift & _FLAGS)
        self.wiring.on_change()
