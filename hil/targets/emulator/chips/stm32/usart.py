"""Serial ports: data, status, interrupts, and a host on the other end of the line.

A family's generation of them says where registers stand. Bytes pass as fast as either side takes
them unless baud timing is on, and only where silicon would pass them: with the clock on, UE and TE
or RE set, a baud rate, and a pin that carries the line. A firmware that polls an empty receiver
sleeps until a byte comes. Source: RM0090 sections 30.3 and 30.6; RM0432 sections 49 and 50.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hil.targets.emulator.core.registers import Peripheral, Storage
from hil.targets.emulator.line import Line

RXNE = 1 << 5
TC = 1 << 6
TXE = 1 << 7
_IDLE_STATUS = TXE | TC
_INTERRUPTS = RXNE | TC | TXE
"""Each flag's enabling bit of CR1 stands where the flag stands in the status."""
TE = 1 << 3
RE = 1 << 2
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


@dataclass(frozen=True)
class Wiring:
    """What is around a port.

    Attributes:
        core: it belongs to.
        clock_divider: the core's cycles per cycle of its clock.
    """

    core: Core
    clock_divider: Callable[[], float]


@dataclass(frozen=True)
class Baud:
    """How BRR makes a baud rate.

    Attributes:
        least: the smallest BRR that works. bits: of the register.
        per_cycle: BRR counts cycles of the port's clock in this many parts.
    """

    least: int = 16
    bits: int = 16
    per_cycle: int = 1


class Usart(Peripheral):
    """One serial port with its line to the host.

    Args:
        irq: its interrupt number.
        enable: the bit of CR1 that switches it on.
        baud: how it makes its baud rate.

    Attributes:
        irq: its interrupt number.
        line: to the host.
        times_bytes: whether bytes take the time that the baud rate says.
        transmits, receives: whether a pin is connected to the transmitter, to the receiver.
    """

    def __init__(
        self, name: str, address: int, irq: int, wiring: Wiring, *, enable: int, baud: Baud
    ) -> None:
        self.irq = irq
        self._enable = enable
        self._brr = baud
        self.times_bytes = False
        self.transmits = self.receives = False
        self._core = wiring.core
        self._clock_divider = wiring.clock_divider
        self.line = Line(name, self._core.attend)
        self._receive_due = 0
        self._transmit_due = 0
        self._data = 0
        self._held: int | None = None  # written to a transmitter that does not work
        self._last_poll = 0
        self._polls = 0
        self._baud = Storage(writable=(1 << baud.bits) - 1)
        self._control = Storage()
        super().__init__(name, address, {})

    # the core's side

    def reset(self) -> None:
        """Return to the state after reset; bytes under way to the firmware are lost."""
        self.line.discard_sent()
        self._receive_due = self._transmit_due = 0
        self._held = None
        self._baud.reset()
        self._control.reset()

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high."""
        control = self._control.value
        if not control & _INTERRUPTS or not self.clocked:
            return False
        return bool(self._status() & control & _INTERRUPTS)

    def baud(self, core_hz: int) -> float:
        """Return its speed, 0 before it has one."""
        cycles = self._baud.value * self._clock_divider()
        return core_hz * self._brr.per_cycle / cycles if cycles else 0.0

    def deadline(self) -> int | None:
        """Return the cycle at which a byte under way arrives, None if none is."""
        if not self.times_bytes or not self._control.value & _INTERRUPTS:
            return None
        now = self._core.now()
        due = [self._receive_due] if self.line else []
        due.append(self._transmit_due)
        return min((cycle for cycle in due if cycle > now), default=None)

    def _works(self, half: int) -> bool:
        """Whether the transmitter (TE) or the receiver (RE) runs, whatever its pin does."""
        control = self._control.value
        wanted = self._enable | half
        on = control & wanted == wanted
        return on and self.clocked and self._baud.value >= self._brr.least

    def _status(self) -> int:
        now = self._core.now() if self.times_bytes else _LONG_AFTER
        status = _IDLE_STATUS if now >= self._transmit_due and self._held is None else 0
        if self.line and now >= self._receive_due and self.receives and self._works(RE):
            status |= RXNE
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
            self._core.doze(lambda: bool(self._status() & RXNE))
            now = self._core.block_cycles()
        self._last_poll = now

    def _read_data(self) -> int:
        self._polls = 0
        byte = self.line.take() if self._status() & RXNE else None
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
        if self._held is None or not self._works(TE):
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
        self._control.write(value)
        self._transmit()
        self._core.attend()

    def _byte_cycles(self) -> int:
        """Return the core's cycles for a byte on the line."""
        cycles = _BITS_PER_BYTE * self._baud.value / self._brr.per_cycle
        return round(cycles * self._clock_divider())
