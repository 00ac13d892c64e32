"""The GRU sweep in integers: what the program states, no overflow, and close to the float layer."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from native import run_program

from hil import models
from hil.compiler import Compiled, compile_model, quality, reference
from hil.compiler.operators.gru import GRU, patches, quantise_gru, sigmoids
from hil.compiler.operators.gru_sweep import GRUSweep, sweep
from hil.compiler.program import Float32, Int8, Tensor
from hil.errors import BuildError
from hil.models import renet
from hil.vision import photographs

INT16 = range(-(2**15), 2**15)
INT32 = range(-(2**31), 2**31)
Along = Literal["columns", "rows"]

seeds = st.integers(0, 2**32 - 1)
directions: st.SearchStrategy[Along] = st.sampled_from(["columns", "rows"])
few = settings(deadline=None, max_examples=30)


@st.composite
def sweeps(draw: st.DrawFn) -> GRUSweep:
    """A sweep quantised from random weights, however large, and a random map."""
    g = np.random.default_rng(draw(seeds))
    channels, units, patch = (draw(st.integers(1, 4)) for _ in range(3))
    layer = renet.GRUSweep(channels, units, patch=patch, along=draw(directions)).double()
    spread = draw(st.floats(0.01, 3.0))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.from_numpy(g.normal(0, spread, parameter.shape)))
    rows, columns = (patch * draw(st.integers(1, 3)) for _ in range(2))
    zero = draw(st.integers(-128, 127))
    x = Tensor("x", (rows, columns, channels), 6.0 / 255, zero)
    seen = g.uniform(0.0, 6.0, (2, *x.shape)) * draw(st.floats(0.1, 1.0))
    bits = draw(st.integers(6, 12))
    made = quantise_gru(layer, seen, x_scale=x.scale, x_most=most(x), index_bits=bits)
    return GRUSweep(
        "sweep",
        (x,),
        Tensor("y", (rows // patch, columns // patch, 2 * units), 2.0**-7, 0),
        0,
        patch=patch,
        along=layer.along,
        forward=made.forward,
        backward=made.backward,
        product_shift=made.product_shift,
        index_shift=made.index_shift,
        index_bits=bits,
        table=made.table,
    )


def most(x: Tensor) -> int:
    return max(127 - x.zero_point, x.zero_point + 128)


def within_32_bits(value: int) -> int:
    assert value in INT32
    return value


def clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def plain_states(op: GRUSweep, gru: GRU, sequence: npt.NDArray[Any]) -> list[list[int]]:
    """One sequence's states as the program states them, every partial sum checked."""
    half = 2 ** (op.index_bits - 1)

    def s(a: int) -> int:
        return int(op.table[half + clamp(a >> op.index_shift, -half, half - 1)])

    def dot(start: int, weights: npt.NDArray[Any], values: list[int]) -> int:
        for weight, value in zip(weights.tolist(), values, strict=True):
            start = within_32_bits(start + weight * value)
        return start

    h = [0] * gru.units
    states = []
    for x in sequence.tolist():
        before = list(h)
        for i in range(gru.units):
            p = []
            for gate in range(3):
                acc = dot(int(gru.bias[gate, i]), gru.w[gate, i], x)
                scaled = (acc * int(gru.multiplier[gate, i]) + 2**31) >> 32
                p.append(clamp(scaled, -(2**15), 2**15 - 1) << op.product_shift)
            r, z = (s(dot(p[gate], gru.u[gate, i], before)) for gate in range(2))
            m = dot(int(gru.bias_n[i]), gru.u[2, i], before)
            n = 2 * s(within_32_bits(p[2] + (m * r >> 16))) - 2**15
            h[i] = n + (within_32_bits(z * (before[i] - n) + 2**14) >> 15)
            assert h[i] in INT16
        states.append(list(h))
    return states


def plain_sweep(op: GRUSweep, x: Int8) -> Int8:
    """Line by line, patch by patch."""
    rows, columns, channels = op.output.shape
    y = np.empty((rows, columns, channels), np.int8)
    centred = x.astype(int) - op.inputs[0].zero_point
    cells = np.array(
        [
            [
                centred[r * op.patch :, c * op.patch :][: op.patch, : op.patch].ravel()
                for c in range(columns)
            ]
            for r in range(rows)
        ]
    )
    lines = cells.swapaxes(0, 1) if op.along == "columns" else cells
    for number, line in enumerate(lines):
        there = plain_states(op, op.forward, line)
        back = plain_states(op, op.backward, line[::-1])[::-1]
        for step, h in enumerate(f + b for f, b in zip(there, back, strict=True)):
            at = (step, number) if op.along == "columns" else (number, step)
            y[at] = [clamp((value + 128) >> 8, -128, 127) for value in h]
    return y


@given(sweeps(), seeds)
@few
def test_a_sweep_is_what_the_program_states(op: GRUSweep, seed: int) -> None:
    g = np.random.default_rng(seed)
    shape = op.inputs[0].shape
    for x in (
        g.integers(-128, 128, shape, dtype=np.int8),
        g.choice(np.array([-128, 127], np.int8), shape),
    ):
        assert np.array_equal(sweep(op, x), plain_sweep(op, x))


@given(sweeps())
@few
def test_no_input_whatever_overflows_a_sweep(op: GRUSweep) -> None:
    products = 2 ** (15 + op.product_shift)
    for gru in (op.forward, op.backward):
        w, u, bias, bias_n = (
            np.abs(values.astype(np.int64)) for values in (gru.w, gru.u, gru.bias, gru.bias_n)
        )
        assert int((w.sum(axis=2) * most(op.inputs[0]) + bias).max()) in INT32
        of_h = u.sum(axis=2) * 2**15
        assert products + int(of_h[:2].max()) in INT32
        candidate = int((of_h[2] + bias_n).max())
        assert candidate in INT32
        assert products + candidate // 2 in range(2**31 + 1)


@given(st.integers(-(2**15), 2**15 - 1), st.integers(0, 2**15 - 1), st.integers(0, 2**15 - 1))
def test_a_next_state_lies_between_the_state_and_the_candidate(h: int, z: int, s: int) -> None:
    n = 2 * s - 2**15
    total = z * (h - n) + 2**14
    assert total in INT32
    assert min(h, n) <= n + (total >> 15) <= max(h, n)


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_the_table_is_the_sigmoid(bits: int) -> None:
    table = sigmoids(bits).astype(np.int64)
    assert len(table) == 2**bits
    assert 0 <= table.min() <= table.max() < 2**15
    assert (np.diff(table) >= 0).all()
    width = 16 / 2**bits
    ends = np.arange(2**bits + 1) * width - 8
    exact = 2**15 / (1 + np.exp(-ends))
    assert (table >= np.floor(exact[:-1])).all()
    assert (table <= np.ceil(exact[1:])).all()


def test_patches_are_cut_by_rows_then_columns_then_channels() -> None:
    x = np.arange(2 * 5 * 4 * 3.0).reshape(2, 5, 4, 3)
    vectors = patches(x, 2)
    assert vectors.shape == (2, 2, 2, 12)
    assert np.array_equal(vectors[1, 1, 0], x[1, 2:4, 0:2].ravel())


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0_reverse"])
@pytest.mark.parametrize("value", [np.inf, np.nan, 1e12])
def test_weights_beyond_all_bounds_have_no_scale(name: str, value: float) -> None:
    layer = renet.GRUSweep(1, 2, patch=1, along="rows").double()
    with torch.no_grad():
        layer.gru.get_parameter(name).fill_(value)
    with pytest.raises(BuildError, match="do not fit 32 bits at any scale"):
        quantise_gru(layer, np.ones((1, 2, 2, 1)), x_scale=0.1, x_most=255)


def test_a_gru_of_zeros_can_be_quantised() -> None:
    layer = renet.GRUSweep(1, 2, patch=1, along="rows").double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    made = quantise_gru(layer, np.ones((1, 2, 2, 1)), x_scale=0.1, x_most=255)
    assert not made.forward.w.any()


def images(layer: models.LoadedModel, names: list[str]) -> dict[str, Float32]:
    return {name: photographs.prepare(name, layer.spec) for name in names}


@pytest.fixture(scope="module")
def layer() -> models.LoadedModel:
    return models.load("renet_layer", rows=48, columns=56)


@pytest.fixture(scope="module")
def compiled(layer: models.LoadedModel) -> Compiled:
    return compile_model(layer, [*images(layer, photographs.calibration_set()).values()])


def test_a_renet_layer_comes_out_close_to_the_float_layer(
    layer: models.LoadedModel, compiled: Compiled
) -> None:
    measured = quality.measure(compiled, images(layer, photographs.evaluation_set()))
    assert measured.least_cosine >= 0.999
    assert min(measured.sqnr_db.values()) >= 35.0, measured.sqnr_db


def test_a_renet_layer_in_c_equals_the_reference(
    layer: models.LoadedModel, compiled: Compiled
) -> None:
    program = compiled.program
    x = program.quantise_input(photographs.prepare("coffee", layer.spec))
    assert np.array_equal(run_program(program, x), reference.run(program, x))


def test_a_seed_gives_one_renet() -> None:
    one, other = (models.load("renet_layer", rows=16, columns=16).module for _ in range(2))
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
