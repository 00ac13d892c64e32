"""Costs of blocks that an earlier run has worked out, kept in the cache of builds.

A block is known again by all that its costs were worked out from: its code, where it stands, the
state of the pipeline, the constants that it loads, and what of it is hooked. Which of its cases it
is, the registers say, by the same places that the C side looks at.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hil import paths
from hil.build import once
from hil.build.kept import note_use
from hil.config.board import Board
from hil.errors import BuildError
from hil.targets.emulator.core.alignment import Check
from hil.targets.emulator.core.alignment import Plan as Alignment
from hil.targets.emulator.timing.addresses import Case
from hil.targets.emulator.timing.pipeline import BlockTiming, Exit, State
from hil.targets.emulator.timing.rules import TIMING_VERSION

_FOLDER = "blocks"
_HERE = Path(__file__).parent
_SOURCES = frozenset({".py", ".c", ".h"})
_MOST_BLOCKS = 1 << 14
_WORTH_IT = 32  # one new block in so many known ones is not worth another file
Constants = Mapping[int, int | None]
"""Words of constant data by address; None where there was none."""


class Met(NamedTuple):
    """How a block is met: what its costs depend on beside registers and constants.

    Attributes:
        code: its bytes.
        state: of the pipeline on entry.
        cached: whether the flash's instruction cache is on.
        hooked, cuts: instructions behind its first that are hooked: ITs on whose outcome costs
            depend, and those from which an address can be told.
        memories: how many can be loaded from beforehand.
    """

    address: int
    code: bytes
    state: State
    cached: bool
    hooked: tuple[int, ...] = ()
    cuts: tuple[int, ...] = ()
    memories: int = 0


class Found(NamedTuple):
    """What was worked out of a block for some registers.

    Attributes:
        instructions: how many, up to where it is cut or ends.
        end, condition: where it is cut, and of what stands there; 0 where it is not.
        alignment: what is to be checked before it runs.
        first_float: the address of its first FPU instruction, or 0.
        transfer: how it ends, as of `c_side.Transfer`.
        may_write: what it may write, as of `c_side.Writes`.
        timing: its costs; None where a hook has first to cut it: then it is to be translated anew.
    """

    instructions: int
    end: int
    condition: int
    alignment: Alignment
    first_float: int
    transfer: int
    may_write: int
    case: Case
    timing: BlockTiming | None


class _Exit(msgspec.Struct, array_like=True):
    cost: int
    by_cause: tuple[int, ...]
    state: int  # its number in the file

    def exit(self, states: Sequence[State]) -> Exit:
        return Exit(self.cost, self.by_cause, states[self.state])


class _Timing(msgspec.Struct, array_like=True):
    issued: bytes
    line_fetches: bytes
    fall_through: _Exit
    taken: _Exit

    def timing(self, states: Sequence[State]) -> BlockTiming:
        ends = self.fall_through.exit(states), self.taken.exit(states)
        return BlockTiming(self.issued, self.line_fetches, *ends)


class _Case(msgspec.Struct, array_like=True):
    case: Case
    timing: _Timing | None


class _Block(msgspec.Struct, array_like=True):
    address: int
    code: bytes
    state: int
    cached: bool
    hooked: tuple[int, ...]
    cuts: tuple[int, ...]
    memories: int
    constants: tuple[tuple[int, int | None], ...]
    count: int
    end: int
    condition: int
    checks: tuple[Check, ...]
    first_float: int
    transfer: int
    may_write: int
    cases: list[_Case]

    def found(self, known: _Case, states: Sequence[State]) -> Found:
        return Found(
            self.count, self.end, self.condition, Alignment(self.checks), self.first_float,
            self.transfer, self.may_write, known.case,
            known.timing.timing(states) if known.timing is not None else None,
        )  # fmt: skip


class _Kept(msgspec.Struct):
    """A file of the cache.

    Attributes:
        pages: by a page of code's digest, which of its ITs are hooked.
    """

    states: list[bytes]
    blocks: list[_Block]
    pages: dict[str, tuple[int, ...]]


@dataclass
class KnownBlocks:
    """Blocks known from this run and, where it has a file, from earlier ones.

    Args:
        place: of the file, before its name gains its own digest; None where nothing is kept.
    """

    place: Path | None = None
    pages: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _states: list[State] = field(default_factory=list)
    _numbers: dict[State, int] = field(default_factory=dict)
    _blocks: dict[tuple[Any, ...], list[_Block]] = field(default_factory=dict)
    _count: int = 0
    _kept: int = 0
    _pages_kept: int = 0

    @classmethod
    def of(cls, board: Board, program: Iterable[bytes]) -> "KnownBlocks":
        """Return what is known of a program's blocks.

        Args:
            board: that it runs on.
            program: its bytes.
        """
        place = paths.cache() / _FOLDER / f"{_digest(board, program)}.blocks"
        known = cls(place)
        for file in once.found(place):
            with contextlib.suppress(OSError, msgspec.MsgspecError, IndexError):
                known._take(msgspec.msgpack.decode(file.read_bytes(), type=_Kept))
                note_use(file)
                break
        return known

    def _take(self, kept: _Kept) -> None:
        self._states = [State(state) for state in kept.states]
        self._numbers = {state: number for number, state in enumerate(self._states)}
        for block in kept.blocks:
            self._blocks.setdefault(_key(block, block.state, len(block.code)), []).append(block)
        self._count = self._kept = sum(len(block.cases) for block in kept.blocks)
        self.pages, self._pages_kept = kept.pages, len(kept.pages)

    def find(
        self,
        met: Met,
        constant: Callable[[int], int | None],
        holds: Callable[[Case], bool],
    ) -> Found | None:
        """Return what is known of a block that is about to run; None where that is nothing.

        Args:
            met: how it is met.
            constant: the word of constant data at an address.
            holds: whether a case is that of the registers as they are.
        """
        for block in self._alike(met):
            if any(constant(at) != word for at, word in block.constants):
                continue
            for known in block.cases:
                if holds(known.case):
                    return block.found(known, self._states)
        return None

    def add(self, met: Met, constants: Constants, found: Found) -> None:
        """Keep what was worked out of a block.

        Args:
            met: how it was met.
            constants: those that it was worked out from.
            found: what it came to.
        """
        if self.place is None or self._count >= _MOST_BLOCKS:
            return
        self._count += 1
        words = tuple(sorted(constants.items()))
        block = next((one for one in self._alike(met) if one.constants == words), None)
        if block is None:
            block = self._new(met, words, found)
            self._blocks.setdefault(_key(met, block.state, len(met.code)), []).append(block)
        timing = found.timing
        known = _Case(found.case, self._timing(timing) if timing is not None else None)
        block.cases.append(known)

    def _alike(self, met: Met) -> Iterator[_Block]:
        number = self._numbers.get(met.state)
        known = () if number is None else self._blocks.get(_key(met, number, len(met.code)), ())
        return (block for block in known if block.code == met.code)

    def _new(self, met: Met, words: tuple[tuple[int, int | None], ...], found: Found) -> _Block:
        return _Block(
            met.address, met.code, self._number(met.state), met.cached, met.hooked, met.cuts,
            met.memories, words, found.instructions, found.end, found.condition,
            found.alignment.checks,
            found.first_float, found.transfer, found.may_write, [],
        )  # fmt: skip

    def _timing(self, timing: BlockTiming) -> _Timing:
        ends = self._exit(timing.fall_through), self._exit(timing.taken)
        return _Timing(timing.issued, timing.line_fetches, *ends)

    def _exit(self, end: Exit) -> _Exit:
        return _Exit(end.cost, end.by_cause, self._number(end.state))

    def _number(self, state: State) -> int:
        number = self._numbers.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
        return number

    def keep(self) -> None:
        """Write what this run has added, if that is worth it, where the cache can be written."""
        place = self.place
        added = self._count - self._kept + len(self.pages) - self._pages_kept
        if place is None or added * _WORTH_IT <= self._kept:
            return
        blocks = [block for several in self._blocks.values() for block in several]
        content = msgspec.msgpack.encode(
            _Kept([bytes(one) for one in self._states], blocks, self.pages)
        )

        def made(scratch: Path) -> Path:
            path = scratch / "known.blocks"
            path.write_bytes(content)
            return path

        with contextlib.suppress(BuildError, OSError):
            earlier = list(once.found(place))
            now = once.made_once(place, made, anew=True)
            for file in earlier:
                if file != now:
                    file.unlink(missing_ok=True)
        self._kept, self._pages_kept = self._count, len(self.pages)


def _key(one: Met | _Block, state: int, size: int) -> tuple[Any, ...]:
    return one.address, size, state, one.cached, one.hooked, one.cuts, one.memories


def _digest(board: Board, program: Iterable[bytes]) -> str:
    facts = (board.chip, board.memories, board.external, board.flash_read_bits)
    said = msgspec.json.encode(facts, order="deterministic").decode()
    pieces = (sha256(piece).hexdigest() for piece in program)
    return once.digest((_source(), said, *pieces), ())


@cache
def _source() -> str:
    """Return a digest of what works costs out."""
    words = (TIMING_VERSION, metadata.version("capstone"), metadata.version("unicorn"))
    return once.digest(words, (_HERE, _HERE.parent / "core"), _SOURCES)
