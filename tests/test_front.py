"""Tracing: folded and fused nodes compute what the network does, and what is unknown is named."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hil import models
from hil.compiler import reference
from hil.compiler.front.graph import Graph
from hil.compiler.front.trace import trace
from hil.compiler.operators.add import AddNode
from hil.compiler.operators.concat import Concat
from hil.compiler.operators.fusing import Conv2DNode
from hil.compiler.operators.gru_sweep import GRUSweepNode
from hil.compiler.operators.kind import INPUT
from hil.compiler.program import Program
from hil.compiler.quantise import quantise
from hil.errors import BuildError
from hil.models.blocks import ConvBNReLU6, FlattenMaps, MBConv
from hil.models.densenet import DenseLayer
from hil.models.pooling import GlobalAverage
from hil.models.rnnpool import RNNPool
from hil.vision import photographs


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
        if not isinstance(node, Conv2DNode):
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
    assert isinstance(project, Conv2DNode)
    assert project.residual == "layers.0"
    assert project.inputs == ("layers.1.depthwise", "layers.0")


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ((nn.Softplus(),), "Softplus"),
        ((nn.LPPool2d(2, 2),), "LPPool2d"),
        ((nn.MaxPool2d(3, ceil_mode=True),), "rounded-up size"),
        ((nn.MaxPool2d(2, dilation=2),), "dilation"),
        ((nn.AvgPool2d(2, (1, 2)),), "uneven strides"),
        ((nn.AvgPool2d(3, 1, 1, count_include_pad=False),), "divisor of its own"),
        ((nn.Conv2d(2, 4, 1, groups=2),), "neither dense nor depthwise"),
        ((nn.Conv2d(2, 2, 3, dilation=2),), "dilation"),
    ],
)
def test_what_the_compiler_cannot_do_is_named(layers: tuple[nn.Module, ...], named: str) -> None:
    with pytest.raises(BuildError, match=named):
        trace(Tail(*layers).eval(), (8, 8, 2))


class Sum(nn.Module):
    """A map plus its own activation, of which neither can take the addition in."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)
        self.activation = nn.ReLU()
        self.output = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        y: Tensor = self.output(x + self.activation(x))
        return y


def test_an_addition_that_no_convolution_can_take_in_stands_by_itself() -> None:
    graph = trace(Sum().eval(), (8, 8, 2))
    assert isinstance(graph.nodes[-1], AddNode)
    assert graph.nodes[-1].inputs == ("conv", "activation")


def normed(channels: int) -> nn.BatchNorm2d:
    """A batch norm with statistics and weights of both signs."""
    norm = nn.BatchNorm2d(channels)
    random = np.random.default_rng(channels)
    for values, spread in ((norm.weight, 1.0), (norm.bias, 0.5), (norm.running_mean, 20.0)):
        assert values is not None
        values.data.copy_(torch.from_numpy(random.normal(0, spread, channels)))
    assert norm.running_var is not None
    norm.running_var.copy_(torch.from_numpy(random.uniform(200, 900, channels)))
    return norm


def test_a_relu_is_folded_like_a_relu6_without_its_ceiling() -> None:
    graph = trace(Tail(nn.Conv2d(2, 4, 1), normed(4), nn.ReLU()).eval(), (6, 6, 2))
    (conv,) = graph.nodes
    assert isinstance(conv, Conv2DNode)
    assert (conv.low, conv.high) == (0.0, np.inf)


def test_norms_and_activations_that_no_convolution_takes_in_are_operators_themselves() -> None:
    torch.manual_seed(0)
    layers = (normed(8), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.ReLU6(), normed(4), nn.MaxPool2d(2))
    network = Tail(*layers, nn.ReLU()).eval()
    graph = trace(network, (12, 10, 8))
    own = [n.name for n in graph.nodes if isinstance(n, Conv2DNode) and n.depthwise]
    assert own == ["layers.0", "layers.4", "layers.6"]
    assert sum(node.macs for node in graph.nodes) == 12 * 10 * 32
    check_noise(graph)


def test_an_old_order_of_outputs_passes_norms_and_activations() -> None:
    torch.manual_seed(0)
    pool = RNNPool(2, (4, 4), patch=4, stride=4, order="columns_first")
    network = Tail(pool, normed(16), nn.ReLU(), nn.Conv2d(16, 3, 1)).eval()
    image = np.random.default_rng(0).normal(0, 1, (8, 12, 2)).astype(np.float32)
    graph = trace(network, image.shape)
    exact = network.double()(torch.from_numpy(image).double().permute(2, 0, 1)[None])
    got = graph.activations([image])[graph.outputs[0]]
    np.testing.assert_allclose(got.reshape(-1), exact.detach().numpy().reshape(-1))


class Shared(nn.Module):
    """An RNNPool of the old order, and a convolution; one of them is called twice."""

    def __init__(self, *, pools: int) -> None:
        super().__init__()
        self.pool = RNNPool(2, (2, 2), patch=2, stride=2, order="columns_first")
        self.first = nn.Conv2d(8, 2, 1)
        self.conv = nn.Conv2d(8, 8, 1)
        self.output = FlattenMaps()
        self.pools = pools

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        x = self.pool(self.first(x)) if self.pools == 2 else self.conv(self.conv(x))
        y: Tensor = self.output(x)
        return y


@pytest.mark.parametrize(("pools", "layer"), [(1, "conv"), (2, "pool")])
def test_an_order_that_a_second_call_would_undo_is_refused(pools: int, layer: str) -> None:
    with pytest.raises(BuildError, match=f"{layer}: .*order of channels cannot be changed"):
        trace(Shared(pools=pools).eval(), (8, 12, 2))


class Dense(nn.Module):
    """A maximum, two dense layers, a norm: maps of free and of given scales side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.layers = nn.Sequential(DenseLayer(8, 8), DenseLayer(16, 8))
        self.norm = normed(24)
        self.output = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.output(self.norm(self.layers(self.pool(x))))
        return y


def test_maps_of_one_chain_of_concatenations_share_a_scale() -> None:
    torch.manual_seed(0)
    graph = trace(Dense().eval(), (12, 16, 8))
    program = check_noise(graph)
    first, last = (op for op in program.operators if isinstance(op, Concat))
    assert last.rescales == (None, None)
    assert first.rescales[0] is not None
    assert first.rescales[1] is None


def check_noise(graph: Graph) -> Program:
    """Quantise, and find every operator's mean error within two steps of its scale."""
    images = [
        np.random.default_rng(seed).normal(0, 40, graph.input_shape).astype(np.float32)
        for seed in range(4)
    ]
    program = quantise(graph, images, name="checked", input_range=(-128.0, 127.0))
    for image in images:
        maps = reference.maps(program, program.quantise_input(image))
        exact = graph.activations([image])
        for operator in program.operators:
            got = operator.output.dequantise(maps[operator.name])
            wrong = np.abs(got - exact[operator.name][0])
            assert float(wrong.mean()) <= 2.001 * operator.output.scale, operator.name
    return program


def test_a_renet_is_two_sweeps() -> None:
    loaded = models.load("vww_renet")
    nodes = trace(loaded.module, loaded.spec.shape).nodes[1:3]
    assert [type(node) for node in nodes] == [GRUSweepNode, GRUSweepNode]
    assert [node.name for node in nodes] == ["pool.vertical", "pool.horizontal"]
    assert [node.shape for node in nodes] == [(28, 28, 32)] * 2
    assert sum(node.macs for node in nodes) == 14_450_688


def test_a_linear_layer_is_a_convolution_of_one_pixel() -> None:
    loaded = models.load("vww_rnnpool_last")
    node = trace(loaded.module, loaded.spec.shape).nodes[-1]
    assert isinstance(node, Conv2DNode)
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
    best = check_noise(graph).operators[2]
    assert best.output.scale == best.inputs[0].scale
    assert best.output.zero_point == best.inputs[0].zero_point
