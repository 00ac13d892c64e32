"""The networks in float: layers against their definitions, RNNPool-Face-M4 against the paper."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from hil import models
from hil.compiler.front.trace import trace
from hil.errors import UsageError
from hil.models.blocks import ConvBNReLU6, L2Norm, MaxOut, MBConv
from hil.models.face import (
    FaceDetector,
    Head,
    face_a,
    face_b,
    face_c,
    face_quant,
    face_qvga,
)
from hil.models.fastgrnn import FastGRNN
from hil.models.rnnpool import RNNPool
from hil.models.seeded import initialise
from hil.vision import photographs

TRACES = Path(__file__).parents[2] / "shared" / "data" / "edgeml"

Reals: TypeAlias = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def face_m4() -> models.LoadedModel:
    return models.load("face_m4")


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().eval()


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).float()


@pytest.mark.parametrize(("name", "patch"), [("vww", 6), ("face_quant", 8)])
def test_rnnpool_meets_the_trace_of_a_trained_operator(name: str, patch: int) -> None:
    path = TRACES / f"{name}_rnnpool_trace.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    stored = np.load(path)
    channels = stored["input"].shape[-1]
    pool = RNNPool(channels, (8, 8), patch=patch, stride=patch, repeat_last=0)
    for cell, suffix in ((pool.row, "1"), (pool.summary, "2")):
        fill_from_trace(cell, {k: stored[k + suffix] for k in TRACE_KEYS})

    with torch.inference_mode():
        output = pool(torch.from_numpy(stored["input"]).permute(2, 0, 1)[None])

    assert np.abs(output.numpy().reshape(-1) - stored["output"]).max() < 1e-5


TRACE_KEYS = ("W", "U", "bias_gate", "bias_update", "sigmoid_zeta", "sigmoid_nu")


def fill_from_trace(cell: FastGRNN, stored: dict[str, npt.NDArray[np.float32]]) -> None:
    with torch.no_grad():
        cell.W.copy_(torch.from_numpy(stored["W"]).T)
        cell.U.copy_(torch.from_numpy(stored["U"]).T)
        cell.bias_gate.copy_(torch.from_numpy(stored["bias_gate"])[None])
        cell.bias_update.copy_(torch.from_numpy(stored["bias_update"])[None])
        for parameter, key in ((cell.zeta, "sigmoid_zeta"), (cell.nu, "sigmoid_nu")):
            parameter.fill_(float(torch.logit(torch.tensor(float(stored[key])))))


def plain_cell(cell: FastGRNN, sequence: Reals) -> Reals:
    """FastGRNN by its equations, one step and one sequence at a time."""
    parameters = {k: v.detach().double().numpy() for k, v in cell.named_parameters()}

    def sigmoid(a: Reals) -> Reals:
        result: Reals = 1.0 / (1.0 + np.exp(-a))
        return result

    h = np.zeros(cell.units)
    for x in sequence:
        a = x @ parameters["W"] + h @ parameters["U"]
        z = sigmoid(a + parameters["bias_gate"][0])
        candidate = np.tanh(a + parameters["bias_update"][0])
        fresh = sigmoid(parameters["zeta"][0]) * (1.0 - z) + sigmoid(parameters["nu"][0])
        h = z * h + fresh * candidate
    return h


def plain_rnnpool(pool: RNNPool, x: Reals) -> Reals:
    """RNNPool by the paper's algorithm 1, patch by patch; x is (rows, columns, channels)."""
    down, across = pool.grid(x.shape[0], x.shape[1])
    y = np.empty((down, across, pool.channels))
    for py, px in np.ndindex(down, across):
        top, left = py * pool.stride, px * pool.stride
        patch = x[top : top + pool.patch, left : left + pool.patch]
        rows = np.stack([plain_cell(pool.row, row) for row in patch])
        columns = np.stack([plain_cell(pool.row, column) for column in patch.swapaxes(0, 1)])
        sequences = (rows, rows[::-1], columns, columns[::-1])
        y[py, px] = np.concatenate([plain_cell(pool.summary, s) for s in sequences])
    return y


def test_overlapping_patches_share_sweeps_without_changing_the_result() -> None:
    pool = seeded(lambda: RNNPool(3, (5, 4), patch=4, stride=2, repeat_last=0))
    x = random(1, 3, 10, 12)

    with torch.inference_mode():
        shared = pool(x)[0].permute(1, 2, 0).numpy()

    assert shared.shape == (4, 5, 16)
    np.testing.assert_allclose(
        shared, plain_rnnpool(pool, x[0].permute(1, 2, 0).numpy()), atol=1e-6
    )


def test_rnnpool_repeats_its_last_row_and_column() -> None:
    pool = seeded(lambda: RNNPool(2, (3, 3), patch=4, stride=4, repeat_last=1))

    with torch.inference_mode():
        y = pool(random(1, 2, 8, 8))

    assert y.shape == (1, 12, 3, 3)
    assert torch.equal(y[:, :, 2], y[:, :, 1])
    assert torch.equal(y[:, :, :, 2], y[:, :, :, 1])


def test_the_old_order_of_outputs_swaps_the_halves() -> None:
    new = seeded(lambda: RNNPool(2, (3, 3), patch=4, stride=4))
    old = seeded(lambda: RNNPool(2, (3, 3), patch=4, stride=4, order="columns_first"))
    x = random(1, 2, 8, 8)

    with torch.inference_mode():
        assert torch.equal(old(x), new(x).roll(6, dims=1))


def test_sparsify_keeps_the_largest_weights() -> None:
    cell = seeded(lambda: FastGRNN(4, 16, density=(0.5, 0.3)))
    before = cell.W.detach().abs().clone()

    cell.sparsify()

    kept = cell.W.detach() != 0
    assert (int(kept.sum()), int((cell.U != 0).sum())) == (32, 77)
    assert before[kept].min() >= before[~kept].max()


@pytest.mark.parametrize("seed", range(8))
def test_a_recurrence_of_few_weights_takes_them_by_seed(seed: int) -> None:
    cell = FastGRNN(2, 2, density=(1.0, 0.25))  # of one weight, which may lie off the diagonal
    initialise(cell, seed)
    assert bool(cell.U.isfinite().all())


def test_mbconv_adds_its_input_only_where_shapes_agree() -> None:
    assert MBConv(8, 8, expansion=2).shortcut
    assert not MBConv(8, 8, expansion=2, stride=2).shortcut
    assert not MBConv(8, 16, expansion=2).shortcut
    block = seeded(lambda: MBConv(8, 8, expansion=2))
    x = random(1, 8, 5, 5)
    with torch.inference_mode():
        inner = block.project(block.depthwise(block.expand(x)))
        assert torch.equal(block(x), x + inner)


def test_odd_maps_are_halved_upwards() -> None:
    conv = seeded(lambda: ConvBNReLU6(1, 2, stride=2))
    with torch.inference_mode():
        assert conv(random(1, 1, 15, 7)).shape == (1, 2, 8, 4)


def test_l2norm_gives_every_pixel_the_length_of_its_scale() -> None:
    with torch.inference_mode():
        y = L2Norm(6, scale=10.0)(random(1, 6, 3, 4))
    torch.testing.assert_close(y.norm(dim=1), torch.full((1, 3, 4), 10.0))


def test_max_out_keeps_the_best_of_the_first_and_all_others() -> None:
    x = torch.tensor([1.0, 5.0, 3.0, -2.0]).view(1, 4, 1, 1)
    assert MaxOut(3)(x).flatten().tolist() == [5.0, -2.0]


def test_face_m4_has_the_parameters_of_the_paper(face_m4: models.LoadedModel) -> None:
    assert face_m4.parameters == 56_330


def test_face_m4_has_the_multiply_accumulates_of_the_paper(face_m4: models.LoadedModel) -> None:
    macs = {node.name: node.macs for node in trace(face_m4.module, face_m4.spec.shape).nodes}
    assert macs.pop("pool") == 64_856_064
    assert sum(macs.values()) == 38_457_600


def test_face_m4_has_the_sparsity_of_the_paper(face_m4: models.LoadedModel) -> None:
    cells = (face_m4.module.get_submodule(f"pool.{name}") for name in ("row", "summary"))
    kept = [int(c.get_parameter(name).count_nonzero()) for c in cells for name in ("W", "U")]
    assert kept == [32, 77, 77, 77]


def test_face_m4_gives_classes_then_boxes_row_by_row() -> None:
    module = models.load("face_m4").module
    assert isinstance(module, FaceDetector)
    with torch.no_grad():
        for k, head in enumerate([*module.conf, *module.loc]):
            assert isinstance(head, Head)
            assert head.conv.bias is not None
            head.conv.weight.zero_()
            head.conv.bias.copy_(torch.arange(head.conv.out_channels) + 10.0 * k)
        outputs = module(torch.zeros(1, 1, 240, 320))[0].tolist()

    cells = [1200, 1200, 300, 300]
    expected: list[float] = [2.0, 3.0] * cells[
        0
    ]  # the largest of backgrounds 0, 1, 2, and the face
    for k in (1, 2, 3):
        expected += [10.0 * k, 10.0 * k + 1] * cells[k]
    for k in (4, 5, 6, 7):
        expected += [10.0 * k + i for i in range(4)] * cells[k - 4]
    assert len(outputs) == 18_000
    assert outputs == expected


@pytest.mark.parametrize(
    ("constructor", "shape", "parameters", "of_convolutions", "of_pool"),
    [
        (face_qvga, (240, 320, 1), 338_538, 146_284_800, 64_856_064),
        (face_quant, (480, 640, 3), 71_154, 103_337_280, 76_365_824),
        (face_c, (480, 640, 3), 1_526_098, 969_707_520, 1_046_255_616),
        (face_a, (480, 640, 3), 118_102, 75_490_720, 87_187_968),
        (face_b, (480, 640, 3), 1_250_424, 1_100_348_160, 174_375_936),
    ],
)
def test_the_other_face_detectors_count_as_they_should(
    constructor: Callable[[], FaceDetector],
    shape: tuple[int, int, int],
    parameters: int,
    of_convolutions: int,
    of_pool: int,
) -> None:
    module = constructor().eval()
    macs = {node.name: node.macs for node in trace(module, shape).nodes}
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert macs.pop("pool") == of_pool
    assert sum(macs.values()) == of_convolutions


def test_the_same_seed_makes_the_same_network(face_m4: models.LoadedModel) -> None:
    again, other = models.load("face_m4"), models.load("face_m4", seed=1)
    for key, tensor in face_m4.module.state_dict().items():
        assert torch.equal(tensor, again.module.state_dict()[key])
    assert not torch.equal(
        face_m4.module.get_parameter("pool.row.W"), other.module.get_parameter("pool.row.W")
    )


def test_no_channel_of_the_seeded_network_is_dead(face_m4: models.LoadedModel) -> None:
    graph = trace(face_m4.module, face_m4.spec.shape)
    images = [photographs.prepare(n, face_m4.spec) for n in ("astronaut", "coffee", "rocket")]
    for name, values in graph.activations(images).items():
        deviation = values.std(axis=(0, 1, 2))
        assert deviation.min() > 0.01, name


def test_the_seeded_states_are_as_large_as_trained_ones(face_m4: models.LoadedModel) -> None:
    image = photographs.prepare("astronaut", face_m4.spec)
    pooled = trace(face_m4.module, face_m4.spec.shape).activations([image])["pool"]
    assert 0.2 < np.sqrt(np.square(pooled).mean()) < 0.8


def test_an_unknown_model_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match="unknown model 'face_m5'") as caught:
        models.load("face_m5")
    assert "face_m4" in caught.value.hint
