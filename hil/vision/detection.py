"""Boxes from a detector's outputs, float or dequantised: priors, variances, soft-max, suppression.

Source: EdgeML, Face_Detection/layers: prior_box.py, detection.py and bbox_utils.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.errors import UsageError

Reals: TypeAlias = npt.NDArray[np.floating]
Float64: TypeAlias = npt.NDArray[np.float64]

LEAST_SCORE = 0.3
_MOST_OVERLAP = 0.3  # of two boxes that are both kept
_CANDIDATES = 5000  # the best, among which overlapping ones are suppressed
_MOST_BOXES = 750
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
"""Scales of a prior's offsets: of its centre, and of the logarithm of its size."""


class Anchor(NamedTuple):
    """The square that every cell of a map starts from.

    Attributes:
        step: pixels of the image from one cell to the next.
        size: side, in pixels of the image.
    """

    step: int
    size: int


@dataclass(frozen=True)
class Box:
    """A face: edges as shares of the image's width and height, 0 at the left and the top.

    Attributes:
        score: the soft-max of its class, 0 to 1.
    """

    left: float
    top: float
    right: float
    bottom: float
    score: float

    @property
    def area(self) -> float:
        """Share of the image's area."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)


def iou(a: Box, b: Box) -> float:
    """Intersection of two boxes over their union, 0 to 1.

    Args:
        a: a box.
        b: another.
    """
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    shared = max(0.0, across) * max(0.0, down)
    union = a.area + b.area - shared
    return shared / union if union > 0 else 0.0


def priors(anchors: Sequence[Anchor], rows: int, columns: int) -> Float64:
    """Lay one prior box over every cell of a detector's maps.

    Args:
        anchors: of the maps, in the order of the outputs.
        rows: of the image, in pixels.
        columns: likewise.

    Returns:
        (count, 4): centre x, centre y, width, height, as shares of the image; map after map, each
        row by row.
    """
    maps = []
    for step, size in anchors:
        down, across = -(-rows // step), -(-columns // step)
        y, x = np.meshgrid(np.arange(down), np.arange(across), indexing="ij")
        centres = [(x + 0.5) * step / columns, (y + 0.5) * step / rows]
        sides = [np.full(x.shape, size / columns), np.full(x.shape, size / rows)]
        maps.append(np.stack(centres + sides, axis=-1).reshape(-1, 4))
    return np.concatenate(maps)


def join(classes: Sequence[Reals], offsets: Sequence[Reals]) -> Reals:
    """Flatten a detector's maps, each (rows, columns, channels), to its one vector of outputs.

    Args:
        classes: maps of class scores.
        offsets: maps of offsets from the anchors.
    """
    return np.concatenate([m.reshape(-1) for m in (*classes, *offsets)])


def decode(outputs: Reals, priors: Float64) -> tuple[Float64, Float64]:
    """Turn outputs into one scored box per prior.

    Args:
        outputs: (6 * count,): (background, face) logits of all priors, then their four offsets.
        priors: (count, 4).

    Returns:
        Edges, (count, 4): left, top, right, bottom; and scores, (count,).

    Raises:
        UsageError: so many outputs do not belong to so many priors.
    """
    count = len(priors)
    if outputs.shape != (6 * count,):
        raise UsageError(
            f"{outputs.shape} outputs are not those of a detector with {count:,} priors, "
            f"{6 * count:,}"
        )
    logits = outputs[: 2 * count].reshape(count, 2).astype(np.float64)
    offsets = outputs[2 * count :].reshape(count, 4).astype(np.float64)
    # exp may overflow to infinity, of which the soft-max is still right.
    with np.errstate(over="ignore"):
        scores = 1.0 / (1.0 + np.exp(logits[:, 0] - logits[:, 1]))
        half = priors[:, 2:] * np.exp(offsets[:, 2:] * SIZE_VARIANCE) / 2
    centres = priors[:, :2] + offsets[:, :2] * CENTRE_VARIANCE * priors[:, 2:]
    return np.concatenate([centres - half, centres + half], axis=1), scores


def suppress(edges: Float64, scores: Float64, most_overlap: float = _MOST_OVERLAP) -> list[int]:
    """Keep the best of all boxes that overlap, greedily.

    Args:
        edges: (count, 4): left, top, right, bottom.
        scores: (count,).
        most_overlap: intersection over union up to which two boxes are both kept.

    Returns:
        Indices, best first.
    """
    order = np.argsort(-scores, kind="stable")[:_CANDIDATES]
    areas = _areas(edges[:, 2:] - edges[:, :2])
    kept: list[int] = []
    while order.size and len(kept) < _MOST_BOXES:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        sides = np.minimum(edges[best, 2:], edges[rest, 2:]) - np.maximum(
            edges[best, :2], edges[rest, :2]
        )
        shared = _areas(sides)
        union = areas[best] + areas[rest] - shared
        order = rest[shared <= most_overlap * union]
    return kept


def _areas(sides: Float64) -> Float64:
    """Return (count,) products of (count, 2) sides; one below zero is none."""
    clipped = np.maximum(sides, 0.0)
    areas: Float64 = clipped[:, 0] * clipped[:, 1]
    return areas


def detect(outputs: Reals, priors: Float64, least_score: float = LEAST_SCORE) -> list[Box]:
    """Find the faces in a detector's outputs.

    Args:
        outputs: (6 * count,), as `decode` takes them.
        priors: (count, 4).
        least_score: that a face must exceed.

    Returns:
        Best first.

    Raises:
        UsageError: so many outputs do not belong to so many priors.
    """
    edges, scores = decode(outputs, priors)
    likely = scores > least_score
    edges, scores = edges[likely], scores[likely]
    return [
        Box(*(float(value) for value in (*edges[i], scores[i]))) for i in suppress(edges, scores)
    ]
