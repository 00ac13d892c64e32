"""MobileNetV2 with the paper's poolings: counts, shapes, and ReNet against its definition."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from hil import models
from hil.models.mobilenet import MobileNetV2, mnv2, vww
from hil.models.renet import GRUSweep, ReNet
from hil.models.rnnpool import RNNPool
from hil.models.variants import VARIANTS
from hil.vision import photographs


def macs(module: nn.Module) -> int:
    """Multiply-accumulates at 224x224, counted as the layers run."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        match layer:
            case nn.Conv2d():
                total += output[0].numel() * layer.weight[0].numel()
            case nn.Linear():
                total += layer.weight.numel()
            case RNNPool() | GRUSweep():
                total += layer.macs(inputs[0].shape[2], inputs[0].shape[3])

    for layer in module.modules():
        layer.register_forward_hook(count)
    with torch.inference_mode():
        module(torch.zeros(1, 3, 224, 224))
    return total


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_a_narrower_network_keeps_its_first_and_last_channels() -> None:
    network = models.structure("mnv2_rnnpool", width=0.9).module
    assert isinstance(network, MobileNetV2)
    channels = [block.channels for block in network.blocks]
    assert channels == [56] * 4 + [88] * 3 + [144] * 3 + [288]
    assert network.head.conv.out_channels == 1280
    assert parameters(network) == 1_852_078


@pytest.mark.parametrize(
    ("network", "expected_parameters", "expected_macs"),
    [
        (vww("base"), 286_946, 48_320_000),
        (vww("rnnpool"), 281_902, 40_352_304),
        (vww("rnnpool_last"), 327_026, 43_846_704),
        (mnv2("base"), 2_236_682, 299_500_000),
        (mnv2("rnnpool"), 2_216_686, 263_600_000),
    ],
    ids=["vww", "vww rnnpool", "vww rnnpool last", "mnv2", "mnv2 rnnpool"],
)
def test_networks_count_as_edgemls_code_and_mobilenet_do(
    network: MobileNetV2, expected_parameters: int, expected_macs: int
) -> None:
    assert parameters(network.eval()) == expected_parameters
    assert macs(network) == pytest.approx(expected_macs, rel=1e-3)


@pytest.mark.parametrize(
    ("row", "paper"),
    [("avgpool", 31.9e6), ("maxpool", 31.9e6), ("strided", 39.2e6), ("renet", 46.4e6)],
)
def test_the_other_poolings_meet_the_papers_counts(row: str, paper: float) -> None:
    assert macs(vww(row).eval()) == pytest.approx(paper, rel=0.02)


@pytest.mark.parametrize("row", [name for name, (early, _) in VARIANTS.items() if early != "none"])
def test_every_early_pooling_leaves_a_map_of_one_size(row: str) -> None:
    pool = vww(row).eval().pool
    assert pool is not None
    with torch.inference_mode():
        assert pool(torch.zeros(1, 8, 112, 112)).shape == (1, 32, 28, 28)


def sigmoid(a: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    result: npt.NDArray[np.float64] = 1.0 / (1.0 + np.exp(-a))
    return result


def plain_gru(gru: nn.GRU, sequence: npt.NDArray[Any], suffix: str) -> npt.NDArray[np.float64]:
    """A GRU by its equations: every state of one sequence."""
    p = {k: v.detach().double().numpy() for k, v in gru.named_parameters()}
    h = np.zeros(gru.hidden_size)
    states = []
    for x in sequence:
        of_x = p[f"weight_ih_l0{suffix}"] @ x + p[f"bias_ih_l0{suffix}"]
        of_h = p[f"weight_hh_l0{suffix}"] @ h + p[f"bias_hh_l0{suffix}"]
        (xr, xz, xn), (hr, hz, hn) = np.split(of_x, 3), np.split(of_h, 3)
        z = sigmoid(xz + hz)
        h = (1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * h
        states.append(h)
    return np.array(states)


def both_ways(gru: nn.GRU, sequence: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    backwards = plain_gru(gru, sequence[::-1], "_reverse")[::-1]
    return np.concatenate([plain_gru(gru, sequence, ""), backwards], axis=1)


def test_renet_sweeps_patches_down_the_columns_and_then_along_the_rows() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = ReNet(2, 3, patch=2)
    x = np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32)

    with torch.inference_mode():
        y = layer(torch.from_numpy(x)[None])[0].permute(1, 2, 0).numpy()

    patches = np.array(
        [
            [x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].reshape(-1) for j in range(4)]
            for i in range(3)
        ]
    )
    vertical = np.stack([both_ways(layer.vertical.gru, patches[:, j]) for j in range(4)], axis=1)
    expected = np.stack([both_ways(layer.horizontal.gru, row) for row in vertical])
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_a_classifiers_photograph_is_cut_from_the_middle_and_standardised() -> None:
    spec = models.load("vww_avgpool").spec
    rgb = np.zeros((256, 512, 3), np.uint8)
    rgb[:, 200:312] = 255  # less than the middle 224 columns
    x = photographs.preprocess(rgb, spec)
    assert x.shape == (224, 224, 3)
    np.testing.assert_allclose(x[0, 112], [2.2489, 2.4286, 2.64], atol=1e-3)
    np.testing.assert_allclose(x[0, 0], [-2.1179, -2.0357, -1.8044], atol=1e-3)


@pytest.mark.parametrize("row", ["rnnpool_last", "renet"])
def test_a_seeded_classifier_tells_photographs_apart(row: str) -> None:
    loaded = models.load(f"vww_{row}")
    logits = [loaded.run(photographs.prepare(n, loaded.spec)) for n in ("astronaut", "rocket")]
    assert np.abs(logits[0] - logits[1]).max() > 0.05
