"""What the compiler cannot take is refused at once, by layer: the reason, and what would work."""

import copy
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from hil.compiler import Compiled, compile_model, reference
from hil.compiler.front.trace import trace
from hil.compiler.similarity import cosine
from hil.errors import BuildError
from hil.models import LoadedModel
from hil.models.blocks import Concat, ConvBNReLU6, FlattenMaps, L2Norm, MaxOut
from hil.models.pooling import Classifier, GlobalAverage
from hil.models.renet import GRUSweep
from hil.models.rnnpool import RNNPool
from hil.vision.photographs import InputSpec

SHAPE = (12, 10, 4)


def chain(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers, FlattenMaps()).eval()


def conv(**options: Any) -> nn.Conv2d:
    return nn.Conv2d(4, 8, 3, **options)


class Calls(nn.Module):
    """A convolution, then a function of its map and of the network's input."""

    def __init__(self, call: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.constant = nn.Parameter(torch.ones(1))
        self.activation = nn.ReLU(inplace=True)
        self.end = FlattenMaps()
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.end(self.call(self.conv(x), x))
        return y


class Wider(nn.Conv2d):
    """A convolution that is none any more."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return super().forward(input) * 2


def hooked(layer: nn.Module | None = None) -> nn.Module:
    layer = layer or conv()
    layer.register_forward_hook(lambda _layer, _inputs, output: output + 1)
    return layer


def untracked() -> nn.BatchNorm2d:
    return nn.BatchNorm2d(4, track_running_stats=False)


def negative() -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(4)
    assert norm.running_var is not None
    norm.running_var[1] = -1.0
    return norm


LAYERS: dict[str, tuple[nn.Module, str]] = {
    "reflected edges": (conv(padding=1, padding_mode="reflect"), "padding_mode='reflect'"),
    "repeated edges": (conv(padding=1, padding_mode="replicate"), "padding_mode='replicate'"),
    "circular edges": (conv(padding=1, padding_mode="circular"), "padding_mode='circular'"),
    "same": (conv(padding="same"), "padding='same'"),
    "valid": (conv(padding="valid"), "padding='valid'"),
    "dilation": (conv(dilation=2), "dilation"),
    "strides": (conv(stride=(1, 2)), r"strides of \(1, 2\) are uneven"),
    "groups": (conv(groups=2), "2 groups are neither dense nor depthwise"),
    "another forward": (Wider(4, 8, 3), "Wider computes something else than the Conv2d"),
    "a hook": (hooked(), "it has hooks"),
    "no statistics": (untracked(), "keeps no statistics"),
    "a negative variance": (negative(), "variance that is not positive"),
    "an unknown layer": (nn.Mish(), "no operator for Mish"),
    "a linear layer": (nn.Linear(10, 3), "no operator for Linear"),
    "too large a window": (nn.Conv2d(4, 8, 13), "cannot be computed on what it reads"),
    "other channels": (nn.Conv2d(5, 8, 1), "cannot be computed on what it reads"),
    "too large a patch": (RNNPool(4, (2, 2), patch=13, stride=1), "cannot be computed"),
    "no patch": (GRUSweep(4, 2, patch=11, along="rows"), r"cannot be computed|its result is"),
    "rounded up": (nn.AvgPool2d(3, ceil_mode=True), "rounded-up"),
    "a hook on nothing": (hooked(nn.Identity()), "it has hooks"),
    "indices": (nn.MaxPool2d(2, return_indices=True), "indices|its result is"),
}


@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_that_cannot_be_compiled_is_refused_by_name(case: str) -> None:
    layer, reason = LAYERS[case]
    with pytest.raises(BuildError, match=reason) as refusal:
        trace(chain(nn.ReLU(), layer), SHAPE)
    assert refusal.value.what.startswith("1: ")
    assert refusal.value.stage == "trace"
    assert refusal.value.hint


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("layer", "part"),
    [
        (conv(), "weight"),
        (conv(), "bias"),
        (nn.BatchNorm2d(4), "running_mean"),
        (nn.BatchNorm2d(4), "running_var"),
        (RNNPool(4, (2, 2), patch=2, stride=2), "row.W"),
        (GRUSweep(4, 2, patch=1, along="rows"), "gru.weight_hh_l0"),
        (L2Norm(4, scale=1.0), "weight"),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_numbers_that_are_none_are_refused_by_layer(
    layer: nn.Module, part: str, value: float
) -> None:
    module = chain(nn.ReLU(), layer)
    state = {key: values.clone() for key, values in module.state_dict().items()}
    state[f"1.{part}"].view(-1)[0] = value
    module.load_state_dict(state)
    with pytest.raises(BuildError, match=rf"1: its {part} holds values that are not finite"):
        trace(module, SHAPE)


CALLS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], str, str]] = {
    "a constant": (lambda y, _: y + 3, "called with 3", "maps alone"),
    "itself": (lambda y, _: y + y, "one map twice", "twice"),
    "broadcast": (lambda y, x: y + functional.avg_pool2d(x, 2), "size of tensor", "is the input"),
    "a function": (lambda y, _: functional.linear(y, y), "no operator for linear", "nn.Linear"),
    "a product": (operator.mul, "no operator for mul", "Conv2d"),
    "a method": (lambda y, _: y.abs(), "no operator for abs", "Conv2d"),
    "values dropped": (lambda y, _: functional.dropout(y), "no operator for dropout", "nn.Dropout"),
    "a join": (lambda y, x: torch.cat([y, x], 2), "no operator for cat", "dim=1"),
    "a branch": (lambda y, x: y if y.sum() > 0 else x, "cannot be traced", "same layers"),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_call_that_cannot_be_compiled_is_refused(case: str) -> None:
    call, reason, hint = CALLS[case]
    with pytest.raises(BuildError, match=reason) as refusal:
        trace(Calls(call), SHAPE)
    assert hint in refusal.value.hint
    assert refusal.value.stage == "trace"


class Network(nn.Module):
    """Layers of a network that `run` connects."""

    def __init__(self, run: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.layer = nn.ModuleDict(layers)
        self.end = FlattenMaps()
        self.run = run

    def forward(self, x: Tensor) -> Any:
        return self.run(self.layer, self.end, x)


class Alike(nn.Module):
    """Layers a.b and a_b."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.ModuleDict({"b": nn.Conv2d(4, 4, 1)})
        self.a_b = nn.Conv2d(4, 4, 1)
        self.end = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.end(self.a_b(self.a["b"](x)))
        return y


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class TwoInputsJoined(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.relu(torch.cat([x, y], 1))


NETWORKS: dict[str, tuple[nn.Module, str]] = {
    "two inputs": (TwoInputs(), "takes 2 inputs: x, y"),
    "two inputs of functions": (TwoInputsJoined(), "takes 2 inputs: x, y"),
    "more after the end": (
        Network(lambda layer, end, x: end(layer["a"](x)) + 0, a=conv()),
        "called with 0",
    ),
    "two results": (
        Network(lambda layer, end, x: (end(layer["a"](x)), x), a=conv()),
        "no vector, no map, and no tuple",
    ),
    "the input itself": (Network(lambda _, end, x: end(x)), "reads the network's input"),
    "broadcast": (
        Network(
            lambda layer, end, x: end(layer["a"](x) + layer["b"](x)),
            a=nn.Conv2d(4, 4, 3, padding=1),
            b=GlobalAverage(),
        ),
        r"it adds maps of \(12, 10, 4\) and \(1, 1, 4\)",
    ),
    "a map joined with itself": (
        Network(lambda layer, end, x: end(layer["a"](x, x)), a=Concat()),
        "one map twice",
    ),
    "a map changed under a reader": (
        Network(
            lambda layer, end, x: end(layer["a"](layer["r"](x)), x),
            a=conv(),
            r=nn.ReLU(inplace=True),
        ),
        "changes in place a map that others read",
    ),
    "a map changed in place behind what computes nothing": (
        Network(
            lambda layer, end, x: end(layer["a"](layer["r"](layer["i"](x))), x),
            a=conv(),
            i=nn.Identity(),
            r=nn.ReLU(inplace=True),
        ),
        "changes in place a map that others read",
    ),
    "names that are one in C": (Alike(), "it and the layer a.b would both be net_a_b in C"),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_a_network_that_cannot_be_compiled_is_refused(case: str) -> None:
    module, reason = NETWORKS[case]
    with pytest.raises(BuildError, match=reason) as refusal:
        trace(module.eval(), SHAPE)
    assert refusal.value.stage == "trace"
    assert refusal.value.hint


def test_a_layer_that_is_called_twice_is_two_operators() -> None:
    network = Network(
        lambda layer, end, x: end(layer["a"](layer["a"](x))), a=nn.Conv2d(4, 4, 3, padding=1)
    )
    graph = trace(network.eval(), SHAPE)
    assert [(node.name, node.inputs) for node in graph.nodes] == [
        ("layer.a", ("input",)),
        ("layer.a.2", ("layer.a",)),
    ]
    made = outcome(network)
    assert isinstance(made, Compiled)
    check(made)


class Residual(nn.Module):
    """A block as residual networks have it: identities and dropout between layers, and across."""

    def __init__(self, *, plain: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.activation = nn.ReLU6()
        self.last = nn.Conv2d(4, 4, 1)
        self.between = nn.Identity() if not plain else None
        self.dropped = nn.Dropout(0.5) if not plain else None
        self.across = nn.Dropout2d(0.5, inplace=True) if not plain else None
        self.end = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        def maybe(layer: nn.Module | None, y: Tensor) -> Tensor:
            return y if layer is None else layer(y)

        x = maybe(self.across, self.conv(x))
        y = self.activation(self.norm(maybe(self.between, maybe(self.across, x))))
        z: Tensor = self.end(maybe(self.dropped, maybe(self.across, x) + self.last(y)))
        return z


def test_layers_that_compute_nothing_leave_the_same_graph() -> None:
    """Its convolution is read twice, so that it takes no norm in; its last takes the addition."""
    shown = []
    for plain in (True, False):
        torch.manual_seed(0)
        network = Residual(plain=plain)
        shown.append([(n.name, n.inputs, n.shape, n.macs) for n in trace(network, SHAPE).nodes])
        made = outcome(network)
        assert isinstance(made, Compiled)
        check(made)
    assert shown[0] == shown[1]
    assert [name for name, *_ in shown[0]] == ["conv", "norm", "last"]


def test_layers_that_compute_nothing_do_not_hide_a_single_reader() -> None:
    norm = nn.BatchNorm2d(8)
    network = chain(conv(), nn.Identity(), norm, nn.Dropout(0.1), nn.ReLU(), nn.Identity())
    assert [node.name for node in trace(network, SHAPE).nodes] == ["0"]


class Stubborn(nn.Module):
    """A network whose dropout drops values in evaluation too."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.conv = conv()
        self.end = FlattenMaps()

    def train(self, mode: bool = True) -> "Stubborn":
        super().train(mode)
        self.dropout.train()
        return self

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.end(self.conv(self.dropout(x)))
        return y


def test_a_dropout_that_drops_values_in_evaluation_is_refused() -> None:
    with pytest.raises(BuildError, match="dropout: it drops values in evaluation too"):
        trace(Stubborn(), SHAPE)


class Named(nn.Module):
    """Two convolutions, the second of a name that the network's input has in the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 4, 1)
        self.input = nn.Conv2d(4, 4, 1)
        self.end = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.end(self.input(self.first(x)))
        return y


def test_a_layer_may_be_called_as_the_input_is() -> None:
    assert [node.name for node in trace(Named(), SHAPE).nodes] == ["first", "input.2"]
    check(outcome(Named()))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((3, 3, 4), np.float32), "is not of"),
        (np.full(SHAPE, np.nan, np.float32), "not finite"),
    ],
)
def test_a_calibration_image_that_is_none_is_refused(image: Any, reason: str) -> None:
    with pytest.raises(BuildError, match=reason):
        compile_model(loaded(chain(conv())), [image])


def test_weights_that_overflow_in_calibration_are_refused_by_layer() -> None:
    first, second = nn.Conv2d(4, 4, 1).double(), nn.Conv2d(4, 4, 1).double()
    with torch.no_grad():
        first.weight.fill_(1e200)
        second.weight.fill_(1e200)
    with pytest.raises(BuildError, match="0: it gives values in calibration that are not finite"):
        compile_model(loaded(chain(first, second)), images())


# Whatever the network: a program that is close to it, or a refusal


def loaded(module: nn.Module) -> LoadedModel:
    spec = InputSpec(rows=SHAPE[0], columns=SHAPE[1], channels=SHAPE[2])
    return LoadedModel("drawn", module, spec, "drawn")


def images() -> list[Any]:
    random = np.random.default_rng(0)
    low, high = loaded(nn.Identity()).spec.range
    return [random.uniform(low, high, SHAPE).astype(np.float32) for _ in range(2)]


def outcome(module: nn.Module) -> Compiled | BuildError:
    """Compile a network, or be refused."""
    try:
        return compile_model(loaded(module.eval()), images())
    except BuildError as refusal:
        return refusal


def check(made: Compiled | BuildError) -> None:
    """A refusal is whole; a program is as close to its network as int8 maps can be."""
    if isinstance(made, BuildError):
        assert made.stage in {"trace", "quantise"}, made
        assert made.hint, made
        assert ": " in made.what, made
        return
    image = images()[0]
    exact = made.graph.activations([image])
    got = reference.maps(made.program, made.program.quantise_input(image))
    for tensor in made.program.output.tensors:
        real = (got[tensor.name].astype(float) - tensor.zero_point) * tensor.scale
        wrong = float(np.abs(real - exact[tensor.name][0]).mean())
        # Values below a level of a range that is given have no direction to keep.
        assert wrong <= 4 * tensor.scale or cosine(real.ravel(), exact[tensor.name].ravel()) >= 0.9


@pytest.mark.parametrize("factor", [0.0, 1e-6, 1e-14])
@pytest.mark.parametrize(
    "layer",
    [RNNPool(4, (2, 2), patch=2, stride=2), ConvBNReLU6(4, 4, kernel=1), nn.Conv2d(4, 4, 3)],
    ids=lambda layer: type(layer).__name__,
)
def test_weights_of_nothing_and_of_next_to_nothing_are_quantised(
    layer: nn.Module, factor: float
) -> None:
    network = chain(copy.deepcopy(layer))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(factor)
    made = outcome(network)
    assert isinstance(made, Compiled)
    check(made)


@st.composite
def layers(draw: st.DrawFn) -> nn.Module:
    """A layer, often one that cannot follow what is before it."""
    channels, outputs = draw(st.sampled_from([4, 4, 4, 8])), draw(st.sampled_from([4, 4, 8]))
    kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    padding: Any = draw(st.sampled_from([0, 1, 2, (1, 2), "same"]))
    kinds: list[Callable[[], nn.Module]] = [
        lambda: nn.Conv2d(
            channels,
            outputs,
            kernel,
            stride if padding != "same" else 1,
            padding=padding,
            groups=draw(st.sampled_from([1, 1, 4])),
            bias=draw(st.booleans()),
            padding_mode=draw(st.sampled_from(["zeros", "zeros", "reflect"])),
        ),
        lambda: ConvBNReLU6(channels, outputs, kernel=kernel, stride=stride),
        lambda: nn.BatchNorm2d(channels, affine=draw(st.booleans())),
        nn.ReLU,
        nn.ReLU6,
        lambda: nn.AvgPool2d(kernel, stride, min(1, kernel // 2)),
        lambda: nn.MaxPool2d(kernel, stride, min(1, kernel // 2)),
        GlobalAverage,
        lambda: Classifier(channels, 3),
        lambda: L2Norm(channels, scale=draw(st.sampled_from([0.0, 1.0, 20.0]))),
        lambda: MaxOut(draw(st.integers(1, 3))),
        lambda: RNNPool(channels, (2, 2), patch=kernel, stride=stride),
        lambda: GRUSweep(channels, 2, patch=stride, along="rows"),
        nn.Sigmoid,
        nn.Identity,
        lambda: nn.Dropout(0.5),
    ]
    return draw(st.sampled_from(kinds))()


class Drawn(nn.Module):
    """Layers one after another, with an addition or a concatenation across some of them."""

    def __init__(self, layers: list[nn.Module], across: tuple[int, int], *, joined: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.across = across
        self.join = Concat() if joined else None
        self.end = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        start, stop = self.across
        kept = x
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i == start:
                kept = x
            if i == stop:
                x = x + kept if self.join is None else self.join(kept, x)
        y: Tensor = self.end(x)
        return y


@given(
    st.lists(layers(), min_size=1, max_size=4),
    st.tuples(st.integers(0, 4), st.integers(0, 8)),
    st.booleans(),
    st.sampled_from([1.0, 1.0, 1e-6, 0.0, 1e6, 1e30]),
)
@settings(deadline=None, max_examples=100, derandomize=True)  # the same networks in every run
def test_every_network_becomes_a_close_program_or_is_refused(
    drawn: list[nn.Module], across: tuple[int, int], joined: bool, factor: float
) -> None:
    torch.manual_seed(0)
    network = Drawn(drawn, across, joined=joined).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(factor)
    check(outcome(network))
