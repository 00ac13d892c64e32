"""Quantisation: every constant against exact arithmetic, and no overflow for any input whatever."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from hil import models
from hil.compiler import Compiled, compile_model, quality
from hil.compiler.front.trace import trace
from hil.compiler.integers.exact import smmulr
from hil.compiler.integers.ranges import affine, best_affine, multiplier_and_shift
from hil.compiler.integers.recipe import Recipe
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.operators.fastgrnn import Cell, Seen, quantise_cell
from hil.compiler.operators.rnnpool import RNNPool
from hil.compiler.quantise import quantise
from hil.compiler.reference import maps, run
from hil.compiler.similarity import cosine
from hil.errors import BuildError
from hil.models import rnnpool
from hil.models.blocks import FlattenMaps
from hil.models.fastgrnn import FastGRNN
from hil.models.seeded import initialise
from hil.vision import photographs

INT16 = range(-(2**15), 2**15)
INT32 = range(-(2**31), 2**31)

factors = st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=8).map(np.array)


@pytest.fixture(scope="module")
def face_m4() -> models.LoadedModel:
    return models.load("face_m4")


@pytest.fixture(scope="module")
def compiled(face_m4: models.LoadedModel) -> Compiled:
    images = [photographs.prepare(n, face_m4.spec) for n in photographs.calibration_set()]
    return compile_model(face_m4, images)


@pytest.fixture(scope="module")
def pool(compiled: Compiled) -> RNNPool:
    return next(op for op in compiled.program.operators if isinstance(op, RNNPool))


def convolutions(compiled: Compiled) -> list[Conv2D]:
    return [op for op in compiled.program.operators if isinstance(op, Conv2D)]


# Requantisation


@given(factors, st.integers(-(2**31), 2**31 - 1))
def test_requantisation_rounds_the_exact_product(real: npt.NDArray[np.float64], acc: int) -> None:
    multiplier, shift = multiplier_and_shift(real)
    assume((acc << shift) in INT32)
    for m, exact in zip(multiplier.tolist(), real.tolist(), strict=True):
        got = int(smmulr(np.array(acc << shift), np.array(m)))
        written = Fraction(m * 2**shift, 2**32)
        assert abs(got - acc * written) <= Fraction(1, 2)
        assert abs(written - Fraction(exact)) <= Fraction(2**shift, 2**33)


@given(factors)
def test_a_shift_is_the_least_that_keeps_multipliers_in_32_bits(
    real: npt.NDArray[np.float64],
) -> None:
    multiplier, shift = multiplier_and_shift(real)
    assert 0 <= int(multiplier.min()) <= int(multiplier.max()) < 2**31
    assert shift == 0 or 2 * Fraction(float(real.max())) * 2 ** (32 - shift) > 2**31 - 1


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1))
def test_smmulr_is_the_rounded_upper_half_of_the_product(a: int, b: int) -> None:
    assert int(smmulr(np.array(a), np.array(b))) == (a * b + 2**31) // 2**32


# Ranges


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
def test_an_affine_range_holds_its_ends_and_zero(low: float, width: float) -> None:
    how = affine(low, low + width)
    assert -128 <= how.zero_point <= 127
    assert how.quantise(0.0) == how.zero_point
    for real in (min(low, 0.0), max(low + width, 0.0)):
        assert abs((how.quantise(real) - how.zero_point) * how.scale - real) <= how.scale * 1.001


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100.0))
def test_the_chosen_range_is_no_worse_than_the_whole(seed: int, spread: float) -> None:
    values = np.random.default_rng(seed).standard_t(3, 500) * spread

    def error(how: object) -> float:
        scale, zero = how.scale, how.zero_point  # type: ignore[attr-defined]
        q = np.clip(np.rint(values / scale) + zero, -128, 127)
        return float(np.square((q - zero) * scale - values).mean())

    whole = affine(float(values.min()), float(values.max()))
    assert error(best_affine(values)) <= error(whole) * (1 + 1e-9)


def test_a_constant_map_has_a_range() -> None:
    assert best_affine(np.zeros(10)).scale > 0


# FastGRNN cells


@st.composite
def cells(draw: st.DrawFn) -> tuple[Cell, int]:
    """A cell quantised from random weights and samples, and the greatest input it was made for."""
    inputs, units = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spread = draw(st.floats(0.01, 4.0))
    cell = FastGRNN(inputs, units)
    with torch.no_grad():
        for name in ("W", "U", "bias_gate", "bias_update"):
            parameter = cell.get_parameter(name)
            parameter.copy_(torch.from_numpy(generator.normal(0, spread, parameter.shape)))
        cell.zeta.fill_(draw(st.sampled_from([100.0, 2.0, -1.0])))
        cell.nu.fill_(draw(st.sampled_from([-100.0, -4.0, 0.0])))
    seen = Seen(
        generator.normal(0, spread * draw(st.floats(0.1, 3.0)), (200, units)),
        generator.uniform(-1, 1, (200, units)),
    )
    x_most = draw(st.sampled_from([128, 255, 2**15]))
    quantised = quantise_cell(
        cell.double(), seen, x_scale=6.0 / x_most, x_most=x_most, index_bits=draw(st.integers(6, 9))
    )
    return quantised, x_most


@given(cells())
@settings(deadline=None, max_examples=50)
def test_no_partial_sum_of_a_cell_leaves_32_bits(made: tuple[Cell, int]) -> None:
    cell, x_most = made
    for i in range(cell.units):
        of_x = sum(abs(int(w)) for w in cell.w[i]) * x_most << cell.w_shift
        of_h = sum(abs(int(u)) for u in cell.u[i]) * 2**15
        assert of_x + of_h + abs(int(cell.bias[i])) in INT32


@given(cells())
@settings(deadline=None, max_examples=50)
def test_a_state_of_16_bits_stays_one_at_every_table_entry(made: tuple[Cell, int]) -> None:
    cell, _ = made
    gate, update = cell.gate.astype(np.int64), cell.update.astype(np.int64)
    assert gate.min() >= 0
    for h in (INT16.start, -1, 0, INT16.stop - 1):
        total = gate * h + 65536 * update + gate
        assert -(2**30) - 2**15 <= total.min() <= total.max() <= 2**30
        after = total >> 15
        assert INT16.start <= after.min() <= after.max() < INT16.stop


@given(cells())
@settings(deadline=None, max_examples=50)
def test_the_gate_rises_along_its_table(made: tuple[Cell, int]) -> None:
    assert (np.diff(made[0].gate.astype(np.int64), axis=1) >= 0).all()


def test_a_cells_table_leaves_out_what_hardly_changes_the_next_state() -> None:
    """Of pre-activations -1 to 1 and a few at 40 a table that spans all has 6 entries for most."""
    generator = np.random.default_rng(0)
    often, seldom = generator.uniform(-1, 1, (4000, 2)), np.full((4, 2), 40.0)
    seen = Seen(np.concatenate([often, seldom]), generator.uniform(-1, 1, (4004, 2)))
    finer, coarse = (
        quantise_cell(FastGRNN(3, 2).double(), seen, x_scale=0.01, x_most=255, whole=whole)
        for whole in (False, True)
    )
    assert (distinct(finer.gate) > 1.5 * distinct(coarse.gate)).all()


def distinct(table: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """Entries of each unit's table that say something of their own."""
    return np.array([len(set(row.tolist())) for row in table])


def test_a_cells_table_covers_the_calibrated_range(pool: RNNPool) -> None:
    for cell in (pool.row, pool.summary):
        span = 1 << (cell.index_bits + cell.index_shift)
        # A pre-activation of 0, which every sweep of black pixels starts at, is on the table.
        assert (cell.bias > -span).all()
        assert (cell.bias < 2 * span).all()


def test_weights_that_are_zero_stay_zero(face_m4: models.LoadedModel, pool: RNNPool) -> None:
    for name, cell in (("row", pool.row), ("summary", pool.summary)):
        for letter, quantised in (("W", cell.w), ("U", cell.u)):
            real = face_m4.module.get_parameter(f"pool.{name}.{letter}").detach().numpy().T
            assert np.array_equal(quantised != 0, real != 0), f"{name}.{letter}"


def test_a_cell_that_never_varies_can_be_quantised() -> None:
    seen = Seen(np.full((10, 3), 0.7), np.zeros((10, 3)))
    cell = quantise_cell(FastGRNN(2, 3).double(), seen, x_scale=0.01, x_most=255)
    assert cell.units == 3


# Whole networks


def test_the_input_of_a_monochrome_network_is_exact(compiled: Compiled) -> None:
    program = compiled.program
    assert (program.input.scale, program.input.zero_point) == (1.0, -11)
    levels = np.resize(np.arange(-117, 139, dtype=np.float32), (240, 320, 1))
    q = program.quantise_input(levels)
    assert np.array_equal(q.astype(np.float32) + 11, levels)


def test_no_input_whatever_overflows_a_convolution(compiled: Compiled) -> None:
    for conv in convolutions(compiled):
        x = conv.inputs[0]
        most = max(127 - x.zero_point, x.zero_point + 128)
        weights = np.abs(conv.weight.astype(np.int64)).sum(axis=(1, 2, 3))
        reach = weights * most + np.abs(conv.bias.astype(np.int64))
        assert (int(reach.max()) << conv.shift) in INT32, conv.name


def test_a_residual_is_scaled_within_32_bits(compiled: Compiled) -> None:
    residuals = [(c, c.residual) for c in convolutions(compiled) if c.residual is not None]
    assert [conv.name for conv, _ in residuals] == ["blocks.1.project", "blocks.3.project"]
    for conv, residual in residuals:
        exact = residual.source.scale / conv.output.scale
        assert residual.multiplier / 2**residual.shift == pytest.approx(exact, rel=1e-6)
        assert 255 * residual.multiplier + 2 ** (residual.shift - 1) in INT32


def test_a_relu6_is_the_clamp(compiled: Compiled) -> None:
    for conv in convolutions(compiled):
        activated = conv.name.endswith(("stem.0", "expand", "depthwise"))
        if activated:
            assert conv.low == conv.output.zero_point == -128
            assert (conv.high + 128) * conv.output.scale <= 6.001
        else:
            assert (conv.low, conv.high) == (-128, 127)


def test_the_program_counts_what_the_model_does(compiled: Compiled) -> None:
    program = compiled.program
    assert (program.parameters, program.macs, program.output.count) == (56_330, 103_313_664, 18_000)


def test_quantising_twice_gives_the_same_program(face_m4: models.LoadedModel) -> None:
    images = [photographs.prepare(n, face_m4.spec) for n in photographs.calibration_set()[:2]]
    once, again = (compile_model(made, images) for made in (face_m4, models.load("face_m4")))
    for ours, theirs in zip(convolutions(once), convolutions(again), strict=True):
        assert np.array_equal(ours.weight, theirs.weight)
        assert np.array_equal(ours.bias, theirs.bias)
        assert np.array_equal(ours.multiplier, theirs.multiplier)


def test_without_images_there_is_no_program(face_m4: models.LoadedModel) -> None:
    with pytest.raises(BuildError, match="no calibration images"):
        compile_model(face_m4, [])


def test_a_network_of_the_old_order_gives_the_outputs_of_its_float_model() -> None:
    """The orders are different networks on the same weights; each must meet its float model."""
    loaded = models.load("face_m4", order="columns_first")
    images = {n: photographs.prepare(n, loaded.spec) for n in ("astronaut", "coffee")}
    compiled = compile_model(loaded, [*images.values()])
    for image in images.values():
        program = compiled.program
        outputs = program.dequantise_output(run(program, program.quantise_input(image)))
        assert cosine(outputs, loaded.run(image)) >= 0.99


def test_every_evaluation_photograph_comes_out_close_to_the_float_model(
    face_m4: models.LoadedModel, compiled: Compiled
) -> None:
    names = photographs.evaluation_set()
    images = {n: photographs.prepare(n, face_m4.spec) for n in names}
    measured = quality.measure(compiled, images)
    assert len(measured.cosine) >= 8
    assert measured.least_cosine >= 0.995, measured.cosine
    assert min(measured.sqnr_db.values()) >= 15.0, measured.sqnr_db


@pytest.mark.parametrize("kernel", [1, 2])
@pytest.mark.parametrize("depthwise", [False, True])
def test_a_pools_channels_stand_around_centres_that_the_next_layer_takes_in(
    kernel: int, depthwise: bool
) -> None:
    pool = rnnpool.RNNPool(2, (4, 4), patch=4, stride=4, repeat_last=0)
    groups = 16 if depthwise else 1
    conv = nn.Conv2d(16, 16, kernel, groups=groups)
    network = nn.Sequential(pool, conv, FlattenMaps()).eval()
    initialise(network, 3)
    generator = np.random.default_rng(3)
    images = [generator.uniform(0.5, 0.6, (24, 24, 2)).astype(np.float32) for _ in range(3)]
    graph = trace(network, (24, 24, 2))

    def sqnr_db(*, centres: bool) -> tuple[float, float]:
        program = quantise(
            graph, images, name="m", input_range=(0.5, 0.6), recipe=Recipe(centres=centres)
        )
        assert bool(program.operators[0].output.centre) == centres
        measured = quality.measure(
            Compiled(program, graph), {str(i): image for i, image in enumerate(images)}
        )
        return measured.sqnr_db["0"], measured.sqnr_db["1"]

    around_0, centred = sqnr_db(centres=False), sqnr_db(centres=True)
    assert centred[0] > around_0[0] + 6.0
    assert centred[1] > max(around_0[1], 40.0)


def test_a_map_that_others_read_padded_stands_around_0() -> None:
    pool = rnnpool.RNNPool(2, (4, 4), patch=4, stride=4, repeat_last=0)
    network = nn.Sequential(pool, nn.Conv2d(16, 4, 3, padding=1), FlattenMaps()).eval()
    images = [np.full((24, 24, 2), 0.5, np.float32)]
    program = quantise(trace(network, (24, 24, 2)), images, name="m", input_range=(0.0, 1.0))
    assert program.operators[0].output.centre == ()


TRAINED = Path(__file__).parents[2] / "shared" / "data" / "edgeml" / "face_m4.pth"


@pytest.mark.skipif(not TRAINED.is_file(), reason=f"no trained weights at {TRAINED}")
def test_the_papers_trained_network_keeps_28_db_and_24_on_every_photograph() -> None:
    loaded = models.load("face_m4", checkpoint=TRAINED)
    names = [*photographs.calibration_set(), "faces"]
    compiled = compile_model(loaded, [photographs.prepare(n, loaded.spec) for n in names])
    evaluated = {n: photographs.prepare(n, loaded.spec) for n in photographs.evaluation_set()}
    measured = quality.measure(compiled, evaluated)
    assert measured.mean_sqnr_db >= 28.0, measured.outputs_sqnr_db
    assert measured.least_sqnr_db >= 24.0, measured.outputs_sqnr_db
    assert measured.least_cosine >= 0.995


@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_other_seeds_quantise_as_well(seed: int) -> None:
    loaded = models.load("face_m4", seed=seed)
    images = [photographs.prepare(n, loaded.spec) for n in photographs.calibration_set()]
    evaluated = {n: photographs.prepare(n, loaded.spec) for n in ("astronaut", "retina")}
    assert quality.measure(compile_model(loaded, images), evaluated).least_cosine >= 0.995


def test_a_broken_weight_shows_in_the_quality(
    face_m4: models.LoadedModel, compiled: Compiled
) -> None:
    """The measure can fail: one layer's weights reversed are far from the float model."""
    broken = convolutions(compiled)[3]
    assert broken.name == "blocks.0.project"
    image = photographs.prepare("astronaut", face_m4.spec)
    kept = broken.weight.copy()
    try:
        broken.weight[...] = kept[::-1]
        measured = quality.measure(compiled, {"astronaut": image})
    finally:
        broken.weight[...] = kept
    assert measured.least_cosine < 0.9
    assert measured.sqnr_db["blocks.0.project"] < 3.0


def test_more_table_entries_make_less_noise(
    face_m4: models.LoadedModel, compiled: Compiled
) -> None:
    graph = compiled.graph
    image = photographs.prepare("astronaut", face_m4.spec)
    noise = {}
    for bits in (5, 8):
        program = quantise(
            graph,
            [image],
            name="m",
            input_range=face_m4.spec.range,
            recipe=Recipe(index_bits=bits),
        )
        exact = graph.activations([image])["pool"][0]
        got = maps(program, program.quantise_input(image))["pool"]
        output = next(op.output for op in program.operators if op.name == "pool")
        noise[bits] = float(np.abs(output.dequantise(got) - exact).mean())
    assert noise[8] < noise[5] / 2
