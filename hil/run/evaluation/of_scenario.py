"""Evaluates a scenario's network on the dataset that its file names."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from hil.config.scenario import Limits, Scenario
from hil.errors import UsageError
from hil.run.compiled import QuantisedScenario
from hil.run.evaluation import scores
from hil.run.evaluation.asker import LEAST_SCORE, Asker, by_labels
from hil.run.evaluation.scores import Evaluation
from hil.vision import datasets, photographs
from hil.vision.datasets import Dataset

_DIGEST_LETTERS = 12
_TOLD = 10  # times that progress is told
_LIMITS = {True: "accuracy_drop", False: "map_drop"}
"""Which limit a dataset for classification has, and which one for detection."""


def of_scenario(quantised: QuantisedScenario, progress: Callable[[str], None]) -> Evaluation | None:
    """Ask float and the integer reference about every photograph; None without a dataset.

    Args:
        quantised: the network, in float and in integers.
        progress: told each stage.

    Raises:
        UsageError: the dataset cannot be read, lacks photographs, does not suit the network, or
            the scenario has the limit of another kind of dataset.
    """
    scenario = quantised.scenario
    if scenario.dataset is None:
        return None
    return ask(quantised, whole(scenario, scenario.dataset), progress)


def whole(scenario: Scenario, path: Path) -> Dataset:
    """Read a scenario's dataset, of which nothing may be missing.

    Args:
        scenario: whose network is asked.
        path: of the dataset.

    Raises:
        UsageError: as `of_scenario` does.
    """
    dataset = open_for(scenario, path)
    if dataset.problems:
        raise UsageError(
            f"the dataset of {scenario.name}: {dataset.problems[0]}"
            + (f", and {len(dataset.problems) - 1} more" if len(dataset.problems) > 1 else ""),
            hint="a figure that is held to a limit takes a whole dataset",
        )
    return dataset


def ask(
    quantised: QuantisedScenario, dataset: Dataset, progress: Callable[[str], None]
) -> Evaluation:
    """Ask float and the integer reference about every photograph of a dataset.

    Args:
        quantised: the network, in float and in integers.
        dataset: as `whole` reads it.
        progress: told each stage.
    """
    asker = Asker(quantised, len(dataset.classes), LEAST_SCORE)
    count = len(dataset.examples)
    answers = []
    for number, example in enumerate(dataset.examples):
        if number % max(1, count // _TOLD) == 0:
            progress(f"photograph {number} of {count} of {dataset.folder.name}")
        answers.append(asker.by_reference(example))
    found = scores.score(dataset, {answer.example: answer for answer in answers})
    return Evaluation(found, told(dataset))


def open_for(
    scenario: Scenario, path: Path, form: str | None = None, kind: str | None = None
) -> Dataset:
    """Read a dataset for a scenario: classes as its labels number them, and limits that fit.

    Args:
        scenario: whose network is asked.
        path: as `datasets.open_dataset`.
        form: likewise.
        kind: likewise.

    Raises:
        UsageError: it cannot be read, or the scenario's labels or limits are others'.
    """
    dataset = by_labels(datasets.open_dataset(path, form, kind), scenario.labels)
    other = _LIMITS[not dataset.is_classification]
    if getattr(scenario.limits, other) is not None:
        what = "classification" if dataset.is_classification else "detection"
        raise UsageError(
            f"{scenario.name} has the limit {other}, and {path} is for {what}",
            hint=f"its limit is {_LIMITS[dataset.is_classification]}",
        )
    return dataset


def asked(scenario: Scenario, limits: Limits) -> list[str]:
    """Name the limits that a scenario's dataset is held to.

    Args:
        scenario: with a dataset, or without one.
        limits: that hold on the board.
    """
    if scenario.dataset is None:
        return []
    return [name for name in _LIMITS.values() if getattr(limits, name) is not None]


def told(dataset: Dataset) -> str:
    """Say how many photographs of which folder, with a digest of photographs and annotations."""
    count = len(dataset.examples)
    name = dataset.folder.resolve().name
    return f"{count} photographs of {name}, {digest(dataset)[:_DIGEST_LETTERS]}"


def digest(dataset: Dataset) -> str:
    """Return a digest of a dataset's photographs and of what is known of them, in hexadecimal."""
    found = sha256()
    for example in dataset.examples:
        known = replace(example, path=Path())
        found.update(repr(known).encode() + sha256(_content(example.path)).digest())
    return found.hexdigest()


def _content(path: Path) -> bytes:
    if not path.exists():
        return photographs.read(path).tobytes()  # known by name, or told as missing
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error}") from error
