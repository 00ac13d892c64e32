"""USART: data, status, interrupts, and a host on the other end of the line.

Bytes pass as fast as either side takes them unless baud timing is on, and only where silicon would
pass them: with the clock on, UE and TE or RE set, a baud rate, and a pin that carries the line. A
firmware that polls an empty receiver sleeps until a byte comes. Source: RM0090 sections 30.3, 30.6.
"""

from collections.abc import Callable
from typing import Protocol

from hil.targets.emulator.core.registers import Peripheral, Register, Storage
from hil.targets.emulator.line import Line

_RXNE = 1 << 5
_TC = 1 << 6
_TXE = 1 << 7
_IDLE_STATUS = _TXE | _TC
_RXNEIE = 1 << 5
_TCIE = 1 << 6
_TXEIE = 1 << 7
_UE = 1 << 13
_TE = 1 << 3
_RE = 1 << 2
_LEAST_DIVIDER = 16
_BITS_PER_BYTE = 10
_LONG_AFTER = 1 << 64

# A receiver is polled in a tight loop when its status is read again within so many cycles, so
# often in a row. Other reads of the status are glances in passing and return at once.
_TIGHT_CYCLES = 400
_TIGHT_POLLS = 16


class Core(Protocol):
    """What a USART needs of the core it belongs to."""

    def now(self) -> int:
        """Return the cycle count."""

    def block_cycles(self) -> int:
        """Return the cycle count at the last block's end, which is cheaper to know."""

    def attend(self) -> None:
        """Look at interrupt lines and deadlines again soon; any thread may call."""

    def doze(self, arrived: Callable[[], bool]) -> None:
        """Sleep, in a bus access, until something arrives or the core is needed."""


class Usart(Peripheral):
    """One USART with its line to the host.

    Args:
        bus_divider: the core's cycles per cycle of its bus.

    Attributes:
        irq: its interrupt number.
        line: to the host.
        times_bytes: whether bytes take the time that the baud rate says.
        transmits, receives: whether a pin is connected to the transmitter, to the receiver.
    """

    def __init__(
        self, name: str, address: int, irq: int, core: Core, bus_divider: Callable[[], int]
    ) -> None:
        self.irq = irq
        self.times_bytes = False
        self.transmits = self.receives = False
        self._core = core
        self._bus_divider = bus_divider
        self.line = Line(name, core.attend)
        self._receive_due = 0
        self._transmit_due = 0
        self._data = 0
        self._held: int | None = None  # written to a transmitter that does not work
        self._last_poll = 0
        self._polls = 0
        self._baud = Storage(writable=0xFFFF)
        self._control = [Storage(writable=0xFFFF) for _ in range(4)]
        super().__init__(
            name,
            address,
            {
                0x00: Register(self._read_status, self._clear_status, merges=False),
                0x04: Register(self._read_data, self._write_data, merges=False),
                0x08: Register(self._baud.read, self._write_baud),
                0x0C: Register(self._control[0].read, self._write_control),
                0x10: self._control[1].register(),
                0x14: self._control[2].register(),
                0x18: self._control[3].register(),
            },
        )

    # the core's side

    def reset(self) -> None:
        """Return to the state after reset; bytes under way to the firmware are lost."""
        self.line.discard_sent()
        self._receive_due = self._transmit_due = 0
        self._held = None
        for storage in (self._baud, *self._control):
            storage.reset()

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high."""
        control = self._control[0].value
        if not control & (_RXNEIE | _TCIE | _TXEIE) or not self.clocked:
            return False
        return bool(self._status() & control & (_RXNEIE | _TCIE | _TXEIE))

    def deadline(self) -> int | None:
        """Return the cycle at which a byte under way arrives, None if none is."""
        if not self.times_bytes or not self._control[0].value & (_RXNEIE | _TCIE | _TXEIE):
            return None
        now = self._core.now()
        due = [self._receive_due] if self.line else []
        due.append(self._transmit_due)
        return min((cycle for cycle in due if cycle > now), default=None)

    def _works(self, half: int) -> bool:
        """Whether the transmitter (TE) or the receiver (RE) runs, whatever its pin does."""
        control = self._control[0].value
        on = control & (_UE | half) == _UE | half
        return on and self.clocked and self._baud.value >= _LEAST_DIVIDER

    def _status(self) -> int:
        now = self._core.now() if self.times_bytes else _LONG_AFTER
        status = _IDLE_STATUS if now >= self._transmit_due and self._held is None else 0
        if self.line and now >= self._receive_due and self.receives and self._works(_RE):
            status |= _RXNE
        return status

    def _read_status(self) -> int:
        status = self._status()
        if status != _IDLE_STATUS and self._held is None:
            return status
        self._doze_if_polled()
        return self._status()

    def _doze_if_polled(self) -> None:
        now = self._core.block_cycles()
        tight = now - self._last_poll < _TIGHT_CYCLES
        self._polls = self._polls + 1 if tight else 0
        if self._polls >= _TIGHT_POLLS:
            self._core.doze(lambda: bool(self._status() & _RXNE))
            now = self._core.block_cycles()
        self._last_poll = now

    def _clear_status(self, value: int) -> None:
        """Take write-zero-to-clear; the flags modelled here follow the data instead."""

    def _read_data(self) -> int:
        self._polls = 0
        byte = self.line.take() if self._status() & _RXNE else None
        if byte is not None:
            self._data = byte
            if self.times_bytes:
                self._receive_due = self._core.now() + self._byte_cycles()
        return self._data

    def _write_data(self, value: int) -> None:
        self._polls = 0
        self._held = value & 0xFF
        self._transmit()

    def _transmit(self) -> None:
        """Send the byte that was written, once the transmitter works."""
        if self._held is None or not self._works(_TE):
            return
        if self.times_bytes:
            self._transmit_due = max(self._core.now(), self._transmit_due) + self._byte_cycles()
        if self.transmits:
            self.line.put(bytes((self._held,)))
        self._held = None

    def _write_baud(self, value: int) -> None:
        self._baud.write(value)
        self._transmit()

    def _write_control(self, value: int) -> None:
        self._control[0].write(value)
        self._transmit()
        self._core.attend()

    def _byte_cycles(self) -> int:
        """Return the core's cycles for a byte on the line; BRR is the bus cycles per bit."""
        return _BITS_PER_BYTE * self._baud.value * self._bus_divider()
