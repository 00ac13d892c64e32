"""Tracing: folded and fused nodes compute what the network does, and what is unknown is named."""

import numpy as np
import pytest
import torch
from native import ROOMY
from torch import Tensor, nn
from torch.nn import functional

from hil import models, photographs
from hil.compiler import reference
from hil.compiler.graph import INPUT, Convolution, Graph, Sweep, trace
from hil.compiler.outline import outline
from hil.compiler.plan import make_plan
from hil.compiler.plan_steps import Kind
from hil.compiler.quantize import quantise
from hil.errors import BuildError
from hil.models.blocks import ConvBNReLU6, FlattenMaps, MBConv
from hil.models.pooling import GlobalAverage


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
        ((nn.LPPool2d(2, 2),), "LPPool2d"),
        ((nn.MaxPool2d(3, ceil_mode=True),), "rounded-up size"),
        ((nn.MaxPool2d(2, dilation=2),), "dilation"),
        ((nn.AvgPool2d(2, (1, 2)),), "uneven strides"),
        ((nn.AvgPool2d(3, 1, 1, count_include_pad=False),), "divisor of its own"),
        ((nn.ReLU6(),), "does not follow a convolution"),
        ((nn.Conv2d(2, 2, 1), nn.ReLU6(), nn.BatchNorm2d(2)), "after an activation"),
        ((nn.Conv2d(2, 4, 1, groups=2),), "neither dense nor depthwise"),
        ((nn.Conv2d(2, 2, 3, dilation=2),), "dilation"),
    ],
)
def test_what_the_compiler_cannot_do_is_named(layers: tuple[nn.Module, ...], named: str) -> None:
    with pytest.raises(BuildError, match=named):
        trace(Tail(*layers).eval(), (8, 8, 2))


def test_a_renet_is_two_sweeps() -> None:
    loaded = models.load("vww_renet")
    nodes = trace(loaded.module, loaded.spec.shape).nodes[1:3]
    assert [type(node) for node in nodes] == [Sweep, Sweep]
    assert [node.name for node in nodes] == ["pool.vertical", "pool.horizontal"]
    assert [node.shape for node in nodes] == [(28, 28, 32)] * 2
    assert sum(node.macs for node in nodes) == 14_450_688


def test_a_linear_layer_is_a_convolution_of_one_pixel() -> None:
    loaded = models.load("vww_rnnpool_last")
    node = trace(loaded.module, loaded.spec.shape).nodes[-1]
    assert isinstance(node, Convolution)
    assert (node.name, node.shape, node.weight.shape) == ("classifier", (1, 1, 2), (2, 1, 1, 320))
    assert node.macs == 640


def test_poolings_are_quantised_close_to_the_float_network() -> None:
    layers = (
        nn.AvgPool2d(3, 2, 1),
        ConvBNReLU6(3, 8, kernel=1),
        nn.MaxPool2d((3, 2), 2, 1),
        GlobalAverage(),
    )
    torch.manual_seed(0)
    network = Tail(*layers).eval()
    graph = trace(network, (20, 24, 3))
    assert [node.shape for node in graph.nodes] == [
        (10, 12, 3), (10, 12, 8), (5, 7, 8), (1, 1, 8),
    ]  # fmt: skip
    images = [
        np.random.default_rng(seed).normal(0, 40, (20, 24, 3)).astype(np.float32)
        for seed in range(4)
    ]
    program = quantise(graph, images, name="poolings", input_range=(-128.0, 127.0))
    best = program.operators[2]
    assert best.output.scale == best.inputs[0].scale
    assert best.output.zero_point == best.inputs[0].zero_point
    for image in images:
        maps = reference.trace(program, program.quantise_input(image))
        exact = graph.activations([image])
        for operator in program.operators:
            scale = operator.output.scale
            got = (maps[operator.name].astype(float) - operator.output.zero_point) * scale
            wrong = np.abs(got - exact[operator.name][0])
            assert float(wrong.mean()) <= 2 * scale, operator.name


def test_an_outline_of_poolings_has_the_memory_of_the_quantised_program() -> None:
    network = Tail(nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2), GlobalAverage()).eval()
    graph = trace(network, (20, 24, 4))
    images = [np.random.default_rng(0).normal(0, 40, (20, 24, 4)).astype(np.float32)]
    program = quantise(graph, images, name="poolings", input_range=(-128.0, 127.0))
    plans = [make_plan(p, ROOMY) for p in (program, outline(graph, "poolings"))]
    assert plans[0].offsets == plans[1].offsets
    assert [s.kind for s in plans[1].steps] == [Kind.POOL2D] * 3
