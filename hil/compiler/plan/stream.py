"""Steps that run row by row together: what each reads when, and how many rows must be kept.

`firmware/runtime/stream.c` runs them in the order that is simulated here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hil.compiler.kernels.kernel import Access, Step
from hil.compiler.program import Tensor
from hil.errors import BuildError
from hil.limits import limit


def can_stream(step: Step) -> bool:
    """Tell whether a step can run row by row: its kernel can, it reads one map and writes few."""
    few = len(step.outputs) <= limit("STREAM_MOST_OUTPUTS")
    return step.kernel.access(step) is not None and len(step.inputs) == 1 and few


def access_of(step: Step) -> Access:
    """Return how a step that can stream goes through its input.

    Raises:
        BuildError: it cannot.
    """
    access = step.kernel.access(step)
    if access is None:
        raise BuildError(f"{step.name} cannot run row by row: {step.kernel.name} needs whole maps")
    return access


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
            made = steps[index].kernel.made(steps[index], stages[index].done + 1)
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
