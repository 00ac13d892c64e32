"""Memory-mapped registers: what a peripheral is made of, and the bus that finds them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import ClassVar

from hil.targets.emulator.core.lent import Lent
from hil.targets.emulator.core.programming import Programming
from hil.targets.emulator.core.sending import Sending
from hil.targets.emulator.core.source import Request, Source, Trigger

_WORD = 0xFFFF_FFFF
_BLOCK_BYTES = 0x400
"""What most peripherals have to themselves on the bus."""


@dataclass(frozen=True)
class Register:
    """A 32-bit register.

    Attributes:
        merges: whether a narrow write keeps the other bytes, as storage does. Where writing acts
            (data, write-one-to-clear), the other bytes are zero instead.
        changes: returns the cycle at which another value may be read although nobody writes, None
            where nobody knows; of a register that programs wait for. A loop that only reads it is
            passed over up to then.
    """

    read: Callable[[], int]
    write: Callable[[int], None]
    merges: bool = True
    changes: Callable[[], int | None] | None = None


class Storage:
    """A register that keeps what is written to it."""

    def __init__(self, reset: int = 0, writable: int = _WORD) -> None:
        self.reset_value = reset
        self.writable = writable
        self.value = reset

    def read(self) -> int:
        """Return the value."""
        return self.value

    def write(self, value: int) -> None:
        """Change the writable bits."""
        self.value = (self.value & ~self.writable) | (value & self.writable)

    def reset(self) -> None:
        """Return to the value after reset."""
        self.value = self.reset_value

    def register(self) -> Register:
        """Return the bus's view of it."""
        return Register(self.read, self.write)


def constant(value: int) -> Register:
    """Return a register that reads as a constant and ignores writes."""
    return Register(lambda: value, ignore)


def read_only(read: Callable[[], int], changes: Callable[[], int | None] | None = None) -> Register:
    """Return a register that ignores writes.

    Args:
        read: gives the register's value.
        changes: returns the cycle at which another value may be read, None where nobody knows.
    """
    return Register(read, ignore, changes=changes)


def write_only(write: Callable[[int], None]) -> Register:
    """Return a register that reads as zero."""
    return Register(lambda: 0, write, merges=False)


def ignore(value: int) -> None:
    """Take a write that has no effect."""
    del value


def _zero() -> int:
    return 0


class Peripheral:
    """A block of registers at an address.

    Attributes:
        name: as the reference manual spells it.
        bytes: that it has to itself on the bus, from `address` on.
        registers: by offset from `address`.
        clocked: whether it has its clock; without, it does nothing.
        sources: its interrupt lines.
        requests: what it asks of a DMA controller, by name such as USART1_TX.
        triggers: its signals that start something elsewhere, by name such as TIM6_TRGO.
        unmet: requests that it waits for and nobody makes, by name.
        models: what of it works, for people: one line of the page that says what is modelled.
    """

    clocked = True
    bytes: ClassVar[int] = _BLOCK_BYTES
    sources: Sequence[Source] = ()
    requests: Mapping[str, Request] = MappingProxyType({})
    triggers: Mapping[str, Trigger] = MappingProxyType({})
    unmet: Collection[str] = ()
    models: ClassVar[str] = ""

    def __init__(self, name: str, address: int, registers: Mapping[int, Register]) -> None:
        self.name = name
        self.address = address
        self.registers = dict(registers)

    def reset(self) -> None:
        """Return to the state after reset."""

    def before_clock(self, core_hz: int) -> None:
        """Count up to now: the core's clock, or a bus's, is about to change."""
        del core_hz

    def stop(self) -> None:
        """Stand: its clock stops."""

    def go_on(self, cycles: int) -> None:
        """Go on as if so many cycles had not been, in which it stood."""
        del cycles


class StoragePeripheral(Peripheral):
    """A peripheral whose registers only keep what is written: configuration without effect here."""

    def __init__(self, name: str, address: int, resets: Mapping[int, int], count: int = 0) -> None:
        self._storage = {offset: Storage() for offset in range(0, 4 * count, 4)}
        self._storage |= {offset: Storage(value) for offset, value in resets.items()}
        super().__init__(
            name, address, {offset: one.register() for offset, one in self._storage.items()}
        )

    def reset(self) -> None:
        """Return to the values after reset."""
        for storage in self._storage.values():
            storage.reset()


POLLS = 10_000
"""Reads of a register without an end in sight: where nothing is modelled, nothing will change."""
_MOST_VALUES = 8


@dataclass
class Accesses:
    """What was read from a register.

    Attributes:
        reads: how often.
        values: what, as far as they are few.
    """

    reads: int = 0
    values: set[int] = field(default_factory=set)

    def note(self, value: int) -> int:
        """Count a read; returns the value."""
        self.reads += 1
        if len(self.values) < _MOST_VALUES:
            self.values.add(value)
        return value


@dataclass
class Bus:
    """The registers of all peripherals, by address; what has none keeps what is written to it.

    Without its clock a peripheral reads as zero and ignores writes.

    Attributes:
        on_read: called behind the core's reads of a register that programs wait for, with address,
            value, and what tells when it changes.
        on_poll: called with the address of a register that is not modelled once it has been read
            `POLLS` times in a row.
        unmodelled: the addresses of those without a model that the core has used.
        on_unmodelled: called with the address of each when it is used for the first time.
        unclocked: the peripherals that were written to while they had no clock.
        on_unclocked: called with the name of each and the register's address, the first time.
        writes: how often a register was written.
        trace: of what was read since it was set to zero, of registers that no program waits for.
    """

    windows: Iterable[tuple[int, int]]
    registers: dict[int, Register] = field(default_factory=dict)
    on_read: Callable[[int, int, Callable[[], int | None]], None] = lambda *_: None
    on_poll: Callable[[int], None] = ignore
    _unmodelled: dict[int, int] = field(default_factory=dict)
    _polled: int = -1
    _polls: int = 0
    _dead_blocks: set[int] = field(default_factory=set)
    _dead_registers: dict[int, Register] = field(default_factory=dict)
    unmodelled: set[int] = field(default_factory=set)
    writes: int = 0
    trace: int = 0
    lent: Lent = field(default_factory=lambda: Lent(lambda: False))
    programming: Programming = field(init=False)
    sending: Sending = field(init=False)
    on_unmodelled: Callable[[int], None] = ignore
    unclocked: set[str] = field(default_factory=set)
    on_unclocked: Callable[[str, int], None] = lambda *_: None
    _observed: dict[int, Accesses] | None = None

    def __post_init__(self) -> None:
        self.programming = Programming(self.lent)
        self.sending = Sending(self.lent)

    def add(self, peripheral: Peripheral) -> None:
        """Put a peripheral's registers on the bus."""
        for offset, register in peripheral.registers.items():
            self.registers[peripheral.address + offset] = register

    def set_clock(self, peripheral: Peripheral, *, on: bool) -> None:
        """Let a peripheral answer, or have its block read as zero and ignore writes.

        Args:
            peripheral: that it is.
            on: whether its clock runs.
        """
        peripheral.clocked = on
        self.set_block(peripheral.address, peripheral.bytes, on=on)
        for offset, register in peripheral.registers.items():
            at = peripheral.address + offset
            self.registers[at] = register if on else self._dead(peripheral.name, at)

    def _dead(self, name: str, address: int) -> Register:
        """The register that an address has meanwhile; kept, as a chip has some thousand."""
        dead = self._dead_registers.get(address)
        if dead is None:
            dead = Register(_zero, partial(self._tell_unclocked, name, address), merges=False)
            self._dead_registers[address] = dead
        return dead

    def _tell_unclocked(self, name: str, address: int, _value: int) -> None:
        if name not in self.unclocked:
            self.unclocked.add(name)
            self.on_unclocked(name, address)

    def set_block(self, address: int, length: int, *, on: bool, keeps: bool = True) -> None:
        """Let registers that are not modelled keep what is written, or be dead.

        Args:
            address: of the first of them, at the beginning of a block.
            length: in bytes; what is less than a whole block stays as it is.
            on: whether they have their clock.
            keeps: whether they still have then what was written before.
        """
        blocks = range(address // _BLOCK_BYTES, (address + length) // _BLOCK_BYTES)
        (self._dead_blocks.difference_update if on else self._dead_blocks.update)(blocks)
        if not keeps:
            for word in [one for one in self._unmodelled if one // _BLOCK_BYTES in blocks]:
                del self._unmodelled[word]

    def holds(self, address: int) -> bool:
        """Whether anything answers at an address."""
        return any(start <= address < start + length for start, length in self.windows)

    def reset(self) -> None:
        """Forget what unmodelled registers kept."""
        self._unmodelled.clear()

    def read(self, address: int, size: int) -> int:
        """Read 1, 2 or 4 bytes.

        Args:
            address: of the first byte.
            size: 1, 2 or 4 bytes.
        """
        register = self.registers.get(address)
        if size == 4 and register is not None:
            if register.changes is None:
                value = register.read()
                self.trace = hash((self.trace, address, value))
                return value
            return self._read_awaited(address, register, register.changes)
        word = address & ~3
        register = self.registers.get(word)
        if register is None:
            value = self._read_unmodelled(word)
            self.trace = hash((self.trace, word, value))
        elif register.changes is None:
            value = register.read()
            self.trace = hash((self.trace, word, value))
        else:
            value = self._read_awaited(word, register, register.changes)
        return (value >> 8 * (address & 3)) & ((1 << 8 * size) - 1)

    def _read_awaited(
        self, address: int, register: Register, changes: Callable[[], int | None]
    ) -> int:
        value = register.read()
        self.on_read(address, value, changes)
        return value

    def models(self, address: int) -> bool:
        """Whether a register is more than storage."""
        return address & ~3 in self.registers

    def observe(self) -> dict[int, Accesses]:
        """Count reads from now on; returns the counts by address, which go on changing."""
        observed: dict[int, Accesses] = {}
        self.lent.allowed = lambda: False
        self.lent.take_back()
        self.programming.close()
        self.sending.close()

        def counting(register: Register, accesses: Accesses) -> Register:
            return replace(register, read=lambda: accesses.note(register.read()))

        for address, register in self.registers.items():
            observed[address] = Accesses()
            self.registers[address] = counting(register, observed[address])
        self._observed = observed
        return observed

    def _read_unmodelled(self, word: int) -> int:
        self._note_unmodelled(word)
        self._polls = self._polls + 1 if word == self._polled else 1
        self._polled = word
        if self._polls == POLLS:
            self.on_poll(word)
        value = self._unmodelled_value(word)
        if self._observed is not None:
            self._observed.setdefault(word, Accesses()).note(value)
        return value

    def _note_unmodelled(self, word: int) -> None:
        if word not in self.unmodelled:
            self.unmodelled.add(word)
            self.on_unmodelled(word)

    def _unmodelled_value(self, word: int) -> int:
        return 0 if word // _BLOCK_BYTES in self._dead_blocks else self._unmodelled.get(word, 0)

    def write(self, address: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes.

        Args:
            address: of the first byte.
            size: 1, 2 or 4 bytes.
            value: what is stored.
        """
        if self.lent.owner is not None:
            self.lent.take_back()
        if self.sending.owner is not None:
            self.sending.close()
        self.programming.close()
        self.writes += 1
        register = self.registers.get(address)
        if size == 4 and register is not None:
            register.write(value)
            return
        word = address & ~3
        register = self.registers.get(word)
        shift = 8 * (address & 3)
        mask = ((1 << 8 * size) - 1) << shift
        value = (value << shift) & mask & _WORD
        if register is None or register.merges:
            kept = register.read() if register else self._unmodelled_value(word)
            value |= kept & ~mask
        if register:
            register.write(value)
            return
        self._note_unmodelled(word)
        if word // _BLOCK_BYTES not in self._dead_blocks:
            self._unmodelled[word] = value
            self._polls = 0
