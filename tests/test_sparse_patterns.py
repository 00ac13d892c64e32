"""FastGRNN cells whose weights are zero in every way that training or pruning may leave them.

The sparse kernel's code is written from the pattern of the weights, so each pattern is another
program: none, one, whole units and whole inputs, and as many as the kernel takes.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import test_refusals
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_programs import Builder
from test_kernels_cortex_m4 import check, few, seeds

from hil.compiler import Compiled
from hil.compiler.operators.fastgrnn import Cell
from hil.compiler.operators.rnnpool import RNNPool
from hil.compiler.program import Int16, Tensor
from hil.models import rnnpool


def only(weights: Int16, *place: Any) -> Int16:
    """Weights, (units, inputs), of which those at a place are left."""
    kept = np.zeros_like(weights)
    kept[place] = weights[place]
    return kept


PATTERNS: dict[str, Callable[[Int16], Int16]] = {
    "none": np.zeros_like,
    "one": lambda w: only(w, 0, 0),
    "the last": lambda w: only(w, -1, -1),
    "a dead unit": lambda w: only(w, slice(1, None)),
    "an unread unit": lambda w: only(w, ..., slice(1, None)),
    "a unit alone": lambda w: only(w, 1),
    "even inputs": lambda w: only(w, ..., slice(None, None, 2)),
    "odd inputs": lambda w: only(w, ..., slice(1, None, 2)),
    "a diagonal": lambda w: np.eye(*w.shape, dtype=np.int16) * 55,
    "equal units": lambda w: np.repeat(w[:1], len(w), axis=0),
}


def thin(cell: Cell, of: str, pattern: str) -> Cell:
    """A cell of whose W, U or both a pattern is left."""
    w = PATTERNS[pattern](cell.w) if "w" in of else cell.w
    return replace(cell, w=w, u=PATTERNS[pattern](cell.u) if "u" in of else cell.u)


def thin_pool(b: Builder, pool: str, of: str, pattern: str, units: tuple[int, int]) -> Tensor:
    """An RNNPool of two such cells."""
    output = b.pool(pool, b.input, 4, 4, units)
    operator = b.operators[-1]
    assert isinstance(operator, RNNPool)
    row, summary = (thin(cell, of, pattern) for cell in (operator.row, operator.summary))
    b.operators[-1] = replace(operator, row=row, summary=summary)
    return output


@pytest.mark.parametrize("units", [(8, 8), (16, 4), (6, 6)])
@pytest.mark.parametrize("of", ["u", "w", "wu"])
def test_a_cell_equals_the_reference_whatever_weights_are_zero(
    units: tuple[int, int], of: str
) -> None:
    b = Builder(len(of), (9, 8, 4))
    maps = [thin_pool(b, f"pool{i}", of, one, units) for i, one in enumerate(PATTERNS)]
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


shares = st.sampled_from([0.0, 0.05, 0.3, 0.8, 1.0])


@given(
    seed=seeds,
    left=st.tuples(shares, shares, shares, shares),
    units=st.sampled_from([(8, 8), (16, 4), (6, 6), (4, 20)]),
)
@few
def test_a_cell_equals_the_reference_whatever_share_of_its_weights_is_left(
    seed: int, left: tuple[float, ...], units: tuple[int, int]
) -> None:
    b = Builder(seed, (9, 8, 4))
    output = b.pool("pool", b.input, 4, 4, units, dense=True)
    operator = b.operators[-1]
    assert isinstance(operator, RNNPool)
    row, summary = operator.row, operator.summary
    w, u, w2, u2 = (
        weights * (b.random.random(weights.shape) < share)
        for weights, share in zip((row.w, row.u, summary.w, summary.u), left, strict=True)
    )
    row, summary = replace(row, w=w, u=u), replace(summary, w=w2, u=u2)
    b.operators[-1] = replace(operator, row=row, summary=summary)
    check(b.program(output))


ODD: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a dead unit": lambda w: w * (torch.arange(w.shape[1]) != 1),
    "a dead cell": torch.zeros_like,
    "identical units": lambda w: w[:, :1].expand_as(w),
    "one large weight": lambda w: w + 1e4 * (torch.arange(w.numel()).view_as(w) == 1),
    "saturating weights": lambda w: w * 1e4,
}


@pytest.mark.parametrize("of", ["W", "U", "WU"])
@pytest.mark.parametrize("case", ODD)
def test_a_pooling_of_odd_weights_is_quantised(case: str, of: str) -> None:
    torch.manual_seed(0)
    pool = rnnpool.RNNPool(4, (6, 4), patch=3, stride=2)
    with torch.no_grad():
        for name, weights in pool.named_parameters():
            if name.rpartition(".")[2] in set(of):
                weights.copy_(ODD[case](weights.clone()))
    made = test_refusals.outcome(test_refusals.chain(pool))
    assert isinstance(made, Compiled), made
    test_refusals.check(made)


@pytest.mark.parametrize("dense", [False, True])
def test_patches_of_one_and_two_pixels_equal_the_reference(dense: bool) -> None:
    b = Builder(0, (5, 6, 4))
    maps = [
        b.pool(f"pool{patch}{units[0]}", b.input, patch, 1, units, dense=dense)
        for patch in (1, 2)
        for units in ((8, 8), (6, 6), (16, 16))
    ]
    check(b.program(*maps))
