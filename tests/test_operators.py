"""Every operator of the registry: its integers against torch, and what it says that it costs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hil.compiler import operators, reference
from hil.compiler.front.graph import Graph
from hil.compiler.front.trace import trace
from hil.compiler.macs import Macs
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.operators.kind import INPUT
from hil.compiler.operators.lookup import LookupKind
from hil.compiler.program import Operator, Program, Shape
from hil.compiler.quantise import quantise
from hil.errors import BuildError
from hil.models import gated
from hil.models.blocks import Concat, ConvBNReLU6, FlattenMaps, L2Norm, MaxOut
from hil.models.pooling import Classifier, GlobalAverage
from hil.models.renet import GRUSweep
from hil.models.rnnpool import RNNPool
from hil.models.seeded import initialise

if TYPE_CHECKING:
    from hil.models.gated import CellName

RANGE = (-127.0, 128.0)  # of which every whole number is a level of the input
MOST_MEAN_ERROR = 2.0  # in steps of the output, of at most three operators one after another


class Forked(nn.Module):
    """A convolution's map and the input's, joined or added."""

    def __init__(self, channels: int, *, joined: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.other = nn.Conv2d(channels, channels, 1)
        self.join = Concat() if joined else None

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.other(x), self.conv(x)
        y: Tensor = one + other if self.join is None else self.join(one, other)
        return y


@st.composite
def conv2d(draw: st.DrawFn, channels: int) -> nn.Module:
    depthwise = draw(st.booleans())
    kernel, stride = draw(st.sampled_from([1, 3, 4])), draw(st.integers(1, 2))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    return draw(
        st.sampled_from(
            [
                nn.Conv2d(
                    channels,
                    channels if depthwise else 5,
                    kernel,
                    stride,
                    padding,
                    groups=channels if depthwise else 1,
                ),
                ConvBNReLU6(channels, 6, kernel=kernel, stride=stride),
                nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU()),
                nn.Sequential(GlobalAverage(), Classifier(channels, 3)),
                Forked(channels, joined=False),
            ]
        )
    )


class Twofold(nn.Module):
    """The sum of a map's activation and its pooling, of which neither can take the addition in."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Hardswish(), nn.MaxPool2d(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.one(x) + self.other(x)
        return y


@st.composite
def softmax(draw: st.DrawFn, channels: int) -> nn.Module:
    scale = nn.Conv2d(channels, draw(st.integers(1, 9)), 1)
    return nn.Sequential(scale, nn.Softmax(dim=1))


@st.composite
def pool2d(draw: st.DrawFn, channels: int) -> nn.Module:
    del channels
    window, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, window // 2))
    kinds: list[Callable[[], nn.Module]] = [
        lambda: nn.AvgPool2d(window, stride, padding),
        lambda: nn.MaxPool2d(window, stride, padding),
        GlobalAverage,
    ]
    return draw(st.sampled_from(kinds))()


@st.composite
def rnnpool(draw: st.DrawFn, channels: int) -> nn.Module:
    patch, stride = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    units = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    scale = nn.Conv2d(channels, channels, 1)  # the cells are made for inputs of some units
    return nn.Sequential(scale, nn.ReLU6(), RNNPool(channels, units, patch=patch, stride=stride))


@st.composite
def gated_pool(draw: st.DrawFn, channels: int) -> nn.Module:
    patch, stride = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    units = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    cell: CellName = draw(st.sampled_from(["gru", "lstm"]))
    pool = gated.rnnpool(channels, units, cell=cell, patch=patch, stride=stride)
    return nn.Sequential(nn.Conv2d(channels, channels, 1), nn.ReLU6(), pool)


@st.composite
def gru_sweep(draw: st.DrawFn, channels: int) -> nn.Module:
    sweep = GRUSweep(
        channels,
        draw(st.integers(1, 4)),
        patch=draw(st.integers(1, 2)),
        along=draw(st.sampled_from(["columns", "rows"])),
    )
    return nn.Sequential(nn.Conv2d(channels, channels, 1), nn.ReLU6(), sweep)


CASES: dict[str, Callable[[int], st.SearchStrategy[nn.Module]]] = {
    "Conv2D": conv2d,
    "RNNPool": rnnpool,
    "GatedPool": gated_pool,
    "GRUSweep": gru_sweep,
    "L2Norm": lambda channels: st.just(L2Norm(channels, scale=10.0)),
    "MaxOut": lambda channels: st.integers(1, channels).map(MaxOut),
    "Pool2D": pool2d,
    "Lookup": lambda _: st.sampled_from([layer() for layer in LookupKind.layers]),
    "Add": lambda _: st.builds(Twofold),
    "Softmax": softmax,
    "Concat": lambda channels: st.just(Forked(channels, joined=True)),
}
"""Networks of channels to one that holds the operator, by the operator's name."""


@pytest.mark.parametrize("name", [kind.operator.__name__ for kind in operators.KINDS])
def test_an_operator_has_a_test_case(name: str) -> None:
    assert name in CASES, f"write networks that hold a {name} into CASES"


def test_every_test_case_is_of_an_operator() -> None:
    assert set(CASES) == {kind.operator.__name__ for kind in operators.KINDS}


COARSE = {"RNNPool", "GatedPool", "GRUSweep", "Softmax"}
"""Operators that are made for inputs of some units."""


def made(data: st.DataObject, name: str) -> tuple[nn.Module, Shape, list[Any]]:
    """A network with weights, the shape of its input, and images on the input's levels."""
    channels = data.draw(st.integers(1, 5))
    shape = (data.draw(st.integers(5, 9)), data.draw(st.integers(5, 9)), channels)
    network = nn.Sequential(data.draw(CASES[name](channels)), FlattenMaps()).eval()
    initialise(network, data.draw(st.integers(0, 99)))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and name in COARSE:
            with torch.no_grad():
                layer.weight.mul_(0.01 if name == "Softmax" else 0.05)
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    images = [np.rint(random.uniform(*RANGE, shape)).astype(np.float32) for _ in range(3)]
    return network, shape, images


def quantised(network: nn.Module, shape: Shape, images: list[Any]) -> tuple[Graph, Program]:
    graph = trace(network, shape)
    return graph, quantise(graph, images, name="drawn", input_range=RANGE)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(deadline=None, max_examples=12)
def test_an_operators_integers_are_close_to_torch(name: str, data: st.DataObject) -> None:
    network, shape, images = made(data, name)
    graph, program = quantised(network, shape, images)
    assert name in {type(op).__name__ for op in program.operators}
    for image in images:
        with torch.inference_mode():
            exact = network.double()(torch.from_numpy(image).double().permute(2, 0, 1)[None])
        got = reference.run(program, program.quantise_input(image)).astype(float)
        (tensor,) = program.output.tensors
        wrong = np.abs((got - tensor.zero_point) * tensor.scale - exact[0].numpy())
        assert wrong.mean() <= MOST_MEAN_ERROR * tensor.scale
    assert graph.outputs == (tensor.name,)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(deadline=None, max_examples=8)
def test_an_operator_costs_what_it_says(name: str, data: st.DataObject) -> None:
    network, shape, images = made(data, name)
    _, program = quantised(network, shape, images)
    counted, stored = Macs(), 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal counted, stored
        kind = operators.of_layer(layer)
        counted += kind.macs(layer, of(inputs[0]), of(output))
        stored += kind.constant_bytes(layer)

    for layer in network.modules():
        if operators.knows_layer(layer):
            layer.register_forward_hook(count)
    network.float()(torch.zeros(1, shape[2], shape[0], shape[1]))
    # A norm or an activation that no convolution takes in is one of 1x1, with arrays of its own.
    own = [op for op in program.operators if op.macs or not isinstance(op, Conv2D)]
    assert counted.plain == program.macs
    assert stored == sum(constant_bytes(op) for op in own)


def of(batch: Tensor) -> Shape:
    return (batch.shape[2], batch.shape[3], batch.shape[1])


def constant_bytes(part: Operator | object) -> int:
    """Every array of an operator, those of its cells included."""
    arrays = sum(v.nbytes for v in vars(part).values() if isinstance(v, np.ndarray))
    cells = (getattr(part, name, None) for name in ("row", "summary", "forward", "backward"))
    return arrays + sum(constant_bytes(cell) for cell in cells if cell is not None)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(deadline=None, max_examples=4)
def test_node_and_operator_agree_on_where_the_range_comes_from(
    name: str, data: st.DataObject
) -> None:
    graph, program = quantised(*made(data, name))
    for node, operator in zip(graph.nodes, program.operators, strict=True):
        kind = operators.of(node)
        assert operators.of(operator) is kind
        assert kind.given(node) == kind.given(operator)
        assert kind.weights(operator) or not constant_bytes(operator) or name == "L2Norm"


def test_what_is_no_operator_is_named_with_those_there_are() -> None:
    _, program = quantised(*made_of(nn.Conv2d(1, 1, 1)))
    stranger = Operator("odd", (program.input,), program.input, 0)
    with pytest.raises(BuildError, match="odd: Operator is no operator") as refusal:
        operators.of(stranger)
    assert "RNNPool" in refusal.value.hint
    assert program.input.name == INPUT


def made_of(layer: nn.Module) -> tuple[nn.Module, Shape, list[Any]]:
    return nn.Sequential(layer, FlattenMaps()).eval(), (4, 4, 1), [np.ones((4, 4, 1), np.float32)]
