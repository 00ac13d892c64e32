"""Average precision of a detector over many photographs, by the protocol of WIDER FACE.

Boxes of a photograph are taken best first. A box belongs to the marked face that it overlaps most,
if their intersection over union is 0.5 or more. Edges are pixels and the last one belongs to the
box, so that sides are one longer than their edges lie apart. If that face is ignored, the box
counts for nothing; if no better box has found the face, it is found; else the box is a false alarm.
Precision and recall are taken at 1,000 score thresholds, spread evenly over the scores of all
photographs, and the area under their envelope is the average precision.

Source: the evaluation tools of WIDER FACE: evaluation.m, boxoverlap.m, norm_score.m and VOCap.m.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Float64: TypeAlias = npt.NDArray[np.float64]
Int64: TypeAlias = npt.NDArray[np.int64]
Bool: TypeAlias = npt.NDArray[np.bool_]

LEAST_OVERLAP = 0.5
_LAST_PIXEL = 1.0
THRESHOLDS = 1000


@dataclass(frozen=True)
class Predictions:
    """A detector's boxes in a photograph, best first.

    Attributes:
        edges: (count, 4): left, top, right, bottom, in pixels of the photograph.
        scores: (count,).
    """

    edges: Float64
    scores: Float64


@dataclass(frozen=True)
class Truth:
    """What a person marked in a photograph.

    Attributes:
        edges: (count, 4), in pixels of the photograph.
        counts: (count,): whether a face counts, rather than being ignored.
    """

    edges: Float64
    counts: Bool


@dataclass(frozen=True)
class Curve:
    """Precision and recall, from the highest threshold to the lowest, (thresholds,) each."""

    precision: Float64
    recall: Float64

    @property
    def average_precision(self) -> float:
        """Area under the envelope: at each recall, the best precision at that recall or more."""
        recall = np.concatenate([[0.0], self.recall, [1.0]])
        precision = np.concatenate([[0.0], self.precision, [0.0]])
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        return float(np.sum(np.diff(recall) * envelope[1:]))


@dataclass(frozen=True)
class Tally:
    """Counts by photograph and threshold, from which any sample of photographs has its curve.

    Attributes:
        boxes: (photographs, thresholds): boxes above the threshold that count.
        found: (photographs, thresholds): faces that they find.
        faces: (photographs,): faces that count.
    """

    boxes: Int64
    found: Int64
    faces: Int64

    def curve(self) -> Curve:
        """Precision and recall of all photographs."""
        (whole,) = self.curves(np.ones((1, len(self.faces))))
        return whole

    def curves(self, weights: Float64) -> list[Curve]:
        """Precision and recall of samples of the photographs.

        Args:
            weights: how often each sample has each photograph, (samples, photographs).
        """
        boxes, found = weights @ self.boxes, weights @ self.found
        faces = weights @ self.faces
        precision = np.divide(found, boxes, out=np.zeros_like(found), where=boxes > 0)
        recall = found / np.maximum(faces, 1)[:, None]
        return [Curve(p, r) for p, r in zip(precision, recall, strict=True)]


def overlaps(a: Float64, b: Float64, longer: float = 0.0) -> Float64:
    """Intersection over union of every box with every other.

    Args:
        a: edges, (n, 4).
        b: edges, (m, 4).
        longer: what sides have beside the distance of their edges.

    Returns:
        (n, m), 0 to 1; 0 where both are empty.
    """
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = np.prod(np.maximum(sides + longer, 0.0), axis=2)
    area_a, area_b = (
        np.prod(np.maximum(e[:, 2:] - e[:, :2] + longer, 0.0), axis=1) for e in (a, b)
    )
    union = area_a[:, None] + area_b[None, :] - shared
    shares: Float64 = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return shares


def match(predictions: Predictions, truth: Truth) -> tuple[Bool, Bool]:
    """Give each box of a photograph its part.

    Args:
        predictions: boxes with scores.
        truth: the annotated boxes.

    Returns:
        Whether each box counts, and whether it is the first to find a face that counts, (count,).
    """
    count = len(predictions.scores)
    counts, finds = np.ones(count, np.bool_), np.zeros(count, np.bool_)
    if count == 0 or len(truth.edges) == 0:
        return counts, finds
    overlap = overlaps(predictions.edges, truth.edges, _LAST_PIXEL)
    nearest = overlap.argmax(axis=1)
    meets = overlap[np.arange(count), nearest] >= LEAST_OVERLAP
    counts[meets] = truth.counts[nearest[meets]]
    # Boxes stand best first, so the first that meets a face has found it.
    candidates = np.flatnonzero(meets & counts)
    _, first = np.unique(nearest[candidates], return_index=True)
    finds[candidates[first]] = True
    return counts, finds


def tally(predictions: Sequence[Predictions], truths: Sequence[Truth]) -> Tally:
    """Count boxes and faces of all photographs at every threshold.

    Args:
        predictions: by photograph.
        truths: by photograph.
    """
    low, high = _extent(predictions)
    thresholds = 1.0 - np.arange(1, THRESHOLDS + 1) / THRESHOLDS
    boxes = np.zeros((len(predictions), THRESHOLDS), np.int64)
    found = np.zeros_like(boxes)
    for i, (predicted, truth) in enumerate(zip(predictions, truths, strict=True)):
        counts, finds = match(predicted, truth)
        normal = (predicted.scores - low) / (high - low) if high > low else predicted.scores * 0
        above = np.searchsorted(-normal, -thresholds, side="right")
        boxes[i] = np.concatenate([[0], np.cumsum(counts)])[above]
        found[i] = np.concatenate([[0], np.cumsum(finds)])[above]
    faces = np.array([int(truth.counts.sum()) for truth in truths], np.int64)
    return Tally(boxes, found, faces)


def _extent(predictions: Sequence[Predictions]) -> tuple[float, float]:
    """Least and greatest score of all photographs."""
    scores = np.concatenate([p.scores for p in predictions] or [np.zeros(0)])
    return (float(scores.min()), float(scores.max())) if scores.size else (0.0, 0.0)


def losses(first: Tally, second: Tally, samples: int = 200, seed: int = 0) -> Float64:
    """What the second of two detectors loses against the first, on samples with repetition.

    The same seed draws the same photographs, so that losses of subsets can be averaged.

    Args:
        first: of the first detector.
        second: of the other, on the same photographs in the same order.
        samples: how many; their spread is the standard error.
        seed: of the random numbers.

    Returns:
        Losses of average precision, (samples,), -1 to 1.
    """
    count = len(first.faces)
    drawn = np.random.default_rng(seed).integers(0, count, (samples, count))
    weights = np.stack([np.bincount(one, minlength=count) for one in drawn]).astype(np.float64)
    pairs = zip(first.curves(weights), second.curves(weights), strict=True)
    return np.array([a.average_precision - b.average_precision for a, b in pairs])


def above(predictions: Predictions, least_score: float) -> Predictions:
    """Keep the boxes of at least that score.

    Args:
        predictions: boxes with scores.
        least_score: 0 to 1.
    """
    kept = predictions.scores >= least_score
    return Predictions(predictions.edges[kept], predictions.scores[kept])
