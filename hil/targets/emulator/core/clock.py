"""What the emulated core needs of a clock: it counts cycles and ends runs."""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from hil.build import native

if TYPE_CHECKING:
    from hil.targets.emulator.core.engine import Engine

HERE = Path(__file__).parent
NEVER = (1 << 64) - 1
Mark = Mapping[int, tuple[int, int]]
"""How often each block of a neighbourhood was left each way, by number."""


class RunControl(ctypes.Structure):
    """`run_control_t` of run_control.h: every clock's C state begins with it."""

    _fields_: ClassVar = [
        ("emu_stop", ctypes.c_void_p),
        ("reg_read", ctypes.c_void_p),
        ("mask_ids", ctypes.c_int32 * 3),
        ("masks", ctypes.c_uint32 * 3),
        ("watch_masks", ctypes.c_uint32),
        ("stop", ctypes.c_uint32),
        ("block_limit", ctypes.c_uint32),
        ("blocks", ctypes.c_uint32),
        ("left", ctypes.c_uint32),
        ("cycles", ctypes.c_uint64),
        ("instructions", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
    ]

    @property
    def cycles_at(self) -> int:
        """The address of the cycles."""
        offset: int = vars(RunControl)["cycles"].offset
        return ctypes.addressof(self) + offset

    # ctypes makes attributes of the fields; these say of what type.
    stop: int
    block_limit: int
    blocks: int
    left: int
    watch_masks: int
    cycles: int
    instructions: int
    deadline: int

    def attach(self) -> None:
        """Point the C side at Unicorn's functions."""
        from unicorn import arm_const
        from unicorn.unicorn_py3.unicorn import uclib

        for name in ("emu_stop", "reg_read"):
            setattr(self, name, address_of(getattr(uclib, f"uc_{name}")))
        self.mask_ids[:] = (
            arm_const.UC_ARM_REG_PRIMASK,
            arm_const.UC_ARM_REG_BASEPRI,
            arm_const.UC_ARM_REG_FAULTMASK,
        )
        self.deadline = NEVER


RUN_CONTROL = native.Mirror(RunControl, "run_control_t")


def address_of(function: Any) -> int | None:
    """Return the address of a C function, for another C function to call."""
    return ctypes.cast(function, ctypes.c_void_p).value


def core_register_ids() -> list[int]:
    """Return Unicorn's ids of r0 to r15."""
    from unicorn import arm_const

    names = (*(f"R{i}" for i in range(13)), "SP", "LR", "PC")
    return [getattr(arm_const, f"UC_ARM_REG_{name}") for name in names]


class Loops(Protocol):
    """What is known of the loop that runs, from inside an access to a device in it."""

    def mark(self) -> Mark | None:
        """Note what has run up to the block that runs now; None where that is not known."""

    def is_pure(self, before: Mark | None, after: Mark | None) -> bool:
        """Whether one round, between two marks in the same block, wrote core registers alone.

        Args:
            before: the mark at the round's beginning.
            after: the mark at its end.
        """

    def skip(self, cycles: int, instructions: int) -> None:
        """Charge whole rounds.

        Args:
            cycles: of all rounds.
            instructions: of all rounds.
        """


class Clock(Protocol):
    """Counts the core's cycles from a block hook and ends its runs.

    Attributes:
        timing: pedigree of the counts: "modelled" or "instructions".
        run: shared with the C hook. The core sets `stop` (from any thread), `block_limit` and the
            masks to watch; the hook leaves before a block that must not run.
        loops: None where nothing is known of them.
        invalidates: addresses of a C function of (context, address, length) and of its context,
            None where changes of data alone are nothing to it. It does what `invalidate` does, and
            returns whether that has to be called besides.
    """

    timing: str
    run: RunControl
    invalidates: tuple[int | None, int | None]

    @property
    def loops(self) -> Loops | None:
        """What is known of the loop that runs."""

    @property
    def suspects(self) -> set[int]:
        """Instructions that may trap; runs have to end before them."""

    def now(self) -> int:
        """Return the cycle count, exact to the instruction when called from a bus access."""

    def add_cycles(self, count: int) -> None:
        """Charge cycles that no instruction stands for: exception entry, sleep."""

    def set_acr(self, value: int) -> None:
        """Take over the flash access control register: wait states, caches, prefetch."""

    def invalidate(self, address: int, length: int) -> None:
        """Forget what is known of code and data that changed.

        Args:
            address: of the first byte.
            length: bytes.
        """

    def resync(self, address: int) -> None:
        """Settle a run that the block hook did not end: `address` is what comes next."""

    def take_suspect(self) -> int | None:
        """Return the instruction for which the last run was left since it may trap, if it was."""

    def suspect(self, address: int) -> None:
        """Have runs end before an instruction."""

    def trap_unaligned(self, *, all_words: bool) -> None:
        """Look at single loads and stores too, or only at those that are always to be aligned."""

    def trap_floats(self, *, on: bool) -> None:
        """Leave runs before a block with an FPU instruction, or not."""

    def reset(self) -> None:
        """Empty caches and pipeline, as a reset of the chip does; the counts go on."""


class _Head(ctypes.Structure):
    """The first fields of `instruction_clock_t`."""

    _fields_: ClassVar = [("run", RunControl), ("mem_read", ctypes.c_void_p)]


_SOURCE = native.Source(
    HERE / "instruction_clock.c",
    HERE,
    mirrors=[RUN_CONTROL, native.Mirror(_Head, "instruction_clock_t", whole=False)],
)


class InstructionClock:
    """One cycle per instruction, and no look at what may trap."""

    timing = "instructions"
    loops = None
    invalidates: tuple[int | None, int | None] = (None, None)

    def __init__(self, engine: "Engine") -> None:
        from unicorn.unicorn_py3.unicorn import uclib

        self._library = native.load(_SOURCE)
        self._library.instruction_clock_size.restype = ctypes.c_size_t
        self._state = ctypes.create_string_buffer(self._library.instruction_clock_size())
        head = _Head.from_buffer(self._state)
        head.mem_read = address_of(uclib.uc_mem_read)
        self.run: RunControl = head.run
        self.run.attach()
        self.suspects: set[int] = set()
        engine.add_block_hook(self._library.instruction_clock_on_block, self._state)

    def now(self) -> int:
        """Return the count at the last block's end."""
        return self.run.cycles

    def add_cycles(self, count: int) -> None:
        """Charge cycles that no instruction stands for."""
        self.run.cycles += count

    def set_acr(self, value: int) -> None:
        """Wait states cost nothing here."""

    def invalidate(self, address: int, length: int) -> None:
        """Forget every block: counting one again is cheap.

        Args:
            address: of the first byte.
            length: bytes.
        """
        del address, length
        self._library.instruction_clock_forget(self._state)

    def resync(self, address: int) -> None:
        """Leave the count as it is: a block's remainder is charged whole."""

    def take_suspect(self) -> int | None:
        """Return None."""
        return None

    def suspect(self, address: int) -> None:
        """Have runs end before an instruction."""
        self.suspects.add(address)

    def trap_unaligned(self, *, all_words: bool) -> None:
        """Trap nothing."""

    def trap_floats(self, *, on: bool) -> None:
        """Trap nothing."""

    def reset(self) -> None:
        """Keep the counts: there is nothing else."""
