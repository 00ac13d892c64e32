"""A training run, from a scenario and a dataset to a `Trainer`."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from hil.config.scenario import Scenario
from hil.errors import UsageError
from hil.models import LoadedModel
from hil.models.face import FaceDetector
from hil.run import network
from hil.studies.train.batches import Feed
from hil.studies.train.losses import CrossEntropy, Loss, MultiBox
from hil.studies.train.recipe import CLASSIFIER, DETECTOR, Recipe
from hil.studies.train.trainer import Trainer
from hil.vision import detection, photographs
from hil.vision.datasets import Dataset, Example

_FEWEST = 4
"""Photographs that can be trained on."""


@dataclass(frozen=True)
class Split:
    """Photographs to train on, and others to test on.

    Attributes:
        unreadable: what was left out, and why.
    """

    train: tuple[Example, ...]
    held_back: tuple[Example, ...]
    unreadable: tuple[str, ...] = ()


def usual_recipe(scenario: Scenario) -> Recipe:
    """Return the paper's choices for a scenario's kind of network."""
    return DETECTOR if _is_detector(network.structure(scenario)) else CLASSIFIER


def begun_network(scenario: Scenario, seed: int) -> LoadedModel:
    """Make a network as training begins: from the scenario's checkpoint, or with fresh weights.

    Fresh ones are those of its layers' constructors, RNN cells' as EdgeML's: a tenth of a normal
    distribution.

    Args:
        scenario: which names the network.
        seed: of fresh weights.

    Raises:
        UsageError: there is no such network, or the checkpoint does not fit it.
    """
    if scenario.checkpoint is not None:
        return network.load(scenario)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network.structure(replace(scenario, seed=seed))


def split(dataset: Dataset, held_back: float, seed: int) -> Split:
    """Look at every photograph, and hold a share of each class back.

    Args:
        dataset: what there is.
        held_back: share, 0 to less than 1.
        seed: says which.

    Raises:
        UsageError: too few photographs can be read, or a class has none to train on.
    """
    readable, unreadable = [], list(dataset.problems)
    for example in dataset.examples:
        try:
            photographs.read(example.path)
        except UsageError as error:
            unreadable.append(f"{example.name}: {error.what}")
        else:
            readable.append(example)
    random = np.random.default_rng([seed, len(readable)])
    train: list[Example] = []
    tested: list[Example] = []
    for label in range(len(dataset.classes)) if dataset.classes else [None]:
        of_class = [one for one in readable if one.label == label]
        order = random.permutation(len(of_class))
        count = round(held_back * len(of_class))
        tested += [of_class[i] for i in sorted(order[:count])]
        train += [of_class[i] for i in sorted(order[count:])]
        if label is not None and len(of_class) == count:
            raise UsageError(
                f"the class {dataset.classes[label]} of {dataset.folder} has "
                f"{len(of_class)} photographs that can be read: none is left to train on"
            )
    if len(train) < _FEWEST:
        raise UsageError(
            f"{dataset.folder} has {len(train)} photographs to train on, {_FEWEST} are the fewest"
        )
    return Split(tuple(train), tuple(tested), tuple(unreadable))


def trainer(
    scenario: Scenario,
    dataset: Dataset,
    parts: Split,
    recipe: Recipe,
    *,
    folder: Path,
    device: str = "cpu",
) -> Trainer:
    """Put a run together.

    Args:
        scenario: of the network.
        dataset: that `parts` came from.
        parts: what to train on and what to test on.
        recipe: choices.
        folder: for what the run keeps.
        device: of torch.

    Raises:
        UsageError: the network cannot be made, or does not answer what the dataset asks.
    """
    loaded = begun_network(scenario, recipe.seed)
    loss = loss_of(loaded, dataset)
    torch.manual_seed(recipe.seed)

    def feed(examples: Sequence[Example]) -> Feed:
        return Feed(examples, loaded.spec, size=recipe.batch, seed=recipe.seed)

    task = {
        "model": scenario.model,
        "variant": str(sorted(scenario.variant.items())),
        "begins with": _digest(scenario.checkpoint),
        "photographs to train on": _names_digest(parts.train),
        "photographs held back": _names_digest(parts.held_back),
    }
    held_back = feed(parts.held_back) if parts.held_back else None
    return Trainer(
        loaded.module,
        loss,
        recipe,
        feed=feed(parts.train),
        held_back=held_back,
        task=task,
        folder=folder,
        device=device,
    )


def loss_of(loaded: LoadedModel, dataset: Dataset) -> Loss:
    """Return what is made small when a network learns a dataset.

    Args:
        loaded: the network.
        dataset: what it learns.

    Raises:
        UsageError: one is of boxes and the other of classes, or the classes are not as many.
    """
    if isinstance(loaded.module, FaceDetector):
        if dataset.is_classification:
            raise UsageError(
                f"{loaded.model_id} finds faces, {dataset.folder} has classes",
                hint="train it on marked faces, in the form of WIDER FACE, VOC, COCO or YOLO",
            )
        spec = loaded.spec
        return MultiBox(detection.priors(loaded.module.anchors, spec.rows, spec.columns))
    if not dataset.is_classification:
        raise UsageError(
            f"{loaded.model_id} tells classes apart, {dataset.folder} has marked objects",
            hint="give a folder for each class, or a CSV of files and labels",
        )
    if len(dataset.classes) < 2:
        raise UsageError(f"{dataset.folder} has one class, {dataset.classes[0]}: nothing to learn")
    outputs = _outputs(loaded)
    if outputs != len(dataset.classes):
        raise UsageError(
            f"{loaded.model_id} tells {outputs} classes apart, {dataset.folder} has "
            f"{len(dataset.classes)}"
        )
    return CrossEntropy()


def _outputs(loaded: LoadedModel) -> int:
    return len(loaded.run(np.zeros(loaded.spec.shape, np.float32)))


def _is_detector(loaded: LoadedModel) -> bool:
    return isinstance(loaded.module, FaceDetector)


def _digest(path: Path | None) -> str:
    return "fresh weights" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()


def _names_digest(examples: Sequence[Example]) -> str:
    words = [f"{one.name} {one.label} {one.objects}" for one in examples]
    return f"{len(examples)}, {hashlib.sha256(chr(10).join(words).encode()).hexdigest()[:16]}"
