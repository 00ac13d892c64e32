"""Steps that run row by row together: what each reads when, and how many rows must be kept.

`firmware/runtime/stream.c` runs them in the order that is simulated here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hil.compiler.plan_kernels import patch_grid
from hil.compiler.plan_steps import Kind, Step
from hil.compiler.program import Conv2D, Pool2D, RNNPool, Tensor

_ROW_BY_ROW = {
    Kind.CONV2D,
    Kind.POINTWISE,
    Kind.WINDOWED,
    Kind.STREAMED_BLOCK,
    Kind.RNNPOOL,
    Kind.HEADS,
    Kind.L2NORM,
    Kind.MAXOUT,
    Kind.POOL2D,
    Kind.SCALE,
}


@dataclass(frozen=True)
class Access:
    """How a step goes through its input.

    Call n needs the rows below n * step + reach, as far as there are any; once n calls are done,
    those from n * step + lead on are still needed.
    """

    calls: int
    step: int
    reach: int
    lead: int


def can_stream(step: Step) -> bool:
    """Whether a step can run row by row: its kernel can, and it reads one map."""
    return step.kind in _ROW_BY_ROW and len(step.inputs) == 1


def access_of(step: Step) -> Access:
    """How a step that can stream goes through its input."""
    first, last = step.operators[0], step.operators[-1]
    rows = step.outputs[0].shape[0]
    if isinstance(last, RNNPool):
        taken = (patch_grid(last)[0] - 1) * last.stride + last.patch
        calls, band = taken // step.band, step.band
        if not isinstance(first, Conv2D):
            return Access(calls, band, band, 0)
        top, kernel = first.padding.top, first.weight.shape[1]
        reach = (band - 1) * first.stride - top + kernel
        return Access(calls, band * first.stride, reach, -top)
    if step.kind is Kind.STREAMED_BLOCK:
        depthwise, project = step.operators[-2:]
        if not (isinstance(depthwise, Conv2D) and isinstance(project, Conv2D)):
            raise TypeError(f"{step.name} is no inverted residual")
        stride = depthwise.stride
        return Access(rows, stride, 2, 0 if project.residual else 2 - stride)
    if step.kind is Kind.HEADS:
        conv = next(op for op in step.operators if isinstance(op, Conv2D))
        unread = conv.weight.shape[1] - conv.padding.top
        return Access(rows, conv.stride, unread, unread - conv.stride)
    if isinstance(last, Conv2D | Pool2D):
        window = last.window[0] if isinstance(last, Pool2D) else last.weight.shape[1]
        top = last.padding.top
        return Access(rows, last.stride, window - top, -top)
    return Access(rows, 1, 1, 0)


def made_after(step: Step, calls: int) -> int:
    """Rows of a step's outputs that are complete after so many calls."""
    pool = step.operators[-1]
    if not isinstance(pool, RNNPool):
        return calls
    rows = calls * step.band
    if rows < pool.patch:
        return 0
    made = (rows - pool.patch) // pool.stride + 1
    return made if made < patch_grid(pool)[0] else pool.output.shape[0]


Event: TypeAlias = tuple[int | None, list[tuple[Tensor, int]]]
"""A call of a step, by its index, or a row taken in, None; and the maps and rows that it adds."""


@dataclass(frozen=True)
class Stream:
    """How steps run row by row.

    Attributes:
        strips: rows of each map that are kept, by tensor's name.
        order: what happens, in order.
    """

    strips: dict[str, int]
    order: tuple[Event, ...]


def simulate(image: Tensor, steps: Sequence[Step], whole: set[str]) -> Stream:
    """Find in which order steps run row by row, and how many rows of each map must be kept.

    The last step that can run runs; a row of the image comes in when none can.

    Args:
        image: the program's input.
        steps: all can stream.
        whole: maps that are read later, by other steps, and are kept whole.
    """
    strips = {
        tensor.name: _Strip(tensor.shape[0], tensor.shape[0] if tensor.name in whole else 1)
        for tensor in (image, *(t for step in steps for t in step.outputs))
    }
    stages = [_Stage(step, access_of(step), strips[step.inputs[0].name]) for step in steps]
    order: list[Event] = []
    while any(stage.done < stage.access.calls for stage in stages):
        index = next((i for i in reversed(range(len(stages))) if stages[i].is_ready), None)
        if index is None:
            made = strips[image.name].made + 1
            added = [(image, made)]
        else:
            made = made_after(steps[index], stages[index].done + 1)
            added = [(tensor, made) for tensor in steps[index].outputs]
        order.append((index, [(t, made - strips[t.name].made) for t, made in added]))
        for tensor, _ in added:
            _write(strips[tensor.name], made, stages)
        if index is not None:
            stages[index].done += 1
    return Stream({name: strip.capacity for name, strip in strips.items()}, tuple(order))


@dataclass(eq=False)
class _Strip:
    rows: int
    capacity: int
    made: int = 0


@dataclass(eq=False)
class _Stage:
    step: Step
    access: Access
    x: _Strip
    done: int = 0

    @property
    def is_ready(self) -> bool:
        needed = min(self.x.rows, self.done * self.access.step + self.access.reach)
        return self.done < self.access.calls and self.x.made >= needed


def _write(strip: _Strip, made: int, stages: Sequence[_Stage]) -> None:
    """Rows up to `made` are written while those still needed are kept."""
    first = strip.made
    for stage in stages:
        if stage.x is strip and stage.done < stage.access.calls:
            start = stage.done * stage.access.step + stage.access.lead if stage.done else 0
            first = min(first, max(0, start))
    strip.capacity = max(strip.capacity, made - first)
    strip.made = made
