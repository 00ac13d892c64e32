"""Loops that a debugger runs from RAM: what each memory costs, on the board and on the model.

Every loop counts its own cycles. The core runs from the oscillator that a reset leaves: cycles are
the same at any clock as long as the wait states are. What the flash holds does not matter: its
words are loaded, never executed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.config.board import Board
from hil.studies.boards.finding import Finding
from hil.studies.boards.registers import bench_of

if TYPE_CHECKING:
    from hil.targets.debugger import Debugger

_PREFETCH, _INSTRUCTIONS, _DATA = 1 << 8, 1 << 9, 1 << 10
_RESET_CACHES = 3 << 11
_CYCCNT = 0xE000_1004
_PASSES = 1000
SWITCHES = 2 * _PASSES
"""Stores of `unsettled`."""
_DATA_LINES = 8  # of what the flash reads at once: RM0090 section 3.5.2, RM0432 section 3.3.5
_APART = 0.05  # of a cycle in a pass: what starts and ends the count weighs less

# Thumb; r0 is the place, r1 counts passes, r2 and r3 are the counter, r6 its address.
_BEGIN, _END = (0x6832,), (0x6833, 0xBE00)  # ldr r2,[r6]; ldr r3,[r6]; bkpt #0
_LOADS = (0x6804, 0x6845, 0x6884, 0x68C5)  # ldr r4,[r0]; ldr r5,[r0,#4]; r4, #8; r5, #12
_STORES = (0x6004, 0x6845, 0x6084, 0x68C5)  # str r4,[r0]; ldr r5,[r0,#4]; str r4,[r0,#8]; ldr
_LOAD, _ON = 0x6804, 0x3000  # ldr r4,[r0]; adds r0,#...
_BACK = 0x3800  # subs r0,#...
_ACR_TWICE = (
    *(0x6004, 0x6803, 0x42A3, 0xBF18, 0x3701),  # str r4,[r0]; ldr r3,[r0]; cmp r3,r4; addne r7,#1
    *(0x6005, 0x6803, 0x42AB, 0xBF18, 0x3701),  # the same with r5
)
_EMPTIED = (
    *(0x6803, 0x6803),  # ldr r3,[r0], twice: the second finds the line in the cache
    *(0x603C, 0x603D, 0x603C),  # str r4,[r7]; str r5,[r7]; str r4,[r7]: off, reset, off
    *(0xF8C7, 0x8000),  # str.w r8,[r7]: on
)


@dataclass(frozen=True)
class Loop:
    """A loop of a few instructions whose cycles are compared with the timing model's.

    Attributes:
        name: of its finding.
        body: half-words.
        place: r0, as a board has it.
        acr: FLASH_ACR's caches meanwhile; the wait states are the board's.
        registers: further ones, as the wait states make them.
    """

    name: str
    body: Sequence[int]
    place: Callable[[Board], int]
    acr: int = 0
    registers: Callable[[int], dict[str, int]] = lambda _wait_states: {}

    @property
    def program(self) -> bytes:
        """Its instructions."""
        turn = (*self.body, 0x3901)  # subs r1,#1
        back = (0xD100 | -(len(turn) + 2) & 0xFF,)  # bne: two half-words behind itself
        words = (*_BEGIN, *turn, *back, *_END)
        return b"".join(word.to_bytes(2, "little") for word in words)


def of(board: Board) -> list[Loop]:
    """Return the loops that a board can run."""
    lines = board.flash_read_bits // 8
    access = bench_of(board).access
    rams = [one for one in board.memories if one.flash is None and one.sdram is None]
    return [
        *(_in_ram(one.name, one.address, kind) for one in rams for kind in ("loads", "stores")),
        Loop("flash loads", _LOADS, _flash),
        Loop(f"{_DATA_LINES} cached lines", _lines(_DATA_LINES, lines), _flash, _DATA),
        Loop(f"{_DATA_LINES + 1} cached lines", _lines(_DATA_LINES + 1, lines), _flash, _DATA),
        Loop("emptied cache", _EMPTIED, _flash, _DATA, lambda waits: _emptying(access, waits)),
    ]


def cycles(loop: Loop, board: Board, debugger: "Debugger") -> float:
    """Run a loop; returns cycles a pass. Raises ProbeError.

    Args:
        loop: a few instructions.
        board: its file.
        debugger: of the board; the loop runs from its RAM.
    """
    before = _run(loop, board, debugger)
    return (before[3] - before[2] & 0xFFFF_FFFF) / _PASSES


def unsettled(board: Board, debugger: "Debugger") -> int:
    """Switch the flash's caches on and off; returns how often FLASH_ACR read otherwise at once.

    Args:
        board: its file.
        debugger: of the board.

    Raises:
        ProbeError: the probe or the core is lost.
    """
    on = _PREFETCH | _INSTRUCTIONS | _DATA

    def values(wait_states: int) -> dict[str, int]:
        return {"r4": wait_states, "r5": wait_states | on, "r7": 0}

    cycles(of(board)[0], board, debugger)  # new wait states take time, in which the core runs
    loop = Loop("acr", _ACR_TWICE, lambda board: bench_of(board).access, 0, values)
    return _run(loop, board, debugger)[7]


def compare(board: Board, debugger: "Debugger", model: "Debugger | None") -> Iterator[Finding]:
    """Run every loop on a board and on a model of it.

    Args:
        board: its kind.
        debugger: of the board.
        model: of an emulated board of the same kind; None where there is none.

    Raises:
        ProbeError: the probe or the core is lost.
    """
    for loop in of(board):
        here = cycles(loop, board, debugger)
        there = cycles(loop, board, model) if model is not None else None
        yield judged(loop.name, here, there)


def judged(name: str, here: float, there: float | None) -> Finding:
    """Hold a board's cycles a pass against the model's.

    Args:
        name: of the loop.
        here: cycles a pass on the board.
        there: cycles a pass on the emulated board; None where it has not run there.
    """
    detail = f"{here:.2f} cycles a pass"
    if there is None:
        return Finding(name, None, f"{detail}; no model here", here, None, "cycle")
    detail += f", {there:.2f} modelled"
    return Finding(name, abs(here - there) <= _APART, detail, here, there, "cycle")


def _run(loop: Loop, board: Board, debugger: "Debugger") -> tuple[int, ...]:
    wait_states, access = board.flash_wait_states, bench_of(board).access
    for value in (wait_states, wait_states | _RESET_CACHES, wait_states | loop.acr):
        debugger.write(access, value.to_bytes(4, "little"))
    registers = {"r0": loop.place(board), "r1": _PASSES, "r6": _CYCCNT}
    return debugger.execute(
        loop.program, board.sram.address, registers | loop.registers(wait_states)
    )


def _in_ram(name: str, address: int, kind: str) -> Loop:
    body = _LOADS if kind == "loads" else _STORES
    behind = address + 0x400  # the program itself stands at the start of one of them
    return Loop(f"{name} {kind}", body, lambda _board: behind)


def _flash(board: Board) -> int:
    return board.flash.address


def _lines(count: int, line_bytes: int) -> tuple[int, ...]:
    """Load a word of so many lines, then go back to the first."""
    return (*(_LOAD, _ON | line_bytes) * count, _BACK | line_bytes * count)


def _emptying(access: int, wait_states: int) -> dict[str, int]:
    off = wait_states
    return {"r4": off, "r5": off | _RESET_CACHES, "r7": access, "r8": off | _DATA}
