"""Operators grouped into steps, each a call of the first kernel that takes the next operators."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hil.compiler.kernels.kernel import Choices, Step
from hil.compiler.kernels.registry import KERNELS
from hil.compiler.kernels.shapes import count_readers
from hil.compiler.program import Operator, Program
from hil.errors import BuildError


def schedule(program: Program, choices: Choices) -> tuple[Step, ...]:
    """Turn a program into steps.

    Kernels fuse operators where they can, so that the maps between them are never stored.

    Args:
        program: the quantised network.
        choices: what the schedule is free to choose.

    Raises:
        BuildError: an operator that no kernel computes, or more than a kernel has room for.
    """
    steps: list[Step] = []
    rest = list(program.operators)
    readers = count_readers(program)
    while rest:
        # A streamed step needs all its weights for each row: no panels, and no transforms.
        row_by_row = replace(choices, panel_bytes=None, transforms=False)
        how = row_by_row if len(steps) < choices.streamed else choices
        taken = _take(rest, readers, how)
        if taken.name in dict(choices.apart):
            taken = _take(rest, readers, choices.of(taken.name))
        steps.append(taken)
        rest = [operator for operator in rest if operator not in taken.operators]
    return tuple(steps)


def _take(rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices) -> Step:
    for kernel in KERNELS:
        step = kernel.take(rest, readers, choices)
        if step and kernel.suits(step):
            return step
    raise BuildError(
        f"no kernel computes {type(rest[0]).__name__} ({rest[0].name})",
        hint="firmware/kernels has one file for each kind of operator",
    )
