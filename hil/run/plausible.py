"""Figures against what is known otherwise: one that contradicts it ends the measurement.

A wrong figure must not become a row. Each check knows something of a figure that the firmware did
not say: the plan, what the core can do at all, the emulated board's own count, the host's clock,
the chip's registers and memory behind the debugger.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from hil.build.image import footprint
from hil.errors import MismatchError
from hil.targets import clock_tree

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.link.messages import Hello, Memory
    from hil.run.measurement import Iteration, Measurement, Prepared
    from hil.targets.debugger import Debugger

LEAST_CYCLES_PER_MAC = 0.3
"""Fewer than any kernel takes for a MAC that the model states: SMLAD does two in a cycle, beside
loads; a layer whose MACs are shared or zero may state several for one."""
LEAST_STACK_BYTES = 64
"""Start-up calls serve_byte, that serve_frame, that dispatch: each keeps registers on the stack."""
_PAINT = 0xC5C5_C5C5.to_bytes(4, "little")  # firmware/runtime/stack.c
_CLOCKS_APART = 0.05  # the internal oscillator is within 4 % from -10 to 85 C: DS9405 table 41
_LINK_S = 0.25  # for a request and an answer, the host's scheduling in it


@dataclass(frozen=True)
class Evidence:
    """A measurement, and what else can be asked of the board.

    Attributes:
        memory: what the firmware says of it, asked once more after the measurement.
        debugger: None where the target has none.
    """

    measurement: "Measurement"
    memory: "Memory"
    debugger: "Debugger | None"

    @property
    def iterations(self) -> "tuple[Iteration, ...]":
        """Every inference of the measurement."""
        return self.measurement.iterations


@dataclass(frozen=True)
class Check:
    """Something known of a figure.

    Attributes:
        name: the figure. reason: whence it is known. hint: what a contradiction may come from.
        find: yields what contradicts, as what was said and what was known.
    """

    name: str
    reason: str
    hint: str
    find: Callable[[Evidence], Iterator[str]]


def check(evidence: Evidence) -> None:
    """Hold every figure to what is known of it.

    Raises:
        MismatchError: a figure contradicts it; the error names each that does.
    """
    found = [
        (one, f"{one.name}: {what} ({one.reason})") for one in CHECKS for what in one.find(evidence)
    ]
    if found:
        first = found[0][0]
        raise MismatchError("\n".join(line for _, line in found), hint=first.hint, stage="figures")


def check_clock(board: "Board", debugger: "Debugger | None") -> None:
    """Compare the clock and the flash's settings of a running board with its file.

    Args:
        board: its kind, as its file says.
        debugger: of the board; None where the target has none.

    Raises:
        MismatchError: they differ; the error names each setting.
    """
    wrong = [f"{_CLOCK_NAME}: {what} ({_CLOCK_REASON})" for what in _clock(board, debugger)]
    if wrong:
        raise MismatchError("\n".join(wrong), hint=_CLOCK_HINT, stage="hello")


def check_hello(prepared: "Prepared", hello: "Hello") -> None:
    """Compare what the firmware says of its model and its clock with the plan and the board.

    Args:
        prepared: the scenario with its plan.
        hello: the firmware's greeting.

    Raises:
        MismatchError: they differ; the error names each figure.
    """
    plan = prepared.schedule
    known = {
        "clock_hz": prepared.board.clock_hz,
        "input_bytes": plan.input_bytes,
        "output_bytes": plan.output_bytes,
        "layer_count": len(plan.layers),
        "input_survives": plan.input_survives,
        "streams": plan.streams,
    }
    wrong = [
        f"{name}: {getattr(hello, name)} by the firmware, {value} by the plan and the board's file"
        for name, value in known.items()
        if getattr(hello, name) != value
    ]
    if wrong:
        raise MismatchError("\n".join(wrong), hint="flash the image again", stage="hello")


def _layers(evidence: Evidence) -> Iterator[str]:
    planned = [(one.name, one.macs) for one in evidence.measurement.prepared.schedule.layers]
    for iteration in evidence.iterations:
        said = [(layer.name, layer.macs) for layer in iteration.layers]
        if len(said) != len(planned):
            yield f"the board has {len(said)}, the plan {len(planned)}"
        for index, (here, there) in enumerate(zip(said, planned, strict=False)):
            if here != there:
                yield f"number {index} is {_layer(*here)}, in the plan {_layer(*there)}"
                break


def _layer(name: str, macs: int) -> str:
    return f"{name} of {macs:,} MACs"


def _macs(evidence: Evidence) -> Iterator[str]:
    measurement = evidence.measurement
    planned = sum(one.macs for one in measurement.prepared.schedule.layers)
    if planned != measurement.prepared.network.macs:
        yield f"{measurement.prepared.network.macs:,} of the network, {planned:,} of its layers"


def _sum(evidence: Evidence) -> Iterator[str]:
    for iteration in evidence.iterations:
        total = sum(layer.cycles for layer in iteration.layers)
        if total != iteration.cycles:
            yield f"{total:,} where the whole took {iteration.cycles:,}"


def _floor(evidence: Evidence) -> Iterator[str]:
    macs = evidence.measurement.prepared.network.macs
    for iteration in evidence.iterations:
        if iteration.cycles < LEAST_CYCLES_PER_MAC * macs:
            yield (
                f"{iteration.cycles:,} for {macs:,} MACs, "
                f"at least {LEAST_CYCLES_PER_MAC * macs:,.0f} are needed"
            )


def _own_count(evidence: Evidence) -> Iterator[str]:
    for iteration in evidence.iterations:
        for layer, known in zip(iteration.layers, iteration.counts, strict=False):
            if layer.cycles != known:
                yield (
                    f"{iteration.cycles:,} by the firmware, {sum(iteration.counts):,} by the "
                    f"board's own count; first in {layer.name}: {layer.cycles:,} and {known:,}"
                )
                break


def _host_clock(evidence: Evidence) -> Iterator[str]:
    measurement = evidence.measurement
    if measurement.timing != "silicon":
        return
    hz = measurement.prepared.board.clock_hz
    for iteration in evidence.iterations:
        if iteration.seconds is None:
            continue
        said = (iteration.cycles + iteration.waiting_cycles) / hz
        least, most = said * (1 - _CLOCKS_APART), said * (1 + _CLOCKS_APART) + _LINK_S
        if iteration.waiting_cycles:
            most = math.inf  # CYCCNT stands still while the core sleeps until the host goes on
        if not least <= iteration.seconds <= most:
            yield f"{said:.4f} s by the count at {hz:,} Hz, {iteration.seconds:.4f} s by the host"


def _stack(evidence: Evidence) -> Iterator[str]:
    said, footprint = evidence.memory, evidence.measurement.prepared.image.footprint
    used, reserved = evidence.measurement.stack_bytes, footprint.stack_reserved_bytes
    if said.stack_bytes != reserved:
        yield f"the board reserves {said.stack_bytes:,} B, the image {reserved:,} B"
    if used < LEAST_STACK_BYTES:
        yield f"{used:,} B, start-up alone takes {LEAST_STACK_BYTES:,} B and more"
    if used >= reserved:
        yield f"{used:,} B of {reserved:,} B: it has overflowed, or was never painted"
    if evidence.debugger is not None:
        yield from _painted(evidence, evidence.debugger)


def _painted(evidence: Evidence, debugger: "Debugger") -> Iterator[str]:
    """Look how far the paint is gone, from the other side."""
    for section in evidence.measurement.prepared.image.sections:
        if section.name != ".stack":
            continue
        held = debugger.read(section.address, section.bytes)
        words = (held[at : at + 4] for at in range(0, section.bytes, 4))
        clean = next((i for i, word in enumerate(words) if word != _PAINT), section.bytes // 4)
        used, said = section.bytes - 4 * clean, evidence.memory.stack_high_water_bytes
        if used != said or evidence.measurement.stack_bytes > said:
            earlier = evidence.measurement.stack_bytes
            yield f"{earlier:,} B, then {said:,} B by the firmware, {used:,} B by the debugger"


def _static(evidence: Evidence) -> Iterator[str]:
    said, footprint = evidence.memory, evidence.measurement.prepared.image.footprint
    if said.arena_bytes != footprint.arena_bytes:
        yield f"an arena of {said.arena_bytes:,} B, in the image {footprint.arena_bytes:,} B"
    if said.static_bytes != footprint.static_bytes:
        yield f"static data of {said.static_bytes:,} B, in the image {footprint.static_bytes:,} B"


def _flash(evidence: Evidence) -> Iterator[str]:
    image = evidence.measurement.prepared.image
    said, programmed = image.footprint, sum(len(segment.data) for segment in image.segments)
    if said.flash_total_bytes != programmed:
        yield f"{said.flash_total_bytes:,} B in all, {programmed:,} B are programmed"
    known = footprint(image.sections)
    if said != known:
        yield f"{said}, by its sections {known}"


def _clock(board: "Board", debugger: "Debugger | None") -> Iterator[str]:
    if debugger is None:
        return
    found = clock_tree.read(board, debugger.read_word)
    if found is None:
        return
    known = asdict(clock_tree.expected(board))
    for name, value in asdict(found).items():
        if value != known[name]:
            yield f"{name.replace('_', ' ')} is {_setting(value)}, not {_setting(known[name])}"


def _setting(value: int | bool) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else f"{value:,}"


_CLOCK_NAME = "clock"
_CLOCK_REASON = "the chip's registers against the board's file"
_CLOCK_HINT = "compare firmware/chips/ with [clock] and wait_states of the board's file"
CHECKS = (
    Check("layers", "the plan's names, MACs and order", "flash the image again", _layers),
    Check("MACs", "its layers are all of the network", "see hil/compiler/plan", _macs),
    Check("cycles of all layers", "they share their reads", "see firmware/runtime/serve.c", _sum),
    Check(
        "cycles",
        "no Cortex-M4 is faster",
        "does DWT CYCCNT count, and every cycle? See firmware/runtime/cycles.c",
        _floor,
    ),
    Check(
        "cycles",
        "the emulated core counts for itself",
        "does DWT CYCCNT count, and every cycle? See firmware/runtime/cycles.c",
        _own_count,
    ),
    Check(
        "time of a run",
        "the host has a clock too",
        "is the core clocked as the board's file says, and does CYCCNT count every cycle?",
        _host_clock,
    ),
    Check(
        "stack",
        "the image reserves it, start-up paints it",
        "see firmware/runtime/stack.c",
        _stack,
    ),
    Check("memory", "the linker allotted it", "flash the image again", _static),
    Check("flash", "the image's own bytes", "build the image again", _flash),
    Check(
        _CLOCK_NAME,
        _CLOCK_REASON,
        _CLOCK_HINT,
        lambda one: _clock(one.measurement.prepared.board, one.debugger),
    ),
)
