"""Which prior boxes of a detector answer for which face.

Source: S3FD (Zhang et al., 2017), section 3.2, and the thresholds of EdgeML's Face_Detection.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.vision.detection import CENTRE_VARIANCE, SIZE_VARIANCE, Float64

Int64: TypeAlias = npt.NDArray[np.int64]

GOOD, BETTER, POOR = 0.35, 0.5, 0.1
"""Intersection over union: a match, a good match, and the least that may fill up."""


class Matched(NamedTuple):
    """What a detector should say of one photograph.

    Attributes:
        is_face: bool, (priors,).
        offsets: float64, (priors, 4), of the face that each prior answers for; 0 elsewhere.
    """

    is_face: npt.NDArray[np.bool_]
    offsets: Float64


def overlaps(faces: Float64, priors: Float64) -> Float64:
    """Intersection over union of every face with every prior.

    Args:
        faces: (count, 4): left, top, right, bottom.
        priors: (priors, 4): centre x, centre y, width, height.

    Returns:
        (count, priors).
    """
    low, high = priors[:, :2] - priors[:, 2:] / 2, priors[:, :2] + priors[:, 2:] / 2
    sides = np.minimum(faces[:, None, 2:], high) - np.maximum(faces[:, None, :2], low)
    shared = np.prod(np.maximum(sides, 0.0), axis=2)
    areas = np.prod(faces[:, 2:] - faces[:, :2], axis=1)
    union: Float64 = areas[:, None] + np.prod(priors[:, 2:], axis=1) - shared
    both: Float64 = shared / np.maximum(union, 1e-12)
    return both


def match(faces: Float64, priors: Float64) -> Matched:
    """Match a photograph's faces with priors.

    A prior answers for the face that it overlaps most, if by 0.35 or more; every face has the prior
    that overlaps it most. A face with fewer matches than faces have on average is given the best
    priors above 0.1 too: priors stand on a grid, and small faces fall between them.

    Args:
        faces: (count, 4): left, top, right, bottom, as shares of the photograph.
        priors: (priors, 4), as `hil.vision.detection.priors` lays them.
    """
    if not len(faces):
        return Matched(np.zeros(len(priors), bool), np.zeros((len(priors), 4)))
    iou = overlaps(faces, priors)
    face = iou.argmax(axis=0)
    best = iou.max(axis=0)
    forced = iou.argmax(axis=1)
    face[forced], best[forced] = np.arange(len(faces)), 2.0
    is_face = best >= GOOD
    _fill_up(iou, face, is_face, wanted=_average(iou))
    return Matched(is_face, np.where(is_face[:, None], _offsets(faces[face], priors), 0.0))


def _average(iou: Float64) -> int:
    """Matches that a face has on average, of both thresholds together."""
    best = iou.max(axis=0)
    return int((np.sum(best >= GOOD) + np.sum(best >= BETTER)) / 2)


def _fill_up(iou: Float64, face: Int64, is_face: npt.NDArray[np.bool_], *, wanted: int) -> None:
    """Give faces with few matches the best of what is free."""
    for index, row in enumerate(iou):
        lacking = wanted - int(np.sum(is_face & (face == index)))
        if lacking <= 0:
            continue
        free = np.flatnonzero(~is_face & (row > POOR) & (face == index))
        chosen = free[np.argsort(-row[free], kind="stable")[:lacking]]
        is_face[chosen] = True


def _offsets(faces: Float64, priors: Float64) -> Float64:
    """What a detector says of a face, seen from a prior: the inverse of `detection.decode`."""
    centres = (faces[:, :2] + faces[:, 2:]) / 2 - priors[:, :2]
    sizes = np.maximum(faces[:, 2:] - faces[:, :2], 1e-6) / priors[:, 2:]
    return np.concatenate(
        [centres / (CENTRE_VARIANCE * priors[:, 2:]), np.log(sizes) / SIZE_VARIANCE], axis=1
    )
