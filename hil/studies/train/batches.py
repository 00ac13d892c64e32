"""Photographs as a network is trained on them: in a random order, each a little changed.

Everything random follows from seed, epoch and photograph alone, so that a run that was broken off
goes on as an unbroken one would have.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hil.studies.train.augment import augmented
from hil.vision import photographs
from hil.vision.datasets import Example
from hil.vision.detection import Float64
from hil.vision.photographs import Float32, InputSpec

_NO_FACES: Float64 = np.zeros((0, 4))


@dataclass(frozen=True)
class Target:
    """What is true of a photograph.

    Attributes:
        label: index of its class; -1 for a detector.
        faces: (count, 4): left, top, right, bottom, as shares of what the network sees.
    """

    label: int
    faces: Float64


@dataclass(frozen=True)
class Batch:
    """Photographs of one step.

    Attributes:
        images: float32, (n, channels, rows, columns), preprocessed.
        targets: what is true of each.
    """

    images: Tensor
    targets: list[Target]


class Feed:
    """Batches of a set of photographs.

    Args:
        examples: the set.
        spec: the network's input.
        size: photographs a batch.
        seed: of their order and of how they are changed.
    """

    def __init__(
        self, examples: Sequence[Example], spec: InputSpec, *, size: int, seed: int
    ) -> None:
        self._examples = examples
        self._spec = spec
        self._size = size
        self._seed = seed

    @property
    def steps(self) -> int:
        """Batches in an epoch. One of a single photograph is left out: batch norm needs two."""
        whole, rest = divmod(len(self._examples), self._size)
        return whole + (rest > 1 or (rest == 1 and whole == 0))

    def epoch(self, number: int, *, first: int = 0) -> Iterator[Batch]:
        """Yield an epoch's batches.

        Args:
            number: of the epoch, from 0.
            first: batch to begin with.
        """
        order = np.random.default_rng([self._seed, number]).permutation(len(self._examples))
        parts = [order[i * self._size : (i + 1) * self._size] for i in range(first, self.steps)]
        yield from self._made([[(int(i), number) for i in part] for part in parts])

    def plain(self) -> Iterator[Batch]:
        """Yield every photograph once, in order and unchanged."""
        count = len(self._examples)
        starts = range(0, count, self._size)
        yield from self._made(
            [[(i, None) for i in range(at, min(count, at + self._size))] for at in starts]
        )

    def _made(self, parts: list[list[tuple[int, int | None]]]) -> Iterator[Batch]:
        """Prepare the next batch while the last one is worked on."""
        if not parts:
            return
        with ThreadPoolExecutor() as pool:
            waiting = pool.map(self._one, parts[0])
            for after in [*parts[1:], []]:
                ready, waiting = waiting, pool.map(self._one, after)
                images, targets = zip(*ready, strict=True)
                yield Batch(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), list(targets))

    def _one(self, wanted: tuple[int, int | None]) -> tuple[Float32, Target]:
        index, epoch = wanted
        example = self._examples[index]
        rgb = photographs.read(example.path)
        faces = _shares(example, *rgb.shape[:2])
        if epoch is None:
            image = photographs.preprocess(rgb, self._spec)
        else:
            random = np.random.default_rng([self._seed, epoch, index])
            image, faces = augmented(rgb, faces, self._spec, random)
        return image, Target(-1 if example.label is None else example.label, faces)


def _shares(example: Example, rows: int, columns: int) -> Float64:
    """Return a photograph's faces as shares of it, those that do not count left out."""
    marked = [one for one in example.objects if not one.ignored and one.lies_in(rows, columns)]
    if not marked:
        return _NO_FACES
    edges = np.array([[one.left, one.top, one.right, one.bottom] for one in marked], np.float64)
    return np.clip(edges / [columns, rows, columns, rows], 0.0, 1.0)
