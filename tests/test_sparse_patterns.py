"""FastGRNN cells whose weights are zero in every way that training or pruning may leave them.

The sparse kernel's code is written from the pattern of the weights, so each pattern is another
program: none, one, whole units and whole inputs, and as many as the kernel takes.
"""

from dataclasses import replace

import numpy as np
import pytest
from random_programs import Builder
from test_kernels_cortex_m4 import check

from hil.compiler.operators.fastgrnn import Cell
from hil.compiler.operators.rnnpool import RNNPool
from hil.compiler.program import Int16, Tensor

PATTERNS = (
    "none",
    "one",
    "last",
    "a dead unit",
    "an unread unit",
    "a unit alone",
    "even units",
    "odd units",
    "diagonal",
    "equal units",
)


def thinned(weights: Int16, pattern: str) -> Int16:
    """Weights, (units, inputs), of which only a pattern is left."""
    kept = np.zeros_like(weights)
    match pattern:
        case "none":
            pass
        case "one":
            kept[0, 0] = 77
        case "last":
            kept[-1, -1] = -77
        case "a dead unit":
            kept[1:] = weights[1:]
        case "an unread unit":
            kept[:, 1:] = weights[:, 1:]
        case "a unit alone":
            kept[1] = weights[1]
        case "even units":
            kept[:, ::2] = weights[:, ::2]
        case "odd units":
            kept[:, 1::2] = weights[:, 1::2]
        case "diagonal":
            np.fill_diagonal(kept, 55)
        case "equal units":
            kept[:] = weights[:1]
    return kept


def pool(b: Builder, name: str, x: Tensor, units: tuple[int, int], pattern: str, of: str) -> Tensor:
    """An RNNPool of whose cells' W, U or both only a pattern is left."""
    output = b.pool(name, x, 4, 4, units)
    operator = b.operators[-1]
    assert isinstance(operator, RNNPool)

    def thin(cell: Cell) -> Cell:
        return replace(cell, **{one: thinned(getattr(cell, one), pattern) for one in of})

    b.operators[-1] = replace(operator, row=thin(operator.row), summary=thin(operator.summary))
    return output


@pytest.mark.parametrize("units", [(8, 8), (16, 4), (6, 6)])
@pytest.mark.parametrize("of", ["u", "w", "wu"])
def test_a_cell_equals_the_reference_whatever_weights_are_zero(
    units: tuple[int, int], of: str
) -> None:
    b = Builder(len(of), (9, 8, 4))
    maps = [pool(b, f"pool{i}", b.input, units, one, of) for i, one in enumerate(PATTERNS)]
    check(b.program(*maps))


@pytest.mark.parametrize("words", range(1, 8))
def test_a_cell_equals_the_reference_however_many_weights_are_left(words: int) -> None:
    b = Builder(words, (9, 8, 4))
    maps = []
    for units in ((8, 8), (16, 16)):
        maps.append(b.pool(f"pool{units[0]}", b.input, 4, 4, units))
        operator = b.operators[-1]
        assert isinstance(operator, RNNPool)
        u = np.zeros_like(operator.row.u)
        places = b.random.choice(u.size, words, replace=False)
        u.flat[places] = b.random.integers(1, 200, words)
        b.operators[-1] = replace(operator, row=replace(operator.row, u=u))
    check(b.program(*maps))


@pytest.mark.parametrize("dense", [False, True])
def test_patches_of_one_and_two_pixels_equal_the_reference(dense: bool) -> None:
    b = Builder(0, (5, 6, 4))
    maps = [
        b.pool(f"pool{patch}{units[0]}", b.input, patch, 1, units, dense=dense)
        for patch in (1, 2)
        for units in ((8, 8), (6, 6), (16, 16))
    ]
    check(b.program(*maps))
