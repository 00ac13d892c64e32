"""RNNPool layers of GRU and LSTM cells: as stated, without overflow, close to float, EdgeML's."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
import random_programs
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from native import ROOMY, run_program
from random_programs import Builder

from hil import models
from hil.compiler import compile_model, quality, reference
from hil.compiler.operators import gated as integers
from hil.compiler.operators.gated import GatedCell, Met, products, quantise_gated
from hil.compiler.operators.gru import sigmoids
from hil.compiler.plan import make_plan
from hil.errors import UsageError
from hil.models import gated
from hil.vision import photographs

if TYPE_CHECKING:
    from hil.compiler.program import Int16

INT32 = range(-(2**31), 2**31)
KINDS: tuple[Literal["gru", "lstm"], ...] = ("gru", "lstm")
TABLE = sigmoids(10)
few = settings(deadline=None, max_examples=20)


def within(value: int) -> int:
    assert value in INT32
    return value


@st.composite
def cells(draw: st.DrawFn) -> tuple[GatedCell, int]:
    """A cell quantised from random weights, however large, and its greatest input."""
    g = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from([gated.GRU, gated.LSTM]))
    cell = kind(draw(st.integers(1, 4)), draw(st.integers(1, 4))).double()
    spread = draw(st.floats(0.01, 3.0))
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.copy_(torch.from_numpy(g.normal(0, spread, parameter.shape)))
    met = Met(draw(st.floats(0.0, 40.0)), draw(st.floats(0.0, 30.0)))
    x_most = draw(st.sampled_from([255, 2**15]))
    return quantise_gated(cell, met, x_scale=3.0 / x_most, x_most=x_most), x_most


def plain_step(
    cell: GatedCell, x: list[int], h: list[int], memory: list[int]
) -> tuple[list[int], list[int]]:
    """A step as the cell states it, every partial sum within 32 bits."""
    half = 2 ** (cell.index_bits - 1)

    def s(index: int) -> int:
        return int(TABLE[half + max(-half, min(half - 1, index))])

    def dot(start: int, weights: npt.NDArray[Any], values: list[int]) -> int:
        for weight, value in zip(weights.tolist(), values, strict=True):
            start = within(start + weight * value)
        return start

    def gate(g: int, i: int, read: list[int]) -> int:
        acc = dot(int(cell.bias[g, i]), cell.w[g, i], x)
        p = max(-(2**15), min(2**15 - 1, (acc * int(cell.multiplier[g, i]) + 2**31) >> 32))
        return s(dot(within(p << cell.product_shift), cell.u[g, i], read) >> cell.index_shift)

    units = range(cell.units)
    if not cell.is_lstm:
        reset = [(gate(0, i, h) * h[i]) >> 15 for i in units]
        after = []
        for i in units:
            n = 2 * gate(2, i, reset) - 2**15
            after.append(n + (within(gate(1, i, h) * (h[i] - n) + 2**14) >> 15))
        return after, memory
    after, kept = [], []
    for i in units:
        fresh = gate(0, i, h) * (2 * gate(2, i, h) - 2**15) >> cell.memory_shift
        c = within(gate(1, i, h) * memory[i] + fresh + 2**14) >> 15
        kept.append(max(-(2**15), min(2**15 - 1, c)))
        told = 2 * s(kept[i] >> (18 - cell.index_bits - cell.memory_shift)) - 2**15
        after.append((gate(3, i, h) * told + 2**14) >> 15)
    return after, kept


@given(made=cells(), seed=st.integers(0, 2**32 - 1))
@few
def test_a_step_is_what_the_cell_states_and_overflows_nothing(
    made: tuple[GatedCell, int], seed: int
) -> None:
    cell, x_most = made
    g = np.random.default_rng(seed)
    h, memory = [0] * cell.units, [0] * cell.units
    state = np.zeros(cell.units), np.zeros(cell.units, np.int64)
    for extreme in (False, True, True, False):
        drawn = g.integers(-x_most, x_most, (cell.w.shape[2],), endpoint=True)
        x: list[int] = (np.where(drawn < 0, -x_most, x_most) if extreme else drawn).tolist()
        h, memory = plain_step(cell, x, h, memory)
        state = integers.step(cell, TABLE, products(cell, np.array(x, np.float64)), *state)
        assert state[0].tolist() == h
        assert all(-(2**15) <= value < 2**15 for value in h)
        if cell.is_lstm:
            assert state[1].tolist() == memory


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("units", "extremes"), [((8, 8), True), ((5, 3), False)])
def test_the_kernel_equals_the_reference(
    kind: str, units: tuple[int, int], *, extremes: bool
) -> None:
    b = Builder(3, (13, 15, 3), extremes=extremes)
    program = b.program(b.gated_pool("pool", b.input, 5, 3, units, lstm=kind == "lstm"))
    x = random_programs.image(program, 1)
    assert np.array_equal(run_program(program, x), reference.run(program, x))


@pytest.mark.parametrize("kind", KINDS)
def test_a_streamed_layer_equals_the_reference(kind: str) -> None:
    b = Builder(4, (27, 29, 3))
    stem = b.conv("stem", b.input, 4, 3, 2, relu=True)
    program = b.program(b.gated_pool("pool", stem, 6, 2, (4, 4), lstm=kind == "lstm"))
    plan = make_plan(program, ROOMY, streams=True)
    assert plan.streams
    x = random_programs.image(program, 1)
    assert np.array_equal(run_program(program, x, plan), reference.run(program, x))


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_is_close_to_the_float_one(kind: Literal["gru", "lstm"]) -> None:
    layer = models.load("rnnpool_layer", rows=32, columns=40, cell=kind)
    calibration = [photographs.prepare(name, layer.spec) for name in ("brick", "page", "text")]
    compiled = compile_model(layer, calibration)
    images = {name: photographs.prepare(name, layer.spec) for name in ("astronaut", "moon")}
    # An LSTM tells less than it keeps, so its states fill a smaller part of their byte.
    assert quality.measure(compiled, images).sqnr_db["pool"] > {"gru": 40.0, "lstm": 33.0}[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_computes_what_pytorchs_does(kind: str) -> None:
    """PyTorch's LSTM has the same equations; of its GRU with h = 0 the first step has."""
    torch.manual_seed(0)
    ours: gated.GatedCell = (gated.GRU if kind == "gru" else gated.LSTM)(3, 4).double()
    theirs: torch.nn.RNNBase = (torch.nn.GRU if kind == "gru" else torch.nn.LSTM)(3, 4).double()
    w, u, b = ours.weights("W"), ours.weights("U"), ours.offsets()
    with torch.no_grad():
        theirs.get_parameter("weight_ih_l0").copy_(torch.cat([one.T for one in w]))
        theirs.get_parameter("weight_hh_l0").copy_(torch.cat([one.T for one in u]))
        theirs.get_parameter("bias_ih_l0").copy_(torch.cat(b))
        theirs.get_parameter("bias_hh_l0").zero_()
    x = torch.randn(1 if kind == "gru" else 6, 3, dtype=torch.float64)
    expected = theirs(x)[0][-1]
    assert torch.allclose(ours.sweep(ours.project(x).T), expected)


def test_a_gru_resets_the_state_before_it_multiplies_it() -> None:
    """EdgeML's form, which PyTorch's is not: U3 meets r * h."""
    cell = gated.GRU(1, 2).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.fill_(0.5)
    h = torch.tensor([0.2, -0.4], dtype=torch.float64)
    x = torch.tensor([0.3], dtype=torch.float64)
    after, _ = cell.step(cell.project(x), h, h)
    of_x, of_h = 0.15, 0.5 * (0.2 - 0.4)
    r = z = 1 / (1 + np.exp(-(of_x + of_h + 0.5)))
    n = np.tanh(of_x + 0.5 * (r * 0.2 - r * 0.4) + 0.5)
    assert after.tolist() == pytest.approx([z * 0.2 + (1 - z) * n, -z * 0.4 + (1 - z) * n])


@pytest.mark.parametrize("kind", KINDS)
def test_a_trained_network_of_edgemls_names_loads(
    kind: Literal["gru", "lstm"], tmp_path: Path
) -> None:
    """As training scripts save it: under `model`, behind `module.`, each cell listed twice."""
    trained = models.structure("vww_rnnpool_last", cell=kind, stem=32)
    names = trained.module.edgeml_names()  # type: ignore[operator]
    theirs = {
        f"module.{name}.{key.rpartition('.')[2]}": tensor
        for key, tensor in trained.module.state_dict().items()
        for name in names[key.rpartition(".")[0]]
    }
    assert "module.rnn_model.cell_rnn.cell.W3" in theirs
    path = tmp_path / "weights.pth"
    torch.save({"model": theirs, "acc": 0.9, "epoch": 150}, path)
    loaded = models.load("vww_rnnpool_last", path, cell=kind, stem=32)
    for key, tensor in trained.module.state_dict().items():
        assert torch.equal(loaded.module.state_dict()[key], tensor)
    other: Literal["gru", "lstm"] = "gru" if kind == "lstm" else "lstm"
    with pytest.raises(UsageError, match="does not fit the model"):
        models.load("vww_rnnpool_last", path, cell=other, stem=32)


def test_an_unknown_cell_is_refused() -> None:
    with pytest.raises(UsageError, match="'fastgrnn' or 'gru' or 'lstm'"):
        models.structure("vww_rnnpool", cell="gruu")


def test_gates_of_their_own_cost_as_many_times_the_products() -> None:
    counts = {
        kind: models.structure("rnnpool_layer", cell=kind).module.pool.macs(112, 112)  # type: ignore[operator,union-attr]
        for kind in ("fastgrnn", "gru", "lstm")
    }
    assert counts["gru"] == 3 * counts["fastgrnn"]
    assert counts["lstm"] == 4 * counts["fastgrnn"]


def test_the_table_is_the_sigmoids() -> None:
    table: Int16 = TABLE
    assert table[512] == pytest.approx(2**14, abs=200)
