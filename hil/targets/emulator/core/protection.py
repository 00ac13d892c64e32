"""What the MPU denies, on the engine's accesses: which ones end a run with a fault.

Nothing is looked at while the MPU is off. While it is on, a C function sees the accesses to the
ranges that some rule denies, and no others; code is looked at when it is translated.
"""

import ctypes
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from itertools import pairwise
from typing import ClassVar

from hil.build import native
from hil.targets.emulator.core.clock import HERE, address_of
from hil.targets.emulator.core.engine import Engine
from hil.targets.emulator.core.mpu import MemoryProtectionUnit
from hil.targets.emulator.errors import DeniedError

_RANGES, _UNDONE, _MOST_BYTES = 64, 32, 8
_DENIES_READ, _DENIES_WRITE = 1, 2
_PRIVATE = range(0xE000_0000, 0xE010_0000)


class _Range(ctypes.Structure):
    _fields_: ClassVar = [
        ("first", ctypes.c_uint32),
        ("last", ctypes.c_uint32),
        ("denies", ctypes.c_uint32),
    ]


class _Undone(ctypes.Structure):
    _fields_: ClassVar = [
        ("address", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("bytes", ctypes.c_uint8 * _MOST_BYTES),
    ]


class _Protection(ctypes.Structure):
    """`protection_t` of protection.c."""

    _fields_: ClassVar = [
        ("emu_stop", ctypes.c_void_p),
        ("mem_read", ctypes.c_void_p),
        ("count", ctypes.c_uint32),
        ("violated", ctypes.c_uint32),
        ("address", ctypes.c_uint32),
        ("undone_count", ctypes.c_uint32),
        ("denied", _Range * _RANGES),
        ("undone", _Undone * _UNDONE),
    ]
    count: int
    violated: int
    address: int
    undone_count: int


_SOURCE = native.Source(
    HERE / "protection.c", HERE, mirrors=[native.Mirror(_Protection, "protection_t")]
)


class Regime(Enum):
    """Whose accesses are judged: no one's, privileged code's or unprivileged code's."""

    NONE = auto()
    PRIVILEGED = auto()
    UNPRIVILEGED = auto()


class Protection:
    """The MPU at work.

    Args:
        memories: the address ranges of all memory.

    Attributes:
        denied: instructions that may not be fetched, as far as code has been seen.
    """

    def __init__(
        self, engine: Engine, mpu: MemoryProtectionUnit, memories: Iterable[range]
    ) -> None:
        self._engine = engine
        self._mpu = mpu
        self._memories = tuple(memories)
        self._c: _Protection | None = None
        self._changed = False
        self._regime = Regime.NONE
        self._armed: tuple[range, ...] = ()
        self._closed: tuple[int, ...] = ()  # where code may not be fetched, as far as it matters
        self.denied: set[int] = set()
        self._ranges: dict[Regime, list[tuple[range, int]]] = {}
        mpu.on_change = self.note_change

    @property
    def wanted(self) -> bool:
        """Whether there is anything to choose."""
        return self._changed or self._mpu.enabled

    @property
    def on(self) -> bool:
        """Whether accesses are judged in the run that begins or goes on."""
        return self._regime is not Regime.NONE

    def note_change(self) -> None:
        """Look at the MPU's settings again before the next run."""
        self._changed = True

    # before and behind a run

    def choose(self, *, unprivileged: bool, at_fault_priority: bool) -> None:
        """Judge the next run's accesses as what is about to run asks; between two runs only.

        Args:
            unprivileged: whether unprivileged code is about to run.
            at_fault_priority: whether its priority is negative: NMI, HardFault, FAULTMASK.
        """
        if self._changed:
            self._changed = False
            self._ranges.clear()
            self._see_code_anew()
        regime = Regime.UNPRIVILEGED if unprivileged else Regime.PRIVILEGED
        if not self._mpu.enabled or (at_fault_priority and not self._mpu.covers_faults):
            regime = Regime.NONE
        if regime is self._regime and (regime in self._ranges or regime is Regime.NONE):
            return
        self._regime = regime
        self._arm(regime)

    def _see_code_anew(self) -> None:
        """Have code looked at again where other code may be fetched than before."""
        closed = tuple(
            edge
            for edge in sorted({e for region in self._mpu.regions() for e in region.edges()})
            if self._mpu.enabled
            and not all(self._mpu.rule_at(edge, privileged=p).executes for p in (True, False))
        )
        if closed != self._closed:
            self._closed = closed
            self.denied.clear()
            self._engine.forget_all_code()

    def _arm(self, regime: Regime) -> None:
        if regime is not Regime.NONE and regime not in self._ranges:
            self._ranges[regime] = list(self._denied(privileged=regime is Regime.PRIVILEGED))
        wanted = {one for found in self._ranges.values() for one, _ in found}
        if wanted and self._c is None:
            self._load()
        if self._c is None:
            return
        if not wanted <= set(self._armed):
            # Those from before stay: a guard that follows the thread comes back to each stack.
            self._armed = (*self._armed, *sorted(wanted - set(self._armed), key=_start))
            self._armed = self._armed if len(self._armed) <= _RANGES else self._memories
            self._engine.hook_accesses(self._armed, self._function, self._c)
        ranges = self._ranges.get(regime, [])[:_RANGES]
        self._c.count = len(ranges)
        for at, (one, denies) in enumerate(ranges):
            self._c.denied[at] = _Range(one.start, one.stop - 1, denies)

    def _load(self) -> None:
        from unicorn.unicorn_py3.unicorn import uclib

        self._function = native.load(_SOURCE).protection_on_access
        self._c = _Protection()
        self._c.emu_stop = address_of(uclib.uc_emu_stop)
        self._c.mem_read = address_of(uclib.uc_mem_read)

    def _denied(self, *, privileged: bool) -> Iterator[tuple[range, int]]:
        """Yield the ranges of memory of which something is denied, and what."""
        edges = {edge for region in self._mpu.regions() for edge in region.edges()}
        before: tuple[range, int] | None = None
        for memory in sorted(self._memories, key=lambda one: one.start):
            inside = (edge for edge in edges if edge in memory)
            for first, last in pairwise(sorted({memory.start, *inside, memory.stop})):
                rule = self._mpu.rule_at(first, privileged=privileged)
                denies = 0 if rule.reads else _DENIES_READ
                denies |= 0 if rule.writes else _DENIES_WRITE
                if before is not None and before[1] == denies and before[0].stop == first:
                    before = range(before[0].start, last), denies
                    continue
                if before is not None and before[1]:
                    yield before
                before = range(first, last), denies
        if before is not None and before[1]:
            yield before

    def take(self) -> int | None:
        """Return the address of the access for which the run ended, if it was; undo its stores."""
        c = self._c
        if c is None or not c.violated:
            return None
        for undone in c.undone[: c.undone_count]:
            self._engine.uc.mem_write(undone.address, bytes(undone.bytes[: undone.size]))
        c.violated = c.undone_count = 0
        return int(c.address)

    # single questions

    def check_device(self, address: int, is_write: bool) -> None:
        """Raise DeniedError for an access to a register that is not let through.

        Args:
            address: of the register.
            is_write: True for a store, False for a load.
        """
        if self._regime is Regime.NONE or address in _PRIVATE:
            return
        rule = self._mpu.rule_at(address, privileged=self._regime is Regime.PRIVILEGED)
        if not (rule.writes if is_write else rule.reads):
            raise DeniedError(address)

    def lets_execute(self, address: int) -> bool:
        """Whether an instruction may be fetched."""
        if self._regime is Regime.NONE or address in _PRIVATE:
            return True
        return self._mpu.rule_at(address, privileged=self._regime is Regime.PRIVILEGED).executes

    def first_not_executed(self, address: int, length: int) -> int | None:
        """Return the first address of a piece of code that may not be fetched, if there is one.

        Args:
            address: of the first byte.
            length: bytes.
        """
        if self._regime is Regime.NONE:
            return None
        places = range(address, address + length, 2)
        return next((at for at in places if not self.lets_execute(at)), None)

    def note_code(self, address: int, length: int) -> bool:
        """Look at code that has been translated; returns whether some of it may not be fetched.

        Args:
            address: of the first byte.
            length: bytes.
        """
        found = self.first_not_executed(address, length)
        if found is not None:
            self.denied.add(found)
        return found is not None

    def lets_stack(self, address: int, length: int, privileged: bool, is_write: bool) -> bool:
        """Whether the core may save registers on a stack, or take them from it.

        Args:
            address: of the first byte.
            length: bytes.
            privileged: whether the access is a privileged one.
            is_write: True for a store, False for a load.
        """
        if not self._mpu.enabled:
            return True
        for at in (*range(address, address + length, 32), address + length - 4):
            rule = self._mpu.rule_at(at, privileged=privileged)
            if not (rule.writes if is_write else rule.reads):
                return False
        return True


def _start(one: range) -> int:
    return one.start
