"""Faces and other cuttings of Labeled Faces in the Wild, and a small RNNPool that tells them apart.

scikit-image's wheel carries them: 200 grey images of 25x25 pixels, of which the first half are
faces. Every other one is learned from, the others are told apart.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from hil.models import own
from hil.models.threads import one_thread
from hil.vision import photographs
from hil.vision.photographs import InputSpec

CLASSES = ("face", "other")
SPEC = InputSpec(24, 24, 1, (127.5,) * 3, (127.5,) * 3)
_STEPS, _RATE = 80, 0.02
_NETS = """
from torch import nn

from hil.models.blocks import ConvBNReLU6, FlattenMaps
from hil.models.pooling import Classifier, GlobalAverage
from hil.models.rnnpool import RNNPool


class Faces(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = ConvBNReLU6(1, 8, stride=2)
        self.pool = RNNPool(8, (8, 8), patch=4, stride=4)
        self.average = GlobalAverage()
        self.classifier = Classifier(32, 2)
        self.output = FlattenMaps()

    def forward(self, x):
        return self.output(self.classifier(self.average(self.pool(self.stem(x)))))


def faces():
    return Faces()
"""
_SCENARIO = """
model = "nets.py:faces"
checkpoint = "faces.pth"
calibration = "learned/"
dataset = "photographs/"

[input]
image = "photographs/face/001.png"
rows = 24
columns = 24
channels = 1
range = [0.0, 1.0]
mean = 0.5
std = 0.5

[output]
labels = ["face", "other"]

[limits]
cosine = 0.9
accuracy_drop = 0.05
"""


def images() -> npt.NDArray[np.uint8]:
    """All of them, (200, 25, 25); skips where scikit-image does not carry them."""
    spec = find_spec("skimage")
    path = Path(spec.origin or "").parent / "data" / "lfw_subset.npy" if spec else Path()
    if not path.is_file():
        pytest.skip("scikit-image carries no lfw_subset here")
    grey: npt.NDArray[np.uint8] = np.rint(np.load(path) * 255).astype(np.uint8)
    return grey


def write(folder: Path) -> Path:
    """Write a project: the photographs by class, a network that was trained, its scenario.

    Returns:
        The scenario's file.
    """
    grey = images()
    labels = np.repeat([0, 1], len(grey) // 2)
    for number, (image, label) in enumerate(zip(grey, labels, strict=True)):
        part = "photographs" if number % 2 else "learned"
        path = folder / part / CLASSES[label] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (folder / "nets.py").write_text(_NETS)
    (folder / "faces.toml").write_text(_SCENARIO)
    torch.save(_trained(folder, grey[::2], labels[::2]), folder / "faces.pth")
    return folder / "faces.toml"


def _trained(
    folder: Path, grey: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]
) -> dict[str, torch.Tensor]:
    inputs = np.stack([
        photographs.preprocess(np.repeat(image[..., None], 3, axis=2), SPEC) for image in grey
    ])  # fmt: skip
    seen = torch.from_numpy(inputs).permute(0, 3, 1, 2)
    wanted = torch.from_numpy(labels)
    with one_thread(), torch.random.fork_rng():
        torch.manual_seed(0)
        network = own.make("nets.py:faces", folder, {}, 0).train()
        optimiser = torch.optim.Adam(network.parameters(), lr=_RATE)
        for _ in range(_STEPS):
            optimiser.zero_grad()
            flipped = torch.where(torch.rand(len(seen), 1, 1, 1) < 0.5, seen, seen.flip(3))
            torch.autograd.backward(torch.nn.functional.cross_entropy(network(flipped), wanted))
            optimiser.step()
        return network.eval().state_dict()
