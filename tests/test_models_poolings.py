"""DenseNet121, MobileNetV1 and single layers: every pooling in its place."""

import numpy as np
import pytest
import torch
from torch import nn

from hil import models
from hil.compiler import compile_model, reference
from hil.errors import UsageError
from hil.models.densenet import densenet121
from hil.models.layer import SingleLayer
from hil.models.mobilenet_v1 import mnv1
from hil.models.rnnpool import RNNPool
from hil.models.variants import VARIANTS
from hil.vision import photographs

LAYERS = ["rnnpool_layer", "avgpool_layer", "maxpool_layer", "strided_layer", "renet_layer"]


def shape_after(layer: nn.Module, *shape: int) -> tuple[int, ...]:
    with torch.inference_mode():
        return tuple(layer.to("meta")(torch.zeros(shape, device="meta")).shape)


@pytest.mark.parametrize("row", [name for name, (early, _) in VARIANTS.items() if early != "none"])
def test_every_early_pooling_of_densenet121_leaves_a_map_of_one_size(row: str) -> None:
    pool = densenet121(row).eval().pool
    assert pool is not None
    assert shape_after(pool, 1, 64, 112, 112) == (1, 192, 28, 28)


@pytest.mark.parametrize("row", VARIANTS)
def test_densenet121_tells_ten_classes(row: str) -> None:
    assert shape_after(densenet121(row).eval(), 1, 3, 224, 224) == (1, 10)


def test_a_last_rnnpool_has_a_quarter_of_the_channels_as_units() -> None:
    last = densenet121("last_rnnpool").last
    assert isinstance(last, RNNPool)
    assert (last.row.units, last.summary.units, last.channels) == (256, 256, 1024)


def test_a_dense_layer_keeps_its_input_and_adds_to_it() -> None:
    network = densenet121("base").eval()
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 64, 5, 6))).float()
    with torch.inference_mode():
        y = network.blocks[1](x)
    assert y.shape == (1, 96, 5, 6)
    assert torch.equal(y[:, :64], x)


@pytest.mark.parametrize("row", ["base", "renet", "rnnpool"])
def test_mobilenet_v1_tells_a_thousand_classes(row: str) -> None:
    assert shape_after(mnv1(row).eval(), 1, 3, 224, 224) == (1, 1000)


@pytest.mark.parametrize("layer", LAYERS)
def test_single_layers_all_make_the_same_reduction(layer: str) -> None:
    made = models.structure(layer)
    assert made.spec.shape == (112, 112, 8)
    assert isinstance(made.module, SingleLayer)
    assert shape_after(made.module.pool, 1, 8, 112, 112) == (1, 32, 28, 28)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_an_rnnpool_layer_takes_any_size(channels: int) -> None:
    layer = models.load(
        "rnnpool_layer",
        rows=26,
        columns=34,
        channels=channels,
        patch=4,
        stride=2,
        hidden_row=5,
        hidden_summary=3,
    )
    outputs = [layer.run(photographs.prepare(name, layer.spec)) for name in ("astronaut", "coffee")]
    assert outputs[0].shape == (13 * 17 * 12,)
    assert np.abs(outputs[0] - outputs[1]).max() > 0.05


def test_a_single_layer_compiles_like_any_network() -> None:
    layer = models.load("rnnpool_layer", rows=28, columns=28)
    names = photographs.calibration_set()
    calibration = [photographs.prepare(name, layer.spec) for name in names]
    program = compile_model(layer, calibration).program
    image = photographs.prepare("coffee", layer.spec)
    integer = program.dequantise_output(reference.run(program, program.quantise_input(image)))
    in_float = layer.run(image)
    cosine = integer @ in_float / np.linalg.norm(integer) / np.linalg.norm(in_float)
    assert cosine > 0.99


def test_a_layer_of_another_kind_takes_no_hidden_units() -> None:
    with pytest.raises(UsageError, match="unknown variant of maxpool_layer 'hidden_row'"):
        models.structure("maxpool_layer", hidden_row=8)
