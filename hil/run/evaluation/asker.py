"""Asks float network and integers about an annotated photograph."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from hil import models
from hil.errors import UsageError
from hil.run.closeness import MOST_DB
from hil.run.compiled import QuantisedScenario, answers
from hil.run.evaluation.answer import Answer, Said
from hil.vision import detection, photographs
from hil.vision.datasets import Dataset, Example

if TYPE_CHECKING:
    from hil.compiler.program import Float32, Quantised
    from hil.models import LoadedModel
    from hil.vision.detection import Float64
    from hil.vision.photographs import Rgb8

LEAST_SCORE = 0.05
"""That a box must exceed to count at all: faint ones still move average precision."""

Interpreter: TypeAlias = "Callable[[Float32, Rgb8], Said]"


def by_labels(dataset: Dataset, labels: Sequence[str]) -> Dataset:
    """Number a dataset's classes as a network numbers its outputs.

    Args:
        dataset: any; one for detection stays as it is.
        labels: of the scenario's outputs, in order; empty where it names none.

    Raises:
        UsageError: the scenario's labels are others than the dataset's classes.
    """
    if not (dataset.is_classification and labels):
        return dataset
    if sorted(labels) != sorted(dataset.classes):
        raise UsageError(
            f"the scenario's labels are {', '.join(labels)}, the dataset's classes "
            f"{', '.join(dataset.classes)}",
            hint="name them alike: labels stand in [output] of the scenario's file",
        )
    return dataset.with_classes(tuple(labels))


class Asker:
    """A compiled network that is asked about the photographs of a dataset."""

    def __init__(self, compiled: QuantisedScenario, classes: int, least_score: float) -> None:
        """Find out what the network's outputs say.

        Args:
            compiled: the network.
            classes: of the dataset; 0 where it is for detection.
            least_score: that a box must exceed.

        Raises:
            UsageError: the network does not answer what the dataset asks.
        """
        self._compiled = compiled
        self._interpret = _interpreter(compiled, classes, least_score)

    def photograph(self, example: Example) -> "Rgb8":
        """Read an example's photograph, uint8, (rows, columns, 3).

        Raises:
            UsageError: it cannot be read, or a marked object lies outside of it.
        """
        photograph = photographs.read(example.path)
        rows, columns, _ = photograph.shape
        for marked in example.objects:
            if not (marked.ignored or marked.lies_in(rows, columns)):
                raise UsageError(f"{example.name}: a box outside its {columns}x{rows} pixels")
        return photograph

    def by_reference(self, example: Example) -> Answer:
        """Ask float and the integer reference.

        Raises:
            UsageError: as `photograph`.
        """
        photograph = self.photograph(example)
        _, integers, real = answers(self._compiled, photograph)
        return self.made(example, photograph, real, integers)

    def made(
        self, example: Example, photograph: "Rgb8", real: "Float32", integers: "Quantised"
    ) -> Answer:
        """Put outputs, (count,), into an answer.

        Args:
            example: of the dataset.
            photograph: uint8, (rows, columns, 3).
            real: the float model's outputs, (count,).
            integers: the integer reference's, as real numbers, (count,).
        """
        dequantised = self._compiled.program.dequantise_output(integers)
        ends = np.iinfo(integers.dtype)
        return Answer(
            example.name,
            of_float=self._interpret(real, photograph),
            of_integers=self._interpret(dequantised, photograph),
            sqnr_db=_sqnr_db(real, dequantised),
            clipped=float(np.mean((integers == ends.min) | (integers == ends.max))),
        )


def priors_of(loaded: "LoadedModel") -> "Float64":
    """Lay out a detector's prior boxes, (count, 4), as `detection.priors` does.

    Raises:
        UsageError: the model is no detector.
    """
    from hil.models.face import FaceDetector

    if not isinstance(loaded.module, FaceDetector):
        detectors = [name for name in models.names() if name.startswith("face_")]
        raise UsageError(
            f"{loaded.model_id} finds no faces", hint=f"those that do: {', '.join(detectors)}"
        )
    return detection.priors(loaded.module.anchors, loaded.spec.rows, loaded.spec.columns)


def _interpreter(compiled: QuantisedScenario, classes: int, least_score: float) -> Interpreter:
    """What turns outputs into what is said of a photograph: boxes in its pixels, or logits."""
    if classes:
        count = compiled.program.output.count
        if count != classes:
            raise UsageError(
                f"{compiled.scenario.name} tells {count} classes apart, the dataset has {classes}",
                hint="take a network or a checkpoint with as many classes",
            )
        return lambda outputs, _: (tuple(float(v) for v in outputs),)
    priors = priors_of(compiled.loaded)
    return lambda outputs, photograph: _boxes(outputs, priors, photograph.shape, least_score)


def _boxes(
    outputs: "Float32", priors: "Float64", shape: tuple[int, ...], least_score: float
) -> Said:
    rows, columns = shape[:2]
    return tuple(
        (
            round(box.left * columns, 2),
            round(box.top * rows, 2),
            round(box.right * columns, 2),
            round(box.bottom * rows, 2),
            round(box.score, 6),
        )
        for box in detection.detect(outputs, priors, least_score)
    )


def _sqnr_db(real: "Float32", integers: "Float32") -> float:
    """Signal to quantisation noise of the outputs, at most `MOST_DB`."""
    signal = float(np.square(real.astype(np.float64)).sum())
    noise = float(np.square(real.astype(np.float64) - integers).sum())
    if noise <= signal * 10 ** (-MOST_DB / 10):
        return MOST_DB
    return 10.0 * float(np.log10(max(signal, 1e-30) / noise))
