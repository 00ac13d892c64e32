"""The faces that a detector's outputs stand for, on the board and in float."""

from typing import TYPE_CHECKING

from hil.errors import UsageError
from hil.vision import detection

if TYPE_CHECKING:
    from hil.compiler.program import Float32
    from hil.run.facts import Network
    from hil.vision.detection import Box


def boxes(network: "Network", outputs: "Float32", least_score: float | None = None) -> "list[Box]":
    """Return the faces that outputs stand for.

    Args:
        network: that made the outputs.
        outputs: real numbers, (count,).
        least_score: that a face must exceed, 0 to 1; None for the usual.

    Returns:
        Boxes, the best first; their edges are shares of the picture's width and height.

    Raises:
        UsageError: the network is no detector.
    """
    if network.anchors is None:
        raise UsageError(
            "the network detects nothing: its outputs stand for no boxes",
            hint="look at measurement.values instead",
        )
    priors = detection.priors(network.anchors, network.rows, network.columns)
    least = detection.LEAST_SCORE if least_score is None else least_score
    return detection.detect(outputs, priors, least)
