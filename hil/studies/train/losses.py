"""What training makes small: cross-entropy of a classifier, the multi-box loss of a detector."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hil.studies.train.batches import Target
from hil.studies.train.matching import match
from hil.vision.detection import Float64

_NEGATIVES = 3  # hard ones for each positive


class Loss(Protocol):
    """A measure of how wrong outputs are."""

    def __call__(self, outputs: Tensor, targets: Sequence[Target]) -> Tensor:
        """Return a number for outputs (n, count) and what is true of n photographs."""

    def right(self, outputs: Tensor, targets: Sequence[Target]) -> int | None:
        """Return how many photographs are told rightly; None where that is no question.

        Args:
            outputs: of the network, (photographs, values).
            targets: what each photograph shows.
        """


class CrossEntropy:
    """Of a classifier's logits."""

    def __call__(self, outputs: Tensor, targets: Sequence[Target]) -> Tensor:
        """Return the mean over n photographs of (n, classes) logits."""
        return functional.cross_entropy(outputs, _labels(targets, outputs.device))

    def right(self, outputs: Tensor, targets: Sequence[Target]) -> int | None:
        """Return how many photographs have their largest logit in the right place.

        Args:
            outputs: of the network, (photographs, classes).
            targets: the class of each photograph.
        """
        return int((outputs.argmax(dim=1) == _labels(targets, outputs.device)).sum())


class MultiBox:
    """Of a detector: cross-entropy of priors, the hardest negatives alone, and smooth L1 of boxes.

    Args:
        priors: (count, 4), as `hil.vision.detection.priors` lays them.

    Source: SSD (Liu et al., 2016), section 2.2; S3FD (Zhang et al., 2017), section 3.3.
    """

    def __init__(self, priors: Float64) -> None:
        self._priors = priors

    def __call__(self, outputs: Tensor, targets: Sequence[Target]) -> Tensor:
        """Return the loss for each matched prior of (n, 6 * count) outputs."""
        count = len(self._priors)
        logits = outputs[:, : 2 * count].reshape(-1, count, 2)
        offsets = outputs[:, 2 * count :].reshape(-1, count, 4)
        matched = [match(target.faces, self._priors) for target in targets]
        is_face = torch.from_numpy(np.stack([one.is_face for one in matched])).to(outputs.device)
        wanted = torch.from_numpy(np.stack([one.offsets for one in matched])).to(offsets)
        of_class = functional.cross_entropy(
            logits.reshape(-1, 2), is_face.reshape(-1).long(), reduction="none"
        ).reshape(-1, count)
        counted = is_face | _hardest(of_class.detach(), is_face)
        of_boxes = functional.smooth_l1_loss(offsets[is_face], wanted[is_face], reduction="sum")
        return ((of_class * counted).sum() + of_boxes) / max(1, int(is_face.sum()))

    def right(self, outputs: Tensor, targets: Sequence[Target]) -> int | None:
        """Return None: average precision is `hil evaluate`'s to tell.

        Args:
            outputs: of the network.
            targets: the boxes of each photograph.
        """
        del outputs, targets
        return None


def _labels(targets: Sequence[Target], device: torch.device) -> Tensor:
    return torch.tensor([target.label for target in targets], device=device)


def _hardest(of_class: Tensor, is_face: Tensor) -> Tensor:
    """Mark, in each photograph, three times as many wrong negatives as it has positives."""
    losses = of_class.masked_fill(is_face, -1.0)
    places = losses.argsort(dim=1, descending=True, stable=True).argsort(dim=1, stable=True)
    most = (_NEGATIVES * is_face.sum(dim=1, keepdim=True)).clamp(min=_NEGATIVES)
    return (places < most) & ~is_face
