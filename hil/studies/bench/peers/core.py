"""A layer on the emulated core by a kernel of others: its cycles, and whether it is right."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hil.config.board import Board
from hil.errors import MismatchError, UsageError
from hil.studies.bench.peers import calls
from hil.studies.bench.peers.build import STACK, Build
from hil.studies.bench.peers.calls import Call
from hil.studies.timing_validation.core import CoreRun

if TYPE_CHECKING:
    from hil.compiler.program import Quantised
    from hil.studies.bench.peers.works import Work

MOST_OFF = 1
"""By how much a value may differ from ours: peers round otherwise."""

_MORE_SRAM = 4 << 20  # what a network's whole maps need, which the board has not
_BUFFER_BYTES = 1 << 19
_ALIGNED = 16
_CONSTANTS = 0x0810_0000  # in flash, behind the program
_PREFETCH_AND_CACHES = 0x700  # FLASH_ACR: PRFTEN, ICEN, DCEN
_RUN = ("work_begin", "work_end")


@dataclass(frozen=True)
class Outcome:
    """A layer as one kernel of one build computed it.

    Attributes:
        call: the kernel's, as `c/` calls it.
        build: compiler and level.
        place: of the weights and factors: "flash" or "ccm".
        cycles: of the call.
        off: the most by which a value differs from our reference's.
        different: the share of values that differ.
    """

    call: str
    build: str
    place: str
    cycles: int
    off: int
    different: float


def with_more_sram(board: Board) -> Board:
    """Return the board with SRAM for whole maps, which our schedules need not and peers do.

    It has the timing of what is there.
    """
    last = max((m for m in board.memories if {"code", "data"} <= m.uses), key=lambda m: m.address)
    memories = [replace(m, bytes=_MORE_SRAM) if m is last else m for m in board.memories]
    return replace(board, memories=tuple(memories))


def outcomes(work: "Work", call: Call, build: Build, board: Board) -> Iterator[Outcome]:
    """Run a layer with its weights in flash, and in CCM where they fit.

    Args:
        work: the layer.
        call: the kernel.
        build: the program it is in.
        board: with SRAM for whole maps.

    Raises:
        MismatchError: its output is not ours.
        UsageError: the kernel refuses the layer.
    """
    constants = calls.constants(work, call)
    size = sum(values.nbytes + _ALIGNED for values in constants.values())
    ccm = next((r for r in board.regions if r.name == "ccm"), None)
    numbers = calls.numbers(work) | {"buffer_bytes": _BUFFER_BYTES}
    numbers["call"] = build.calls.index(call.name)
    places = {"flash": _CONSTANTS}
    if constants and ccm is not None and size <= ccm.bytes:
        places["ccm"] = ccm.address
    for place, address in places.items():
        run = _at_main(build, board)
        placed = dict(_put(run, address, constants))
        title = f"{work.name} by {call.name.lower()}, {build.title}, weights in {place}"
        cycles, found = _computed(run, work, call, numbers, placed)
        off, different = _compared(found, work.expected, title)
        yield Outcome(call.name, build.title, place, cycles, off, different)


def _at_main(build: Build, board: Board) -> CoreRun:
    flash = board.flash.flash
    run = CoreRun(build.elf, board, _PREFETCH_AND_CACHES | (flash.wait_states if flash else 0))
    run.reach(["main"])
    return run


def _computed(
    run: CoreRun, work: "Work", call: Call, numbers: dict[str, float], places: Mapping[str, int]
) -> tuple[int, "Quantised"]:
    """Have a layer computed.

    Args:
        run: the program, at its main.
        work: the layer.
        call: the kernel.
        numbers: the structure's fields that are numbers.
        places: addresses of the constants, by field.

    Returns:
        The call's cycles, and the output as it stands in memory.

    Raises:
        UsageError: the kernel refuses the layer.
    """
    maps: dict[str, calls.Values] = dict(zip(("input", "other"), work.inputs, strict=False))
    free = {"output": work.expected.nbytes, "buffer": _BUFFER_BYTES, "widened": _BUFFER_BYTES}
    maps |= {name: np.zeros(count, np.int8) for name, count in free.items()}
    addresses = dict(places) | dict(_put(run, STACK, maps))
    if call.in_place:
        addresses["output"] = addresses["input"]
    described = run.symbol("work")
    run.write(described, calls.structure(numbers, addresses))
    begin, end = run.reach(_RUN)
    status = int.from_bytes(run.read(described, calls.STATUS_BYTES), "little", signed=True)
    if status:
        raise UsageError(
            f"{work.name} by {call.name.lower()}: the kernel answers {status}",
            hint="is the checkout of the default branch?",
        )
    found = np.frombuffer(run.read(addresses["output"], work.expected.nbytes), np.int8)
    return end.cycles - begin.cycles, found


def _compared(found: "Quantised", expected: "Quantised", title: str) -> tuple[int, float]:
    apart = np.abs(found.astype(np.int32) - expected.reshape(-1).astype(np.int32))
    off = int(apart.max())
    if off > MOST_OFF:
        index = int(apart.argmax())
        raise MismatchError(
            f"{title}: value {index} is {found[index]}, not {expected.reshape(-1)[index]}; of "
            f"{apart.size:,} values {int((apart > MOST_OFF).sum()):,} are off by more than "
            f"{MOST_OFF}",
            stage="bench",
        )
    return off, float((apart > 0).mean())


def _put(
    run: CoreRun, address: int, arrays: Mapping[str, calls.Values]
) -> Iterator[tuple[str, int]]:
    """Write arrays one behind another; yield where each is."""
    for name, values in arrays.items():
        run.write(address, values.tobytes())
        yield name, address
        address += -(-values.nbytes // _ALIGNED) * _ALIGNED
