"""What a step adds to the emitted sources, and how it names memory."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from hil.compiler.emit_c import Constant, identifier
from hil.compiler.plan_steps import Step
from hil.compiler.program import Operator, Tensor
from hil.errors import BuildError

if TYPE_CHECKING:
    from hil.compiler.plan import Plan

Fields: TypeAlias = dict[str, str | int | bool]
T = TypeVar("T", bound=Operator)


@dataclass(frozen=True, eq=False)
class StepCode:
    """What a step adds to the emitted sources.

    Attributes:
        headers: of firmware/kernels.
        comment: the layer's shape and equation.
        constants: arrays for weights.c.
        descriptors: definitions before the step's function.
        calls: the statements of the step's function.
        assembly: Cortex-M4 code for kernels.S; each function has its twin in C.
    """

    headers: tuple[str, ...]
    comment: str
    constants: tuple[Constant, ...]
    descriptors: str
    calls: tuple[str, ...]
    assembly: str = ""


def arena_pointer(plan: "Plan", tensor: Tensor) -> str:
    """C expression for where a map's memory begins."""
    return f"(int8_t *)model_arena + {plan.offsets[tensor.name]}"


def map_pointer(plan: "Plan", step: Step, tensor: Tensor) -> str:
    """C expression for where a map stands, or would, of which a streamed step has a few rows."""
    if plan.is_streamed(step):
        return f"strip_base(&{strip_name(tensor)})"
    return arena_pointer(plan, tensor)


def row_pointer(plan: "Plan", step: Step, tensor: Tensor) -> str:
    """C expression for the first of the rows that a call of a step is about."""
    if plan.is_streamed(step):
        return f"strip_row(&{strip_name(tensor)}, row)"
    return arena_pointer(plan, tensor)


def row_span(plan: "Plan", step: Step, rows: int) -> tuple[str, str]:
    """C expressions for the first and the number of rows that a call computes: all, or `row`."""
    return ("row", "1") if plan.is_streamed(step) else ("0", str(rows))


def strip_name(tensor: Tensor) -> str:
    """The C name of the strip of a streamed step's map."""
    return f"strip_{identifier(tensor.name)}"


def scratch_pointer(plan: "Plan", step: Step, name: str) -> str:
    """C expression for a step's working memory."""
    buffer = plan.buffers[f"{step.name}/{name}"]
    memory = "model_arena" if buffer.region == "sram" else "model_scratch"
    return f"(void *)({memory} + {buffer.offset})"


def planned_pointer(plan: "Plan", step: Step, name: str) -> str:
    """The same, NULL where the plan has no such memory."""
    return scratch_pointer(plan, step, name) if f"{step.name}/{name}" in plan.buffers else "NULL"


def call(function: str, *arguments: str) -> str:
    """A call as a statement."""
    return f"{function}({', '.join(arguments)});"


def expect(operator: Operator, kind: type[T]) -> T:
    """The operator, if it is of the kind that its step says."""
    if not isinstance(operator, kind):
        raise BuildError(f"{operator.name} is a {type(operator).__name__}, not a {kind.__name__}")
    return operator
