"""The one place that knows Unicorn: a Cortex-M4 instruction set with memory, and what ends a run.

Unicorn executes instructions and nothing else of a Cortex-M: exceptions, NVIC, FPU enabling and
the system control space are this package's (Source: Unicorn 2.1.4, qemu/target/arm).
"""

import ctypes
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol

from hil.targets.emulator.core import translation
from hil.targets.emulator.core.lent import Lent
from hil.targets.emulator.core.programming import Programming
from hil.targets.emulator.core.sending import Sending
from hil.targets.emulator.errors import BusError, DeniedError

Read = Callable[[int, int], int]
Write = Callable[[int, int, int], None]


class Access(Protocol):
    """What `Engine.watch` calls."""

    def __call__(self, address: int, size: int, *, is_write: bool) -> bool:
        """Return whether the run ends."""


_XPSR_THUMB = 1 << 24
_LONGEST_ACCESS = 8
_LAST_ADDRESS = (1 << 64) - 1
_PRIVILEGED = frozenset({"msp", "psp", "primask", "basepri", "faultmask"})
_CONTROL_SFPA = 8
_SVC_BYTES = 2
_VALID_BITS = {"control": 7}


class Stop(Enum):
    """Why a run ended."""

    CLEAN = auto()  # at a block's start, an exit address, or behind WFI
    TRAP = auto()  # SVC, BKPT or exception return: see Engine.trap
    READ = auto()  # data access to nothing
    WRITE = auto()
    DENIED = auto()  # access to a device that the MPU denies
    READ_ONLY = auto()  # store to memory without write permission
    FETCH = auto()  # instruction fetch from nothing, or from what is not executable
    UNDEFINED = auto()  # undefined instruction, WFE, or Thumb bit clear


class Trap(Enum):
    """Unicorn's exception numbers (qemu/target/arm/cpu.h)."""

    SVC = 2
    FETCH = 3
    BKPT = 7
    EXCEPTION_RETURN = 8
    NO_COPROCESSOR = 17


@dataclass(frozen=True)
class Block:
    """A piece of straight-line code that Unicorn has just translated."""

    address: int
    bytes: int


class Engine:
    """Registers by name, memory, and runs.

    Attributes:
        uc: Unicorn's own object, for hooks written in C.
        trap: the trap that ended the last run, if one did.
        fault_address: the data address of the last run's failed access.
        exits: the addresses at which runs end.
        mapped: (address, bytes) of what stands for memory.
    """

    def __init__(self) -> None:
        self._unicorn = translation.unicorn()
        from unicorn import arm_const, unicorn_const
        from unicorn.unicorn_py3 import unicorn as binding

        self._const: Any = unicorn_const
        self.uc: Any = self._unicorn.Uc(unicorn_const.UC_ARCH_ARM, _mode(unicorn_const))
        self.uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        self.uc.ctl_exits_enabled(True)
        self._readable = _register_ids(arm_const)
        # A write to Unicorn's plain XPSR leaves the GE bits out.
        self._writable = self._readable | {"xpsr": arm_const.UC_ARM_REG_XPSR_NZCVQG}
        self.exits: frozenset[int] = frozenset()
        self.mapped: list[tuple[int, Any]] = []
        self._kept: list[object] = []  # what C holds pointers to
        self._failure: Exception | None = None
        self._refused: Stop | None = None
        self._watches: list[int] = []
        self._access_hooks: list[ctypes.c_size_t] = []
        self._unmapped_hooks: dict[int, Any] = {}
        self._writable_at: list[range] = []
        self._stops = _stops(unicorn_const)
        # For calls that the binding has no method for, or a slow one.
        self._handle = self.uc._uch  # noqa: SLF001
        self._uc_reg_read = binding.uclib.uc_reg_read
        self._control = self._readable["control"]
        self.trap: Trap | None = None
        self.fault_address = 0
        self.uc.hook_add(unicorn_const.UC_HOOK_INTR, self._on_interrupt)

    # registers

    def read(self, register: str) -> int:
        """Return a register's value; names as in the architecture, lower case."""
        if register in _PRIVILEGED and self.unprivileged:
            with self._privileged():
                return self.read(register)
        return self._read(self._readable[register]) & _VALID_BITS.get(register, 0xFFFF_FFFF)

    def _read(self, number: int) -> int:
        """Return a register by Unicorn's number, without the binding's way there: it is long."""
        value = ctypes.c_uint64()
        self._check(self._uc_reg_read(self._handle, number, ctypes.byref(value)))
        return value.value

    def read_many(self, registers: Sequence[str]) -> tuple[int, ...]:
        """Return some unprivileged registers' values at once."""
        ids = [self._readable[register] for register in registers]
        return tuple(self.uc.reg_read_batch(ids))

    def write(self, register: str, value: int) -> None:
        """Set a register; `pc` takes the address without its Thumb bit.

        Args:
            register: its name.
            value: 32 bits.
        """
        if register in _PRIVILEGED and self.unprivileged:
            with self._privileged():
                self.write(register, value)
            return
        if register == "pc":
            value |= 1
        elif register == "control":
            # To Unicorn the core is always secure: FPCA alone is not a floating-point context.
            value |= value << 1 & _CONTROL_SFPA
        self.uc.reg_write(self._writable[register], value)

    def branch(self, address: int) -> None:
        """Go to an address whose bit 0 is the Thumb bit."""
        self.write("pc", address & ~1)
        if not address & 1:
            self.write("xpsr", self.read("xpsr") & ~_XPSR_THUMB)

    @property
    def unprivileged(self) -> bool:
        """Whether thread mode without privilege runs."""
        return bool(self._read(self._control) & 1) and not self.read("ipsr")

    @contextmanager
    def _privileged(self) -> Iterator[None]:
        """Lend handler mode's privilege: Unicorn hides special registers from unprivileged code."""
        xpsr = self.read("xpsr")
        self.write("xpsr", xpsr | 1)
        try:
            yield
        finally:
            self.write("xpsr", xpsr)

    # memory

    def map_memory(self, address: int, memory: Any, *, writable: bool, executable: bool) -> None:
        """Let a bytearray or an mmap stand for memory; the core sees changes at once.

        Code that changes needs `forget_code` besides.

        Args:
            address: of the first byte.
            memory: which stays the caller's.
            writable: whether the core may store there.
            executable: whether it may fetch code there.
        """
        permissions = self._const.UC_PROT_READ
        permissions |= self._const.UC_PROT_WRITE if writable else 0
        permissions |= self._const.UC_PROT_EXEC if executable else 0
        self.mapped.append((address, memory))
        if writable:
            self._writable_at.append(range(address, address + len(memory)))
        if address in self._unmapped_hooks:
            self.uc.hook_del(self._unmapped_hooks.pop(address))
        pointer = ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory))
        self.uc.mem_map_ptr(address, len(memory), permissions, pointer)

    def unmap_memory(self, address: int, length: int) -> None:
        """Take memory away again, outside of a run.

        Args:
            address: of the first byte.
            length: bytes.
        """
        self.uc.mem_unmap(address, length)
        self.mapped[:] = [one for one in self.mapped if one[0] != address]
        self._writable_at = [one for one in self._writable_at if one.start != address]
        self._note_unmapped(range(address, address + length))

    def _note_unmapped(self, memory: range) -> None:
        """Have `fault_address` tell of accesses to memory that may be mapped later."""
        self._unmapped_hooks[memory.start] = self.uc.hook_add(
            self._const.UC_HOOK_MEM_READ_UNMAPPED | self._const.UC_HOOK_MEM_WRITE_UNMAPPED,
            self._on_bad_access,
            None,
            memory.start,
            memory.stop - 1,
        )

    def note_bad_accesses(self, later: Sequence[range] = ()) -> None:
        """Have `fault_address` tell of accesses that fail; to be called when memory is mapped.

        Args:
            later: where memory may be mapped later.

        Writable memory is left out: wherever such a hook might see an access, Unicorn (2.1.4) keeps
        every store from its fast path.
        """
        kinds = (
            self._const.UC_HOOK_MEM_READ_UNMAPPED
            | self._const.UC_HOOK_MEM_WRITE_UNMAPPED
            | self._const.UC_HOOK_MEM_READ_PROT
            | self._const.UC_HOOK_MEM_WRITE_PROT
        )
        for memory in later:
            self._note_unmapped(memory)
        begin = 0
        for memory in sorted([*self._writable_at, *later], key=lambda memory: memory.start):
            if begin < memory.start:
                self.uc.hook_add(kinds, self._on_bad_access, None, begin, memory.start - 1)
            begin = memory.stop
        self.uc.hook_add(kinds, self._on_bad_access, None, begin, _LAST_ADDRESS)

    def map_device(
        self,
        address: int,
        length: int,
        read: Read,
        write: Write,
        sooner: tuple[Lent, Programming, Sending] | None = None,
    ) -> None:
        """Route accesses to functions of (address, bytes) and (address, bytes, value).

        Where they raise BusError the run ends with READ or WRITE, before the instruction; where an
        IT covers that, behind the IT block, since Unicorn stops nowhere inside one.

        Args:
            address: of the first byte.
            length: bytes.
            read: gets (address, bytes), returns the value.
            write: gets (address, bytes, value).
            sooner: what answers some accesses before they get here.
        """
        from unicorn.unicorn_py3 import unicorn as binding

        # Straight from C to here, since firmware that polls passes this way for every byte. An
        # exception cannot pass through C: it waits until the run has ended.

        def on_read(_uc: int, offset: int, size: int, _data: int) -> int:
            try:
                return read(address + offset, size)
            except BusError as error:
                self._refuse(error, Stop.READ)
            except Exception as error:
                self._failure = error
                self.uc.emu_stop()
            return 0

        def on_write(_uc: int, offset: int, size: int, value: int, _data: int) -> None:
            try:
                write(address + offset, size, value)
            except BusError as error:
                self._refuse(error, Stop.WRITE)
            except Exception as error:
                self._failure = error
                self.uc.emu_stop()

        callbacks = (binding.MMIO_READ_CFUNC(on_read), binding.MMIO_WRITE_CFUNC(on_write))
        self._kept.append(callbacks)
        read_pointer, write_pointer = (ctypes.cast(c, ctypes.c_void_p) for c in callbacks)
        context = None
        if sooner is not None:
            lent, programming, sending = sooner
            pointers = programming.window(
                address, *lent.window(address, read_pointer), write_pointer
            )
            read_pointer, write_pointer, context = sending.window(address, *pointers)
        self._check(
            binding.uclib.uc_mmio_map(
                self._handle,
                address,
                length,
                read_pointer,
                context,
                write_pointer,
                context,
            )
        )

    def load(self, address: int, length: int) -> bytes:
        """Read bytes of memory. Raises BusError where there is none.

        Args:
            address: of the first byte.
            length: bytes.
        """
        try:
            return bytes(self.uc.mem_read(address, length))
        except self._unicorn.UcError as error:
            raise BusError(address) from error

    def load_halfwords(self, address: int, count: int) -> tuple[int, ...]:
        """Read halfwords of memory. Raises BusError where there is none.

        Args:
            address: of the first byte.
            count: how many.
        """
        return struct.unpack(f"<{count}H", self.load(address, 2 * count))

    def load_words(self, address: int, count: int) -> tuple[int, ...]:
        """Read words of memory. Raises BusError where there is none.

        Args:
            address: of the first byte.
            count: how many.
        """
        return struct.unpack(f"<{count}I", self.load(address, 4 * count))

    def load_word(self, address: int) -> int:
        """Read a word of memory. Raises BusError where there is none."""
        return self.load_words(address, 1)[0]

    def store_words(self, address: int, words: Sequence[int]) -> None:
        """Write words of data. Raises BusError where no memory can be written.

        Args:
            address: of the first byte.
            words: of 32 bits.
        """
        data = struct.pack(f"<{len(words)}I", *words)
        if not any(address in one and address + len(data) - 1 in one for one in self._writable_at):
            raise BusError(address)
        self.uc.mem_write(address, data)

    def forget_code(self, address: int, length: int) -> None:
        """Have code in a range translated anew.

        Args:
            address: of the first byte.
            length: bytes.
        """
        self.uc.ctl_remove_cache(address, address + length)

    def forget_all_code(self) -> None:
        """Have all code translated anew. Not from inside a run: its code would be written over."""
        self.uc.ctl_flush_tb()

    # runs

    def set_exits(self, addresses: Iterable[int]) -> None:
        """End runs before the instructions at these addresses."""
        wanted = frozenset(addresses)
        if wanted == self.exits:
            return
        for address in wanted ^ self.exits:
            self.forget_code(address, 2)
        self.exits = wanted
        self.uc.ctl_set_exits(sorted(wanted))

    def run(self) -> Stop:
        """Execute from the current pc until something ends the run; pc is exact then."""
        self.trap = None
        stop = Stop.CLEAN
        try:
            self.uc.emu_start(self.read("pc") | bool(self.read("xpsr") & _XPSR_THUMB), 0)
        except self._unicorn.UcError as error:
            if error.errno not in self._stops:
                raise
            stop = self._stops[error.errno]
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._refused is not None:
            stop, self._refused = self._refused, None
            if self.trap is Trap.SVC:  # the instruction behind an IT block: it has yet to run
                self.write("pc", self.read("pc") - _SVC_BYTES)
            return stop
        if self.trap is Trap.FETCH:
            return Stop.FETCH
        return Stop.TRAP if self.trap else stop

    # hooks

    def add_block_hook(self, function: Any, context: Any) -> None:
        """Have a C function called before each block, without passing through Python.

        Args:
            function: of ctypes.
            context: what it gets as its last argument.
        """
        self._add_hook(self._const.UC_HOOK_BLOCK, function, context, range(1, 1))

    def add_instruction_hook(self, address: int, function: Any, context: Any) -> None:
        """Have a C function called before the instruction at an address.

        Code that has been translated needs `forget_code` besides.

        Args:
            address: of the instruction.
            function: of ctypes.
            context: what it gets as its last argument.
        """
        self._add_hook(self._const.UC_HOOK_CODE, function, context, range(address, address + 1))

    def hook_accesses(self, ranges: Iterable[range], function: Any, context: Any) -> None:
        """Have a C function called before data accesses in some ranges, and no others.

        Args:
            ranges: first and last address each.
            function: of ctypes.
            context: what it gets as its last argument.
        """
        from unicorn.unicorn_py3.unicorn import uclib

        for handle in self._access_hooks:
            self._check(uclib.uc_hook_del(self._handle, handle))
        kinds = self._const.UC_HOOK_MEM_READ | self._const.UC_HOOK_MEM_WRITE
        # A clock may send data reads of flash to an alias above the core's addresses.
        self._access_hooks = [
            self._add_hook(
                kinds,
                function,
                context,
                range(base + one.start - _LONGEST_ACCESS + 1, base + one.stop),
            )
            for one in ranges
            for base in (0, 1 << 32)
        ]
        self.forget_all_code()

    def _add_hook(
        self, kind: int, function: Any, context: Any, addresses: range
    ) -> ctypes.c_size_t:
        """Add a hook in C; an empty range stands for every address."""
        from unicorn.unicorn_py3.unicorn import uclib

        self._kept.append(context)
        handle = ctypes.c_size_t()
        error = uclib.uc_hook_add(
            self._handle,
            ctypes.byref(handle),
            kind,
            ctypes.cast(function, ctypes.c_void_p),
            ctypes.cast(ctypes.pointer(context), ctypes.c_void_p),
            ctypes.c_uint64(addresses.start),
            ctypes.c_uint64(addresses.stop - 1),
        )
        self._check(error)
        return handle

    def _check(self, error: int) -> None:
        if error:
            raise self._unicorn.UcError(error)

    def on_new_block(self, function: Callable[[Block], None]) -> None:
        """Call a function when a block has been translated, before it runs for the first time."""

        def on_edge(_uc: object, block: Any, _previous: object, _data: object) -> None:
            function(Block(block.pc, block.size))

        self.uc.hook_add(self._const.UC_HOOK_EDGE_GENERATED, on_edge)

    def on_read_only_write(
        self,
        first: int,
        last: int,
        function: Callable[[int, int, int], bool],
        sooner: tuple[Any, Any],
    ) -> None:
        """Call a function of (address, bytes, value) for stores to read-only memory.

        It returns whether the store is dealt with; otherwise the run ends with READ_ONLY.

        Args:
            first: address of the memory.
            last: address of it.
            function: what is called.
            sooner: a C function, and its last argument, that may deal with a store before.
        """
        self._add_hook(self._const.UC_HOOK_MEM_WRITE_PROT, *sooner, range(first, last + 1))

        def on_write(
            _uc: object, _kind: int, address: int, size: int, value: int, _data: object
        ) -> bool:
            self.fault_address = address
            return function(address, size, value & ((1 << 8 * size) - 1))

        self.uc.hook_add(self._const.UC_HOOK_MEM_WRITE_PROT, on_write, None, first, last)

    def watch(self, ranges: Sequence[range], function: Access) -> None:
        """Call a function for data accesses in some address ranges, and for no others.

        It returns whether the run ends; then pc is at the instruction, whose access is made but
        whose registers are as before it.

        Args:
            ranges: first and last address each.
            function: what is called.
        """
        for handle in self._watches:
            self.uc.hook_del(handle)

        def on_access(
            uc: Any, kind: int, address: int, size: int, _value: int, _data: object
        ) -> None:
            is_write = kind == self._const.UC_MEM_WRITE
            if function(address & 0xFFFF_FFFF, size, is_write=is_write):
                uc.emu_stop()

        kinds = self._const.UC_HOOK_MEM_READ | self._const.UC_HOOK_MEM_WRITE
        # A clock may send data reads of flash to an alias above the core's addresses.
        spans = [
            # Unicorn compares an access's first address only.
            (base + r.start - _LONGEST_ACCESS + 1, base + r.stop - 1)
            for r in ranges
            for base in (0, 1 << 32)
        ]
        self._watches = [
            self.uc.hook_add(kinds, on_access, None, first, last) for first, last in spans
        ]
        self.forget_all_code()

    def _refuse(self, error: BusError, stop: Stop) -> None:
        denied = isinstance(error, DeniedError)
        self.fault_address, self._refused = error.address, Stop.DENIED if denied else stop
        self.uc.emu_stop()

    def repeat_access(self) -> None:
        """End the run from inside a device access; it starts again with that very access."""
        self.uc.emu_stop()

    def _on_interrupt(self, uc: Any, number: int, _data: object) -> None:
        self.trap = Trap(number)
        uc.emu_stop()

    def _on_bad_access(
        self, _uc: object, _kind: int, address: int, _size: int, _value: int, _data: object
    ) -> bool:
        self.fault_address = address
        return False


def _mode(const: Any) -> int:
    mode: int = const.UC_MODE_THUMB | const.UC_MODE_MCLASS
    return mode


def _register_ids(const: Any) -> dict[str, int]:
    names: Sequence[str] = (
        *(f"r{i}" for i in range(13)),
        *(f"s{i}" for i in range(32)),
        *("sp", "lr", "pc", "msp", "psp", "xpsr", "ipsr"),
        *("primask", "basepri", "faultmask", "control", "fpscr"),
    )
    return {name: getattr(const, f"UC_ARM_REG_{name.upper()}") for name in names}


def _stops(const: Any) -> dict[int, Stop]:
    return {
        const.UC_ERR_READ_UNMAPPED: Stop.READ,
        const.UC_ERR_READ_PROT: Stop.READ,
        const.UC_ERR_WRITE_UNMAPPED: Stop.WRITE,
        const.UC_ERR_WRITE_PROT: Stop.READ_ONLY,
        const.UC_ERR_FETCH_UNMAPPED: Stop.FETCH,
        const.UC_ERR_FETCH_PROT: Stop.FETCH,
        const.UC_ERR_INSN_INVALID: Stop.UNDEFINED,
    }
