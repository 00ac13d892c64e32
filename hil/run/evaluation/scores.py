"""Scores of answers: average precision or accuracy, of float and of integers, with its error."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hil.errors import UsageError
from hil.run.evaluation.answer import Answer, Said
from hil.vision import accuracy, average_precision
from hil.vision.average_precision import Curve, Float64, Predictions, Tally, Truth
from hil.vision.datasets import Dataset, Example

ALL = "all"
MEAN = "mAP"
ACCURACY = "accuracy"
DETECTION_CUT = 0.3
"""Score above which average precision is also taken: what lies below is the faint tail."""

_AP, _ABOVE = "AP", " above "
_WIDER = "wider"
_NOTHING = Predictions(np.zeros((0, 4)), np.zeros(0))


@dataclass(frozen=True)
class Figure:
    """One figure of float and of integers.

    Attributes:
        name: "mAP", "AP easy", "accuracy", ...
        standard_error: of the drop, over samples of the photographs.
    """

    name: str
    of_float: float
    of_integers: float
    standard_error: float

    @property
    def drop(self) -> float:
        """What the integers lose, 0 to 1."""
        return self.of_float - self.of_integers


@dataclass(frozen=True)
class Scores:
    """How well a network does on a dataset.

    Attributes:
        photographs: that were answered. failed: names and errors of the others.
        on_board: photographs whose integers a board computed. mismatches: outputs of it that
            differ from the reference.
        sqnr_db: mean and least, over photographs.
        clipped: mean and greatest share of outputs at the ends of their integers.
        main: accuracy, or mean average precision over the subsets.
        figures: the main one and those beside it.
        curves: of each average precision: float's and the integers'.
        confusion: float's and the integers', for classification.
    """

    photographs: int
    failed: tuple[tuple[str, str], ...]
    on_board: int
    mismatches: int
    sqnr_db: tuple[float, float]
    clipped: tuple[float, float]
    main: Figure
    figures: tuple[Figure, ...]
    curves: Mapping[str, tuple[Curve, Curve]]
    confusion: tuple[accuracy.Accuracy, accuracy.Accuracy] | None = None

    @property
    def by_subset(self) -> Mapping[str, Figure]:
        """Average precision of all boxes by subset; empty for classification, or with one alone."""
        begins = f"{_AP} "
        named = {
            figure.name.removeprefix(begins): figure
            for figure in self.figures
            if figure.name.startswith(begins) and _ABOVE not in figure.name
        }
        return named if len(named) > 1 else {}


@dataclass(frozen=True)
class Evaluation:
    """Scores, and the dataset that they were measured on.

    Attributes:
        dataset: how many photographs of which folder, with a digest, for the rows.
    """

    scores: Scores
    dataset: str


def score(dataset: Dataset, answers: Mapping[str, Answer], cut: float = DETECTION_CUT) -> Scores:
    """Compute the scores of answers.

    Args:
        dataset: of the photographs.
        answers: by example's name.
        cut: score at which average precision is also taken of the boxes above it.

    Raises:
        UsageError: there is no answer.
    """
    given = [
        (example, answers[example.name])
        for example in dataset.examples
        if example.name in answers and not answers[example.name].error
    ]
    if not given:
        raise UsageError(
            "no photograph was answered",
            hint=next((a.error for a in answers.values() if a.error), "the dataset is empty"),
        )
    noise = [answer.sqnr_db for _, answer in given]
    clipped = [answer.clipped for _, answer in given]
    figures, curves, confusion = (
        _classification(dataset, given)
        if dataset.is_classification
        else _detection(dataset, given, cut)
    )
    return Scores(
        photographs=len(given),
        failed=tuple((name, a.error) for name, a in answers.items() if a.error),
        on_board=sum(answer.on_board for _, answer in given),
        mismatches=sum(answer.mismatches for _, answer in given),
        sqnr_db=(float(np.mean(noise)), min(noise)),
        clipped=(float(np.mean(clipped)), max(clipped)),
        main=figures[0],
        figures=figures,
        curves=curves,
        confusion=confusion,
    )


_Given = Sequence[tuple[Example, Answer]]
_Scores = tuple[
    tuple[Figure, ...],
    Mapping[str, tuple[Curve, Curve]],
    tuple[accuracy.Accuracy, accuracy.Accuracy] | None,
]


def _classification(dataset: Dataset, given: _Given) -> _Scores:
    labels = np.array([example.label for example, _ in given], np.int64)
    of_float, of_integers = (
        np.array([np.argmax(said(answer)[0]) for _, answer in given], np.int64) for said in _SIDES
    )
    count = len(dataset.classes)
    both = (
        accuracy.measure(labels, of_float, count),
        accuracy.measure(labels, of_integers, count),
    )
    error = accuracy.drop_error(labels, of_float, of_integers)
    return (Figure(ACCURACY, both[0].value, both[1].value, error),), {}, both


_SIDES: tuple[Callable[[Answer], Said], ...] = (lambda a: a.of_float, lambda a: a.of_integers)


def _detection(dataset: Dataset, given: _Given, cut: float) -> _Scores:
    figures: list[Figure] = []
    curves: dict[str, tuple[Curve, Curve]] = {}
    whole: list[tuple[Figure, Float64]] = []
    for subset in dataset.subsets or (ALL,):
        truths = [_truth(dataset, subset, example) for example, _ in given]
        counted = [_is_counted(dataset, truth) for truth in truths]
        for least, name in ((0.0, f"{_AP} {subset}"), (cut, f"{_AP} {subset}{_ABOVE}{cut:g}")):
            first, second = (_tally(given, said, truths, counted, least) for said in _SIDES)
            curves[name] = (first.curve(), second.curve())
            losses = average_precision.losses(first, second)
            of_float, of_integers = (curve.average_precision for curve in curves[name])
            figures.append(Figure(name, of_float, of_integers, float(losses.std(ddof=1))))
            if least == 0.0:
                whole.append((figures[-1], losses))
    mean = Figure(
        MEAN,
        float(np.mean([figure.of_float for figure, _ in whole])),
        float(np.mean([figure.of_integers for figure, _ in whole])),
        float(np.mean([losses for _, losses in whole], axis=0).std(ddof=1)),
    )
    return (mean, *figures), curves, None


def _is_counted(dataset: Dataset, truth: Truth) -> bool:
    """Whether a photograph takes part: WIDER's protocol passes over those without a face."""
    return dataset.form != _WIDER or len(truth.edges) > 0


def _tally(
    given: _Given,
    said: Callable[[Answer], Said],
    truths: Sequence[Truth],
    counted: Sequence[bool],
    least: float,
) -> Tally:
    found = [
        average_precision.above(predictions(said(answer)) if counts else _NOTHING, least)
        for (_, answer), counts in zip(given, counted, strict=True)
    ]
    return average_precision.tally(found, truths)


def predictions(said: Said) -> Predictions:
    """A detector's boxes as arrays."""
    boxes = np.array(said, np.float64).reshape(-1, 5)
    return Predictions(boxes[:, :4], boxes[:, 4])


def _truth(dataset: Dataset, subset: str, example: Example) -> Truth:
    edges = [(m.left, m.top, m.right, m.bottom) for m in example.objects]
    wanted = np.array([not m.ignored for m in example.objects], np.bool_)
    if subset != ALL:
        kept = dataset.subsets[subset].get(example.name, frozenset())
        wanted &= np.array([i in kept for i in range(len(edges))], np.bool_)
    return Truth(np.array(edges, np.float64).reshape(-1, 4), wanted)


def worst(dataset: Dataset, answers: Mapping[str, Answer], cut: float, count: int) -> list[Example]:
    """Photographs on which integers part most from float.

    For a detector these are the ones with most faces that only one of them finds above the cut;
    for a classifier, those on which float is right and the integers are not. The noisier comes
    first among equals.

    Args:
        dataset: of the photographs.
        answers: of both models.
        cut: of it that is looked at.
        count: of photographs, at most.
    """

    def parting(example: Example) -> tuple[float, float]:
        answer = answers[example.name]
        if dataset.is_classification:
            right = [int(np.argmax(said(answer)[0])) == example.label for said in _SIDES]
            return (float(right[0]) - float(right[1]), -answer.sqnr_db)
        return (float(_unlike(answer, cut)), -answer.sqnr_db)

    known = [e for e in dataset.examples if e.name in answers and not answers[e.name].error]
    return sorted(known, key=parting, reverse=True)[:count]


def _unlike(answer: Answer, cut: float) -> int:
    """Boxes above the cut that have no like on the other side."""
    a, b = (average_precision.above(predictions(said(answer)), cut) for said in _SIDES)
    if not (len(a.scores) and len(b.scores)):
        return len(a.scores) + len(b.scores)
    alike = average_precision.overlaps(a.edges, b.edges) >= average_precision.LEAST_OVERLAP
    return int((~alike.any(axis=1)).sum() + (~alike.any(axis=0)).sum())
