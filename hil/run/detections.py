"""The faces that a detector's outputs stand for, on the board and in float."""

from typing import TYPE_CHECKING

from hil.errors import UsageError

if TYPE_CHECKING:
    from hil.compiler.program import Float32
    from hil.models import LoadedModel
    from hil.models.face import FaceDetector
    from hil.vision.detection import Box


def detects(loaded: "LoadedModel") -> bool:
    """Whether a network is one whose outputs stand for boxes."""
    return _detector(loaded) is not None


def boxes(
    loaded: "LoadedModel", outputs: "Float32", least_score: float | None = None
) -> "list[Box]":
    """Return the faces that outputs stand for.

    Args:
        loaded: the network that made the outputs.
        outputs: real numbers, (count,).
        least_score: that a face must exceed, 0 to 1; None for the usual.

    Returns:
        Boxes, the best first; their edges are shares of the picture's width and height.

    Raises:
        UsageError: the network is no detector.
    """
    from hil.vision import detection

    detector = _detector(loaded)
    if detector is None:
        raise UsageError(
            "the network detects nothing: its outputs stand for no boxes",
            hint="look at measurement.values instead",
        )
    priors = detection.priors(detector.anchors, loaded.spec.rows, loaded.spec.columns)
    least = detection.LEAST_SCORE if least_score is None else least_score
    return detection.detect(outputs, priors, least)


def _detector(loaded: "LoadedModel") -> "FaceDetector | None":
    from hil.models.face import FaceDetector

    return loaded.module if isinstance(loaded.module, FaceDetector) else None
