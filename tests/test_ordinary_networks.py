"""Networks as people write them compile as they are: functions, vectors, linear layers."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import cortex_m4
import numpy as np
import pytest
import torch
from test_refusals import SHAPE, Network, check, images, loaded, outcome
from torch import Tensor, nn
from torch.nn import functional as f

from hil.compiler import Compiled, compile_model, reference
from hil.compiler.front.graph import values_of
from hil.compiler.front.trace import trace
from hil.compiler.similarity import cosine
from hil.errors import BuildError
from hil.models import seeded
from hil.models.blocks import vector_of
from hil.vision.photographs import InputSpec

ROWS, COLUMNS, CHANNELS = SHAPE


class Classifier(nn.Module):
    """A classifier written by hand: functions between layers, a view, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(CHANNELS, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 12, 3, padding=1)
        self.norm = nn.BatchNorm1d(16)
        self.fc1 = nn.Linear(12 * 3 * 2, 16)
        self.fc2 = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = f.max_pool2d(f.relu(self.conv1(x)), 2)
        x = f.max_pool2d(f.relu6(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        x = f.dropout(f.relu(self.norm(self.fc1(x))), training=self.training)
        y: Tensor = self.fc2(x)
        return y


class InvertedResidual(nn.Module):
    """MobileNetV2's block, as torchvision builds it: one sequence."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        hidden = 4 * inputs
        self.use_res_connect = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Sequential(nn.Conv2d(inputs, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU6()),
            nn.Sequential(
                nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden),
                nn.BatchNorm2d(hidden),
                nn.ReLU6(inplace=True),
            ),
            nn.Conv2d(hidden, outputs, 1),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.use_res_connect else y


class MobileNetV2(nn.Module):
    """MobileNetV2's frame, as torchvision writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(CHANNELS, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6()),
            InvertedResidual(8, 8, 1),
            InvertedResidual(8, 12, 2),
        )
        self.classifier = nn.Sequential(nn.Dropout(p=0.2), nn.Linear(12, 6))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = f.adaptive_avg_pool2d(x, (1, 1))
        x = torch.flatten(x, 1)
        y: Tensor = self.classifier(x)
        return y


def net(run: Callable[[nn.ModuleDict, Tensor], Any], **layers: nn.Module) -> nn.Module:
    return Network(lambda layer, _, x: run(layer, x), **layers)


def conv(outputs: int = 8, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(CHANNELS, outputs, 3, padding=1, **options)


NETWORKS: dict[str, nn.Module] = {
    "a classifier by hand": Classifier(),
    "MobileNetV2": MobileNetV2(),
    "a sequence": nn.Sequential(
        conv(), nn.Hardtanh(0.0, 6.0), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    ),
    "without bias": nn.Sequential(conv(), nn.Flatten(), nn.Linear(8 * 120, 2, bias=False)),
    "a mean over space": net(
        lambda n, x: n["b"](n["a"](x).mean([2, 3])), a=conv(), b=nn.Linear(8, 3)
    ),
    "a mean that keeps dimensions": net(
        lambda n, x: torch.mean(n["a"](x), dim=(-1, -2), keepdim=True).flatten(1), a=conv()
    ),
    "a join": net(
        lambda n, x: torch.cat([n["a"](x), n["b"](x)], 1).mean((2, 3)), a=conv(4), b=conv(8)
    ),
    "a join of vectors": net(
        lambda n, x: n["c"](torch.cat((n["a"](x).flatten(1), n["b"](x).flatten(1)), dim=1)),
        a=conv(2),
        b=conv(3),
        c=nn.Linear(5 * 120, 4),
    ),
    "methods": net(lambda n, x: n["a"](x).relu().sigmoid().mean((2, 3)).tanh(), a=conv()),
    "activations": net(
        lambda n, x: f.leaky_relu(f.hardswish(f.gelu(n["a"](x))), 0.2).mean((2, 3)), a=conv()
    ),
    "averages of one size": nn.Sequential(
        conv(), nn.AdaptiveAvgPool2d((6, 5)), nn.Flatten(), nn.Linear(240, 4)
    ),
    "an average of nothing": nn.Sequential(
        conv(), nn.AdaptiveAvgPool2d((ROWS, None)), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ),
    "an average over all of a map": nn.Sequential(conv(), nn.AvgPool2d(SHAPE[:2]), nn.Flatten()),
    "edges padded apart": nn.Sequential(
        nn.ZeroPad2d((0, 1, 2, 3)),
        nn.Conv2d(CHANNELS, 8, 3, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ),
    "a function that pads": net(
        lambda n, x: n["b"](f.pad(f.relu(n["a"](f.pad(x, (0, 1, 0, 1)))), [1, 0, 1, 0])).mean(
            (2, 3)
        ),
        a=nn.Conv2d(CHANNELS, 8, 3, 2),
        b=nn.Conv2d(8, 8, 3, groups=8, padding=(1, 0)),
    ),
    "norms of a map without numbers": nn.Sequential(
        nn.MaxPool2d(2),
        nn.BatchNorm2d(CHANNELS, affine=False),
        conv(),
        nn.BatchNorm2d(8, affine=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ),
    "a map": nn.Sequential(conv(), nn.ReLU()),
    "two maps": net(lambda n, x: (n["b"](n["a"](x)), n["a"](x)), a=conv(4), b=conv(3)),
    "a vector and maps": net(
        lambda n, x: [n["a"](x).mean((2, 3)), n["b"](f.max_pool2d(x, 2)), n["a"](x)],
        a=conv(4),
        b=conv(3),
    ),
    "norm without numbers": nn.Sequential(
        conv(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(8, affine=False)
    ),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_it_compiles_as_it_is(case: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[case].eval()
    image = torch.from_numpy(images()[0]).double().permute(2, 0, 1)[None]
    expected = vector_of(network.double()(image)).detach().numpy()
    traced = trace(network, SHAPE).traced
    (end,) = (node for node in traced.graph.nodes if node.op == "output")
    last = end.args[0].name
    np.testing.assert_allclose(values_of(traced, image, {last})[last], expected, rtol=1e-9)
    made = outcome(network.float())
    assert isinstance(made, Compiled), made
    check(made)


@pytest.mark.parametrize("case", NETWORKS)
def test_it_takes_weights_by_seed(case: str) -> None:
    network = deepcopy(NETWORKS[case]).float()
    batch = torch.from_numpy(np.stack(images())).permute(0, 3, 1, 2).contiguous()
    seeded.initialise(network, 0)
    seeded.calibrate_batch_norm(network, batch)
    assert bool(vector_of(network(batch)).isfinite().all())


def test_torchvision_s_own_mobilenet_compiles_as_it_is() -> None:
    why = "torchvision is no dependency: pip install the version that belongs to this torch"
    torchvision = pytest.importorskip("torchvision.models", reason=why)
    torch.manual_seed(0)
    network = torchvision.mobilenet_v2(width_mult=0.25, num_classes=5).eval()
    spec = InputSpec(rows=32, columns=32, channels=3)
    random = np.random.default_rng(0)
    image = random.uniform(*spec.range, spec.shape).astype(np.float32)
    made = compile_model(replace(loaded(network), spec=spec), [image])
    exact = made.graph.activations([image])["classifier.1"][0].ravel()
    got = reference.run(made.program, made.program.quantise_input(image))
    assert cosine(made.program.dequantise_output(got), exact) > 0.9
    assert len(made.program.operators) > 50  # none of its blocks is one of ours


@pytest.mark.parametrize(
    "case",
    [
        "a classifier by hand",
        "MobileNetV2",
        "a join of vectors",
        "a function that pads",
        "a vector and maps",
    ],
)
def test_its_firmware_equals_the_reference(case: str) -> None:
    made = outcome(NETWORKS[case].float())
    assert isinstance(made, Compiled)
    inputs = [made.program.quantise_input(image) for image in images()]
    for x, y in zip(inputs, cortex_m4.run_program(made.program, *inputs), strict=True):
        assert np.array_equal(y, reference.run(made.program, x))


def test_layers_keep_their_names() -> None:
    names = [node.name for node in trace(Classifier(), SHAPE).nodes]
    assert names == ["conv1", "max_pool2d", "conv2", "max_pool2d_1", "fc1", "fc2"]


REFUSED: dict[str, tuple[nn.Module, str]] = {
    "a flattened map": (nn.Sequential(conv(), nn.Flatten()), r"a flattened map of 12 x 10 pixels"),
    "a flattened map among others": (
        net(lambda n, x: (n["a"](x), n["a"](x).flatten(1)), a=conv()),
        r"a flattened map of 12 x 10 pixels",
    ),
    "a result by name": (net(lambda n, x: {"y": n["a"](x)}, a=conv()), "no tuple of those"),
    "a join of rows": (
        net(lambda n, x: torch.cat([n["a"](x), x], 2).mean((2, 3)), a=conv(4)),
        "no operator for cat",
    ),
    "a mean over channels": (
        net(lambda n, x: n["a"](x).mean(1), a=conv()),
        "no operator for mean",
    ),
    "averages of several sizes": (
        nn.Sequential(conv(), nn.AdaptiveAvgPool2d(5), nn.Flatten(), nn.Linear(200, 2)),
        "no operator for AdaptiveAvgPool2d",
    ),
    "another clamp": (
        nn.Sequential(conv(), nn.Hardtanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        "no operator for Hardtanh",
    ),
    "a linear layer of other inputs": (
        nn.Sequential(conv(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(9, 2)),
        "3: it cannot be computed on what it reads",
    ),
    "a norm of a flattened map": (
        nn.Sequential(conv(), nn.Flatten(), nn.BatchNorm1d(960), nn.Linear(960, 2)),
        "2: the compiler has no operator for BatchNorm1d",
    ),
    "a view of another kind": (
        net(lambda n, x: n["a"](x).view(1, 4, -1, 10).mean((2, 3)), a=conv()),
        "no operator for view",
    ),
    "padding with ones": (
        net(lambda n, x: n["a"](f.pad(x, (1, 1, 1, 1), value=1.0)).mean((2, 3)), a=conv()),
        "no operator for pad",
    ),
    "padding before a convolution that pads by a word": (
        nn.Sequential(
            nn.ZeroPad2d(1),
            nn.Conv2d(CHANNELS, 8, 3, padding="valid"),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        ),
        "no operator for ZeroPad2d",
    ),
    "padding before a maximum": (
        net(lambda n, x: f.max_pool2d(f.pad(n["a"](x), (1, 1, 1, 1)), 2).mean((2, 3)), a=conv()),
        "no operator for ZeroPad2d",
    ),
    "a softmax": (
        net(lambda n, x: f.softmax(n["a"](x).mean((2, 3)), 1), a=conv()),
        "no operator for softmax",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_operator_is_still_refused_by_name(case: str) -> None:
    network, reason = REFUSED[case]
    with pytest.raises(BuildError, match=reason) as refusal:
        trace(network.eval(), SHAPE)
    assert refusal.value.hint
