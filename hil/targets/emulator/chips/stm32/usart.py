"""Serial ports: data, status, interrupts, and a host on the other end of the line.

A family's generation of them says where registers stand. Bytes pass only where
silicon passes them: with the clock on, UE and TE or RE set, a baud rate, and a pin that carries the
line. They pass as fast as either side takes them, unless baud timing is on. A firmware that polls
an empty receiver sleeps until a byte comes.

Source: RM0090 sections 30.3 and 30.6; RM0432 sections 49 and 50.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hil.targets.emulator.core.lent import LENT_BYTES, Lent
from hil.targets.emulator.core.registers import Peripheral, Storage
from hil.targets.emulator.core.sending import Sending
from hil.targets.emulator.core.source import Request
from hil.targets.emulator.line import Line

_log = logging.getLogger(__name__)

FE, ORE, IDLE = 1 << 1, 1 << 3, 1 << 4
RXNE = 1 << 5
TC = 1 << 6
TXE = 1 << 7
LBD = 1 << 8
ERRORS = 0xF  # PE, FE, NF, ORE
_INTERRUPTS = IDLE | RXNE | TC | TXE
"""Each flag's enabling bit of CR1 stands where the flag stands in the status."""
TE = 1 << 3
RE = 1 << 2
_PEIE, _EIE = 1 << 8, 1 << 0
_PARITY, _NINE_BITS = 1 << 10, 1 << 12
_LBDIE = 1 << 6
DMAR, DMAT = 1 << 6, 1 << 7
_BITS_PER_BYTE = 10

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


class Polling:
    """Whether a program polls empty receivers in a tight loop: of one port, or of several in turn.

    Attributes:
        waiting: for each port, whether a byte is there to be read, or on its way.
    """

    def __init__(self) -> None:
        self.waiting: list[Callable[[], bool]] = []
        self._last = 0
        self._looks = 0

    def looked(self, core: Core) -> None:
        """Note a look at an empty receiver; in a tight loop, sleep until a byte comes on a port."""
        now = core.block_cycles()
        tight = now - self._last < _TIGHT_CYCLES
        self._looks = self._looks + 1 if tight else 0
        if self._looks >= _TIGHT_POLLS and not self._arrived():
            core.doze(self._arrived)
            now = core.block_cycles()
        self._last = now

    def ended(self) -> None:
        """Note that bytes pass."""
        self._looks = 0

    def looked_at(self, cycles: int, looks: int) -> None:
        """Note looks that C has answered.

        Args:
            cycles: of the last.
            looks: since bytes passed.
        """
        self._last, self._looks = cycles, looks

    def _arrived(self) -> bool:
        return any(waits() for waits in self.waiting)


@dataclass(frozen=True)
class Wiring:
    """What is around a port.

    Attributes:
        core: it belongs to.
        clock_divider: the core's cycles per cycle of its clock.
        polling: of the chip's ports.
        lent: what one of them has lent.
        sending: what C takes in place of one of them.
    """

    core: Core
    clock_divider: Callable[[], float]
    polling: Polling = field(default_factory=Polling)
    lent: Lent = field(default_factory=lambda: Lent(lambda: False))
    sending: Sending = field(default_factory=lambda: Sending(Lent(lambda: False)))


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
        read_at: offsets of its status and of the data that it has received.
        write_at: offset of the data that it is to send.

    Attributes:
        irq: its interrupt number.
        line: to the host.
        times_bytes: whether bytes take the time that the baud rate says; then a byte that comes
            while the last one is unread is lost, as on the chip.
        transmits, receives: whether a pin is connected to the transmitter, to the receiver.
    """

    models = "data, every flag but PE, NF and CTS; DMA, break; dead without clock, pin, baud rate"

    def __init__(
        self,
        name: str,
        address: int,
        irq: int,
        wiring: Wiring,
        *,
        enable: int,
        baud: Baud,
        read_at: tuple[int, int],
        write_at: int,
    ) -> None:
        self.irq = irq
        self._read_at, self._write_at = read_at, write_at
        self.sources = (self,)
        self._enable = enable
        self._brr = baud
        self.times_bytes = False
        self.transmits = self.receives = False
        self._core = wiring.core
        self._clock_divider = wiring.clock_divider
        self._lent, self._sending = wiring.lent, wiring.sending
        self.line = Line(name, self._host_sent)
        self.line.on_drop = self._drop_lent
        self.line.on_change = self._sending.stop
        self._polling = wiring.polling
        self._polling.waiting.append(self._hears)
        self._baud = Storage(writable=(1 << baud.bits) - 1)
        self._control = Storage()
        self._control_2 = Storage()
        self._control_3 = Storage()
        self.requests = {
            f"{name}_TX": Request(self._transmit_due),
            f"{name}_RX": Request(self._receive_due),
        }
        super().__init__(name, address, {})
        self._forget()

    # the core's side

    def reset(self) -> None:
        """Return to the state after reset; bytes under way to the firmware are lost."""
        self._lent.take_back()
        self._sending.close()
        self.line.discard_sent()
        for storage in (self._baud, self._control, self._control_2, self._control_3):
            storage.reset()
        self._forget()

    def _forget(self) -> None:
        self._data = 0
        self._full = False  # the data register holds a byte that was received; timed bytes only
        self._arrives: int | None = None  # when the next byte is here; timed bytes only
        self._idle_at: int | None = None
        self._flags = 0  # errors, IDLE, LBD
        self._held: int | None = None  # written to a transmitter that does not work
        self._empty_at = self._done_at = 0  # when TXE and TC are set
        self._completes = True
        self._unheard = self._deaf = self._idles = False  # whether that has been said

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high."""
        control, rest = self._control.value, self._control_3.value
        wanted = control & _INTERRUPTS
        if not (wanted or control & _PEIE or rest & _EIE or self._control_2.value & _LBDIE):
            return False
        if not self.clocked:
            return False
        status = self._status()
        if status & wanted:
            return True
        asked = (control & RXNE and status & ORE) or (
            rest & _EIE and rest & DMAR and status & ERRORS
        )
        return bool(asked or (self._control_2.value & _LBDIE and status & LBD))

    def baud(self, core_hz: int) -> float:
        """Return its speed, 0 before it has one."""
        cycles = self._baud.value * self._clock_divider()
        return core_hz * self._brr.per_cycle / cycles if cycles else 0.0

    def deadline(self) -> int | None:
        """Return the cycle at which the line may rise, None if it does not by itself."""
        control = self._control.value
        if not control & _INTERRUPTS and not self._control_3.value & DMAR:
            return None
        now = self._core.now()
        due: list[int | None] = [self._idle_at if control & IDLE else None]
        if self.times_bytes:
            self._receive(now)
            due.append(self._arrives)
            due.append(self._empty_at if control & TXE else None)
            due.append(self._done_at if control & TC and self._completes else None)
        return min((cycle for cycle in due if cycle is not None and cycle > now), default=None)

    def changes(self) -> int | None:
        """Return the cycle at which the status changes next, None where nobody knows."""
        now = self._core.now()
        due = (self._arrives, self._idle_at, self._empty_at, self._done_at)
        return min((cycle for cycle in due if cycle is not None and cycle > now), default=None)

    def _works(self, half: int) -> bool:
        """Whether the transmitter (TE) or the receiver (RE) runs, whatever its pin does."""
        control = self._control.value
        wanted = self._enable | half
        on = control & wanted == wanted
        return on and self.clocked and self._baud.value >= self._brr.least

    def _status(self) -> int:
        timed = self.times_bytes
        now = self._core.now() if timed or self._idle_at is not None else 0
        status = 0
        if self._held is None:
            status = TXE if not timed or now >= self._empty_at else 0
            status |= TC if self._completes and (not timed or now >= self._done_at) else 0
        if timed:
            self._receive(now)
        elif self.line and self.receives and self._works(RE):
            status |= RXNE
        if self._idle_at is not None and now >= self._idle_at and not self.line:
            self._idle_at = None
            self._flags |= IDLE
        return status | self._flags | (RXNE if self._full else 0)

    def _hears(self) -> bool:
        """Whether a byte is there or on its way.

        It is asked while the core dozes, whose cycles are counted only afterwards: so no byte
        begins here, which would be over, with those behind it, when the core looks.
        """
        if not self.times_bytes:
            return bool(self._status() & RXNE)
        comes = bool(self.line) or self._arrives is not None
        return self._full or (comes and self.receives and self._works(RE))

    def _read_status(self) -> int:
        if self._sending.owner is not None:
            self._sending.close()
        status = self._status()
        if status & RXNE or (self.times_bytes and self.changes() is not None):
            return status
        self._polling.looked(self._core)
        return self._status()

    # the receiver

    def receive_break(self) -> None:
        """Have the line go low for longer than a byte; the core stands meanwhile."""
        self._lent.take_back()
        self._sending.close()
        if self.receives and self._works(RE):
            self._take(0, FE | (LBD if self._control_2.value >> 14 & 1 else 0))
            self._core.attend()

    def _receive(self, now: int) -> None:
        """Take the bytes that are here by now, each at its time."""
        if not (self.line or self._arrives is not None):
            return
        if not (self.receives and self._works(RE)):
            self._arrives = None
            if self._works(RE) and not self._deaf:
                self._deaf = True
                _log.warning("bytes come for %s, but no pin carries its RX: they wait", self.name)
            return
        if self._arrives is None:
            self._arrives = now + self._byte_cycles()
        while self._arrives is not None and now >= self._arrives:
            byte, at = self.line.take(), self._arrives
            if byte is not None:
                self._take(byte)
                self._idle_at = at + self._byte_cycles()
            self._arrives = at + self._byte_cycles() if self.line else None

    def _take(self, byte: int, flags: int = 0) -> None:
        self._flags |= flags
        if self._full:
            self._flags |= ORE  # and the byte is lost
        else:
            self._data, self._full = byte, True

    def _receive_due(self) -> int | None:
        """Return when the DMA is asked to take a byte."""
        if not self._control_3.value & DMAR or not self.clocked:
            return None
        if self._status() & RXNE:
            return self._core.now() if self.times_bytes else 0
        return self._arrives

    def _read_data(self) -> int:
        if self._lent.owner is not None:
            self._lent.take_back()
        if self._sending.owner is not None:
            self._sending.close()
        self._polling.ended()
        byte = None
        if self.times_bytes:
            self._receive(self._core.now())
        elif self._status() & RXNE and not self._full:
            byte = self.line.take()
            if byte is not None and not self.line:
                self._idle_at = self._core.now() + self._byte_cycles()
        self._full = False
        if byte is not None:
            self._data = byte
            self._lent.taken += 1
        return self._data

    def _lend(self) -> None:
        """Lend the bytes that wait, where reads of them do nothing but take them.

        One stays, so that the receiver is never empty meanwhile: its interrupt stays as it is.
        """
        busy = self.times_bytes or self._flags or self._control_3.value & DMAR
        if not self.line or busy or not self._status() & RXNE or not self._lent.allowed():
            return
        status_at, data_at = self._read_at
        status = self.registers[status_at].read()
        data = self.line.take_most(LENT_BYTES)
        if data:
            self._lent.lend(
                data,
                status_at=self.address + status_at,
                data_at=self.address + data_at,
                status=status,
                owner=self._have_back,
            )

    def _have_back(self, left: bytes, last: int | None) -> None:
        self.line.put_back(left)
        if last is not None:
            self._data = last

    def _host_sent(self) -> None:
        self._sending.stop()  # the status has changed
        self._core.attend()

    def _drop_lent(self) -> None:
        self._sending.stop()
        if self._lent.owner == self._have_back:
            self._lent.drop()

    # the transmitter

    def _write_data(self, value: int) -> None:
        if self._sending.owner is not None:
            self._sending.close()
        self._polling.ended()
        self._held = value & self._data_mask
        self._transmit()
        self._open_sending()

    def _open_sending(self) -> None:
        """Have C take the next bytes, where nothing but a byte on the line comes of each."""
        busy = self.times_bytes or self._idle_at is not None or self._held is not None
        dma = self._control_3.value & (DMAR | DMAT)
        if busy or dma or not (self.transmits and self.line.is_plain and self._sending.allowed):
            return
        receives = bool(self.line)
        status = self._steady_status()
        if status is None:
            return
        self._sending.open(
            self.line.sent,
            status_at=self.address + self._read_at[0],
            data_at=self.address + self._write_at,
            status=status,
            mask=self._data_mask,
            owner=self._note_looks,
        )
        if bool(self.line) != receives or not self.line.is_plain:  # by another thread meanwhile
            self._sending.stop()

    def _steady_status(self) -> int | None:
        """Return the status, where reads of it change nothing; None where one would."""
        return self._status()

    def _note_looks(self, last: int | None, looks: int) -> None:
        """Note the reads of the status that C has answered, as `_read_status` does."""
        self._polling.ended()
        if last is not None and not self._status() & RXNE:
            self._polling.looked_at(last, looks)

    @property
    def _data_mask(self) -> int:
        """Seven bits where the eighth is the parity, which no host sees."""
        return 0x7F if self._control.value & (_PARITY | _NINE_BITS) == _PARITY else 0xFF

    def _transmit(self) -> None:
        """Send the byte that was written, once the transmitter works."""
        if self._held is None:
            return
        if not self._works(TE):
            self._tell_idle()
            return
        if self.times_bytes:
            self._empty_at = max(self._core.now(), self._done_at)
            self._done_at = self._empty_at + self._byte_cycles()
        self._completes = True
        if self.transmits:
            self.line.put(bytes((self._held,)))
        elif not self._unheard:
            self._unheard = True
            _log.warning("%s sends, but no pin carries its TX: nobody hears it", self.name)
        self._held = None

    def _tell_idle(self) -> None:
        """Say once why it does not send what it was given."""
        if self._idles:
            return
        self._idles = True
        control = self._control.value
        lacks = "UE is clear" if not control & self._enable else "TE is clear"
        if control & self._enable and control & TE:
            lacks = "its baud rate is not set"
        _log.warning("%s was given a byte to send, but %s", self.name, lacks)

    def _transmit_due(self) -> int | None:
        """Return when the DMA is asked for a byte."""
        works = self._control_3.value & DMAT and self._held is None and self._works(TE)
        return self._empty_at if works else None

    def _forget_completion(self) -> None:
        """Clear TC until the next byte is out."""
        if not self.times_bytes or self._core.now() >= self._done_at:
            self._completes = False

    def _write_baud(self, value: int) -> None:
        self._baud.write(value)
        self._transmit()

    def _write_control(self, value: int) -> None:
        self._control.write(value)
        self._transmit()
        self._core.attend()

    def _write_control_3(self, value: int) -> None:
        self._control_3.write(value)
        self._core.attend()

    def _byte_cycles(self) -> int:
        """Return the core's cycles for a byte on the line."""
        cycles = _BITS_PER_BYTE * self._baud.value / self._brr.per_cycle
        return round(cycles * self._clock_divider())
