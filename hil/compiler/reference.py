"""The integer reference: a `Program` computed in numpy, exactly as its operators state it."""

from collections.abc import Mapping

import numpy as np

from hil.compiler import operators
from hil.compiler.operators.kind import Kept
from hil.compiler.program import Int8, Operator, Program, Quantised
from hil.errors import UsageError


def run(program: Program, x: Int8) -> Quantised:
    """Compute a program's result.

    Args:
        program: the quantised network.
        x: int8, of the program's input shape.

    Returns:
        int8, (count,); int16 where the result's maps are.

    Raises:
        UsageError: the input's shape or type is another.
    """
    return result(program, maps(program, x))


def result(program: Program, computed: Mapping[str, Quantised]) -> Quantised:
    """Return the result, (count,), of what `maps` computed."""
    return np.concatenate([computed[t.name].reshape(-1) for t in program.output.tensors])


def maps(program: Program, x: Quantised, kept: Kept | None = None) -> dict[str, Quantised]:
    """Compute every tensor of a program, by name.

    Args:
        program: the quantised network.
        x: int8, of the program's input shape.
        kept: what is kept of every state of a cell, to see what a coarser one would do; None
            for all of it, as the program says.

    Raises:
        UsageError: the input's shape or type is another.
    """
    if x.shape != program.input.shape or x.dtype != np.int8:
        raise UsageError(
            f"{program.name} takes int8 {program.input.shape}, not {x.dtype} {x.shape}"
        )
    computed: dict[str, Quantised] = {program.input.name: x}
    for operator in program.operators:
        computed[operator.output.name] = compute(operator, computed, kept)
    return computed


def compute(
    operator: Operator, read: Mapping[str, Quantised], kept: Kept | None = None
) -> Quantised:
    """Compute one operator from the maps it reads, by name; `kept` as for `maps`.

    Args:
        operator: of a program.
        read: int8 maps, (rows, columns, channels).
        kept: of its cells' states; None for all.

    Returns:
        its output, int8, (rows, columns, channels).
    """
    return operators.of(operator).compute(operator, read, kept)
