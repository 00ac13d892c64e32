"""The integer reference against the arithmetic that program.py states, in plain whole numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.compiler.operators.conv2d import Conv2D, Residual
from hil.compiler.operators.fastgrnn import Cell
from hil.compiler.operators.l2norm import L2Norm
from hil.compiler.operators.maxout import MaxOut
from hil.compiler.operators.pool2d import Pool2D
from hil.compiler.operators.rnnpool import RNNPool
from hil.compiler.program import Int8, Output, Padding, Program, Tensor
from hil.compiler.reference import compute, maps, run
from hil.errors import UsageError

seeds = st.integers(0, 2**32 - 1)


def int8(generator: np.random.Generator, *shape: int) -> Int8:
    return generator.integers(-128, 128, shape, dtype=np.int8)


def clamp(value: int, low: int = -128, high: int = 127) -> int:
    return max(low, min(high, value))


def smmulr(a: int, b: int) -> int:
    assert -(2**31) <= a < 2**31
    return (a * b + 2**31) >> 32


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Conv2D, dict[str, Int8]]:
    """A small convolution of any kind, with its maps."""
    g = np.random.default_rng(draw(seeds))
    rows, columns = draw(st.integers(3, 6)), draw(st.integers(3, 6))
    depthwise = draw(st.booleans())
    channels = draw(st.integers(1, 4))
    outputs = channels if depthwise else draw(st.integers(1, 4))
    kernel, stride = draw(st.sampled_from([(1, 1), (3, 1), (3, 2), (5, 2)]))
    edge = (kernel - 1) // 2
    out_shape = (-(-rows // stride), -(-columns // stride), outputs)
    x = Tensor("x", (rows, columns, channels), 0.1, draw(st.integers(-128, 127)))
    y = Tensor("y", out_shape, 0.2, draw(st.integers(-128, 127)))
    residual = None
    maps = {"x": int8(g, *x.shape)}
    if draw(st.booleans()):
        source = Tensor("r", out_shape, 0.3, draw(st.integers(-128, 127)))
        maps["r"] = int8(g, *out_shape)
        residual = Residual(source, draw(st.integers(0, 2**22)), draw(st.integers(1, 22)))
    low, high = sorted((draw(st.integers(-128, 127)), draw(st.integers(-128, 127))))
    conv = Conv2D(
        "conv",
        (x,),
        y,
        0,
        weight=int8(g, outputs, kernel, kernel, 1 if depthwise else channels),
        bias=g.integers(-(2**20), 2**20, outputs, dtype=np.int32),
        multiplier=g.integers(0, 2**31 - 1, outputs, dtype=np.int32),
        shift=draw(st.integers(0, 5)),
        stride=stride,
        padding=Padding(edge, edge, edge, edge),
        depthwise=depthwise,
        low=low,
        high=high,
        residual=residual,
    )
    return conv, maps


def plain_conv2d(conv: Conv2D, maps: dict[str, Int8]) -> Int8:
    x, source = maps["x"], conv.inputs[0]
    y = np.empty(conv.output.shape, np.int8)
    for r, s, o in np.ndindex(*conv.output.shape):
        acc = int(conv.bias[o])
        for i, j, c in np.ndindex(*conv.weight.shape[1:]):
            row = r * conv.stride + i - conv.padding.top
            column = s * conv.stride + j - conv.padding.left
            if 0 <= row < x.shape[0] and 0 <= column < x.shape[1]:
                pixel = int(x[row, column, o if conv.depthwise else c]) - source.zero_point
                acc += int(conv.weight[o, i, j, c]) * pixel
        value = conv.output.zero_point + smmulr(acc << conv.shift, int(conv.multiplier[o]))
        if conv.residual is not None:
            term = int(maps["r"][r, s, o]) - conv.residual.source.zero_point
            half = 2 ** (conv.residual.shift - 1)
            value += (term * conv.residual.multiplier + half) >> conv.residual.shift
        y[r, s, o] = clamp(value, conv.low, conv.high)
    return y


@given(convolutions())
@settings(deadline=None, max_examples=60)
def test_a_convolution_is_what_the_program_states(case: tuple[Conv2D, dict[str, Int8]]) -> None:
    conv, maps = case
    assert np.array_equal(compute(conv, maps), plain_conv2d(conv, maps))


@st.composite
def poolings(draw: st.DrawFn) -> tuple[Pool2D, Int8]:
    """A small pooling of either kind, with its map."""
    g = np.random.default_rng(draw(seeds))
    rows, columns = draw(st.integers(3, 7)), draw(st.integers(3, 7))
    window, stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3))), draw(st.integers(1, 3))
    top, bottom = (draw(st.integers(0, window[0] // 2)) for _ in range(2))
    left, right = (draw(st.integers(0, window[1] // 2)) for _ in range(2))
    out_shape = (
        (rows + top + bottom - window[0]) // stride + 1,
        (columns + left + right - window[1]) // stride + 1,
        2,
    )
    pool = Pool2D(
        "pool",
        (Tensor("x", (rows, columns, 2), 0.1, draw(st.integers(-128, 127))),),
        Tensor("y", out_shape, 0.1, draw(st.integers(-128, 127))),
        0,
        kind=draw(st.sampled_from(["average", "max"])),
        window=window,
        stride=stride,
        padding=Padding(top, left, bottom, right),
        multiplier=draw(st.integers(0, 2**31 - 1)),
        shift=draw(st.integers(0, 5)),
    )
    return pool, int8(g, rows, columns, 2)


def plain_pool2d(pool: Pool2D, x: Int8) -> Int8:
    y = np.empty(pool.output.shape, np.int8)
    for r, s, c in np.ndindex(*pool.output.shape):
        top, left = r * pool.stride - pool.padding.top, s * pool.stride - pool.padding.left
        inside = [
            int(x[row, column, c])
            for row in range(max(0, top), min(x.shape[0], top + pool.window[0]))
            for column in range(max(0, left), min(x.shape[1], left + pool.window[1]))
        ]
        acc = sum(inside) - len(inside) * pool.inputs[0].zero_point
        average = pool.output.zero_point + smmulr(acc << pool.shift, pool.multiplier)
        y[r, s, c] = max(inside) if pool.kind == "max" else clamp(average)
    return y


@given(poolings())
@settings(deadline=None, max_examples=80)
def test_a_pooling_is_what_the_program_states(case: tuple[Pool2D, Int8]) -> None:
    pool, x = case
    assert np.array_equal(compute(pool, {"x": x}), plain_pool2d(pool, x))


def random_cell(g: np.random.Generator, inputs: int, units: int, bits: int) -> Cell:
    gate = np.sort(g.integers(0, 2**15, (units, 2**bits)), axis=1)
    update = g.uniform(-0.5, 0.5, gate.shape) * (2**15 - 1 - gate)
    return Cell(
        w=g.integers(-300, 300, (units, inputs), dtype=np.int16),
        u=g.integers(-300, 300, (units, units), dtype=np.int16),
        bias=g.integers(0, 2**20, units, dtype=np.int32),
        w_shift=int(g.integers(0, 6)),
        index_shift=20 - bits,
        index_bits=bits,
        gate=gate.astype(np.int16),
        update=update.astype(np.int16),
        state_scale=2.0**-15,
    )


def plain_sweep(cell: Cell, sequence: npt.NDArray[Any]) -> list[int]:
    h = [0] * cell.units
    for x in sequence:
        before = list(h)
        for i in range(cell.units):
            of_x = sum(int(w) * int(v) for w, v in zip(cell.w[i], x, strict=True))
            of_h = sum(int(u) * v for u, v in zip(cell.u[i], before, strict=True))
            acc = int(cell.bias[i]) + (of_x << cell.w_shift) + of_h
            j = clamp(acc >> cell.index_shift, 0, 2**cell.index_bits - 1)
            gate, update = int(cell.gate[i, j]), int(cell.update[i, j])
            h[i] = (gate * before[i] + 65536 * update + gate) >> 15
    return h


def plain_rnnpool(op: RNNPool, x: Int8) -> Int8:
    """Patch by patch, nothing shared."""
    rows, columns, channels = op.output.shape
    last = [(n - op.patch) // op.stride for n in x.shape[:2]]
    y = np.empty((rows, columns, channels), np.int8)
    for py, px in np.ndindex(rows, columns):
        top, left = min(py, last[0]) * op.stride, min(px, last[1]) * op.stride
        patch = x[top : top + op.patch, left : left + op.patch].astype(int)
        patch -= op.inputs[0].zero_point
        of_rows = np.array([plain_sweep(op.row, row) for row in patch])
        of_columns = np.array([plain_sweep(op.row, column) for column in patch.swapaxes(0, 1)])
        states: list[int] = []
        for sequence in (of_rows, of_rows[::-1], of_columns, of_columns[::-1]):
            states += plain_sweep(op.summary, sequence)
        offsets = 4 * op.offset.tolist()
        y[py, px] = [clamp((h + o) >> op.shift) for h, o in zip(states, offsets, strict=True)]
    return y


@given(seeds, st.integers(2, 4), st.integers(1, 4), st.sampled_from([0, 1]))
@settings(deadline=None, max_examples=20)
def test_sharing_sweeps_between_patches_changes_no_bit(
    seed: int, patch: int, stride: int, repeated: int
) -> None:
    g = np.random.default_rng(seed)
    x = Tensor("x", (patch + 2 * stride, patch + stride, 2), 0.1, int(g.integers(-128, 128)))
    pool = RNNPool(
        "pool",
        (x,),
        Tensor("y", (3 + repeated, 2 + repeated, 12), 2.0**-7, 0),
        0,
        patch=patch,
        stride=stride,
        row=random_cell(g, 2, 4, 6),
        summary=random_cell(g, 4, 3, 6),
        offset=g.integers(-(2**15), 2**15, 3).astype(np.int16),
        shift=int(g.integers(1, 9)),
    )
    pixels = int8(g, *x.shape)
    assert np.array_equal(compute(pool, {"x": pixels}), plain_rnnpool(pool, pixels))


@given(seeds, st.integers(-128, 127))
@settings(deadline=None)
def test_an_l2_norm_is_what_the_program_states(seed: int, zero_point: int) -> None:
    g = np.random.default_rng(seed)
    x = Tensor("x", (2, 3, 5), 0.1, zero_point)
    multiplier = g.integers(-(2**20), 2**20, 5, dtype=np.int32)
    norm = L2Norm("norm", (x,), Tensor("y", x.shape, 0.1, 7), 0, multiplier=multiplier)
    pixels = int8(g, *x.shape)
    pixels[0, 0] = zero_point  # a pixel of zeros has no direction

    y = compute(norm, {"x": pixels})

    assert (y[0, 0] == 7).all()
    for r, c in np.ndindex(2, 3):
        vector = [int(v) - zero_point for v in pixels[r, c]]
        total = np.float32(sum(v * v for v in vector))
        inverse = int(np.float32(2**30) / np.sqrt(total)) if total else 0
        expected = [
            clamp(7 + smmulr(v * inverse, int(m))) for v, m in zip(vector, multiplier, strict=True)
        ]
        assert y[r, c].tolist() == expected


def test_a_max_out_keeps_the_best_of_its_groups() -> None:
    x, y = Tensor("x", (1, 1, 4), 0.1, 3), Tensor("y", (1, 1, 2), 0.1, 3)
    pixels = np.array([[[-128, 4, 127, -5]]], np.int8)
    assert compute(MaxOut("m", (x,), y, 0, groups=3), {"x": pixels}).tolist() == [[[127, -5]]]


def two_step_program() -> Program:
    x = Tensor("x", (1, 2, 3), 0.1, 0)
    first, second = Tensor("a", (1, 2, 2), 0.1, 0), Tensor("b", (1, 2, 1), 0.1, 0)
    operators = (
        MaxOut("a", (x,), first, 0, groups=2),
        MaxOut("b", (x,), second, 0, groups=3),
    )
    return Program("two", x, operators, Output((second, first)))


def test_a_programs_result_is_its_output_maps_in_their_order() -> None:
    x = np.array([[[1, 2, 3], [6, 5, 4]]], np.int8)
    assert run(two_step_program(), x).tolist() == [3, 6, 2, 3, 6, 4]


def test_the_maps_of_a_program_are_all_its_tensors() -> None:
    assert set(maps(two_step_program(), np.zeros((1, 2, 3), np.int8))) == {"x", "a", "b"}


@pytest.mark.parametrize(
    "x", [np.zeros((2, 2, 3), np.int8), np.zeros((1, 2, 3), np.int16)], ids=["shape", "type"]
)
def test_an_input_of_another_shape_or_type_is_refused(x: Any) -> None:
    with pytest.raises(UsageError, match=r"two takes int8 \(1, 2, 3\)"):
        run(two_step_program(), x)
