"""What a run asks of a compiled network: plain figures, which are there without torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.compiler.program import Output
from hil.results.details import Span
from hil.vision.detection import Anchor

if TYPE_CHECKING:
    from hil.compiler.plan import Plan
    from hil.run.compiled import CompiledScenario, QuantisedScenario


@dataclass(frozen=True)
class Network:
    """A quantised network.

    Attributes:
        name: of the program, in errors.
        macs, parameters: of the float network, zeros included.
        output: the maps that the result is made of, with their scales.
        rows, columns: of the image.
        anchors: from which a detector's boxes start; None for a network that finds none.
    """

    name: str
    macs: int
    parameters: int
    output: Output
    rows: int
    columns: int
    anchors: tuple[Anchor, ...] | None = None

    @classmethod
    def of(cls, quantised: "QuantisedScenario") -> "Network":
        """Gather it from the float network and the program."""
        from hil.models.face import FaceDetector

        program, module = quantised.program, quantised.loaded.module
        return cls(
            name=program.name,
            macs=program.macs,
            parameters=program.parameters,
            output=program.output,
            rows=quantised.loaded.spec.rows,
            columns=quantised.loaded.spec.columns,
            anchors=module.anchors if isinstance(module, FaceDetector) else None,
        )


@dataclass(frozen=True)
class PlannedLayer:
    """A step of the schedule, with the MACs that the model states for it."""

    name: str
    kernel: str
    macs: int


@dataclass(frozen=True)
class Schedule:
    """A network's plan on a board.

    Attributes:
        laps: whose the intervals between two reads of the cycle counter are; see `hil.run.laps`.
        buffers: of `Plan.buffers`. text: both as a table for a person.
        input_bytes, output_bytes: of the image and of the result.
        input_survives: whether the image is still whole after an inference.
        streams: whether the image comes in row by row while the steps run.
        arena_outside: whether activations went to the memory outside the chip.
        ccm_bytes: of the kernels' working memory there.
        cycles: that one inference is expected to take.
    """

    layers: tuple[PlannedLayer, ...]
    laps: tuple[int | None, ...]
    buffers: tuple[Span, ...]
    text: str
    input_bytes: int
    output_bytes: int
    input_survives: bool
    streams: bool
    arena_outside: bool
    ccm_bytes: int
    cycles: int

    @classmethod
    def of(cls, compiled: "CompiledScenario") -> "Schedule":
        """Gather it from the plan."""
        from hil.compiler.plan.cost import estimate
        from hil.run import laps

        plan = compiled.plan
        return cls(
            layers=tuple(PlannedLayer(s.name, s.kernel.name, s.macs) for s in plan.steps),
            laps=tuple(laps.owners(plan)),
            buffers=tuple(Span(**vars(one)) for one in plan.buffers.values()),
            text=_text(plan),
            input_bytes=plan.input_bytes,
            output_bytes=plan.output_bytes,
            input_survives=plan.input_survives,
            streams=plan.streams,
            arena_outside=compiled.board.arena_outside,
            ccm_bytes=plan.ccm_bytes,
            cycles=estimate(plan),
        )


def _text(planned: "Plan") -> str:
    from hil.compiler import plan

    heads, rows = plan.table(planned)
    fixed = len(heads) - len(planned.steps)
    lines = [f"step {number:3}  {name}" for number, name in enumerate(heads[fixed:])]
    widths = [max(len(str(row[at])) for row in [heads, *rows]) for at in range(fixed)]
    lines.append("")
    for row in [heads[:fixed], *rows]:
        cells = "  ".join(f"{row[at]!s:{widths[at]}}" for at in range(fixed))
        alive = "".join("#" if cell else "." for cell in row[fixed:])
        lines.append(f"{cells}  {alive}".rstrip())
    return "\n".join([*lines, ""])
