"""Tracing: folded and fused nodes compute what the network does, and what is unknown is named."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hil import models, photographs
from hil.compiler import compile_model
from hil.compiler.graph import INPUT, Convolution, Graph, trace
from hil.errors import BuildError
from hil.models.blocks import ConvBNReLU6, FlattenMaps, MBConv


@pytest.fixture(scope="module")
def face_m4() -> Graph:
    loaded = models.load("face_m4")
    return trace(loaded.module, loaded.spec.shape)


class Tail(nn.Module):
    """A layer, and then the network's end."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.output = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.output(self.layers(x))
        return y


def test_every_folded_convolution_computes_the_networks_own_activations(face_m4: Graph) -> None:
    spec = models.load("face_m4").spec
    maps = face_m4.activations([photographs.prepare("astronaut", spec)])
    for node in face_m4.nodes:
        if not isinstance(node, Convolution):
            continue
        x = torch.from_numpy(maps[node.inputs[0]]).permute(0, 3, 1, 2)
        y = functional.conv2d(
            x,
            torch.from_numpy(node.weight).permute(0, 3, 1, 2),
            torch.from_numpy(node.bias),
            node.stride,
            (node.padding.top, node.padding.left),
            groups=x.shape[1] if node.depthwise else 1,
        )
        y = y.clamp(node.low, node.high)
        if node.residual is not None:
            y = y + torch.from_numpy(maps[node.residual]).permute(0, 3, 1, 2)
        torch.testing.assert_close(y.permute(0, 2, 3, 1).numpy(), maps[node.name])


def test_shapes_and_inputs_chain_up(face_m4: Graph) -> None:
    known = {INPUT}
    for node in face_m4.nodes:
        assert set(node.inputs) <= known, node.name
        known.add(node.name)
    assert set(face_m4.outputs) <= known
    assert face_m4.nodes[-1].shape == (15, 20, 4)


def test_tracing_leaves_the_network_as_it_was() -> None:
    loaded = models.load("face_m4", order="columns_first")
    before = {key: tensor.clone() for key, tensor in loaded.module.state_dict().items()}
    trace(loaded.module, loaded.spec.shape)
    for key, tensor in loaded.module.state_dict().items():
        assert tensor.dtype == before[key].dtype
        assert torch.equal(tensor, before[key])


def test_an_inverted_residuals_addition_is_its_projections() -> None:
    graph = trace(Tail(ConvBNReLU6(1, 4), MBConv(4, 4, expansion=2)).eval(), (6, 6, 1))
    project = graph.nodes[-1]
    assert isinstance(project, Convolution)
    assert project.residual == "layers.0"
    assert project.inputs == ("layers.1.depthwise", "layers.0")


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ((nn.Sigmoid(),), "Sigmoid"),
        ((nn.MaxPool2d(2),), "MaxPool2d"),
        ((nn.ReLU6(),), "does not follow a convolution"),
        ((nn.Conv2d(2, 2, 1), nn.ReLU6(), nn.BatchNorm2d(2)), "after an activation"),
        ((nn.Conv2d(2, 4, 1, groups=2),), "neither dense nor depthwise"),
        ((nn.Conv2d(2, 2, 3, dilation=2),), "dilation"),
    ],
)
def test_what_the_compiler_cannot_do_is_named(layers: tuple[nn.Module, ...], named: str) -> None:
    with pytest.raises(BuildError, match=named):
        trace(Tail(*layers).eval(), (8, 8, 2))


def test_a_networks_pooling_without_a_kernel_is_named() -> None:
    loaded = models.load("vww_renet")
    with pytest.raises(BuildError, match="no operator for ReNet"):
        compile_model(loaded, [np.zeros(loaded.spec.shape, np.float32)])


def test_a_linear_layer_is_a_convolution_of_one_pixel() -> None:
    loaded = models.load("vww_rnnpool_last")
    node = trace(loaded.module, loaded.spec.shape).nodes[-1]
    assert isinstance(node, Convolution)
    assert (node.name, node.shape, node.weight.shape) == ("classifier", (1, 1, 2), (2, 1, 1, 320))
    assert node.macs == 640
