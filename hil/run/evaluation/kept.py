"""The evaluation of a network on its scenario's dataset, kept in the cache from run to run.

A run that finds it there asks no network, and loads no torch for it. The file is named by all that
the network is made of, by the version of torch, which computes the float network's answers, by the
content of the dataset, and by its own content. Without torch what any version has said is taken.
"""

import contextlib
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hil import paths
from hil.build import once
from hil.build.kept import note_use
from hil.config.board import Board
from hil.config.scenario import Scenario
from hil.errors import UsageError
from hil.run import inputs
from hil.run.compiled import QuantisedScenario
from hil.run.evaluation import of_scenario
from hil.run.evaluation.scores import Evaluation
from hil.vision.datasets import Dataset

_FOLDER = "evaluations"
_DAMAGED = (OSError, ValueError, KeyError, TypeError, msgspec.MsgspecError)


def take_or_ask(
    scenario: Scenario,
    board: Board,
    quantised: Callable[[], QuantisedScenario],
    progress: Callable[[str], None],
    *,
    anew: bool = False,
) -> Evaluation | None:
    """Return the evaluation of a scenario's network: the kept one, else a new one, which is kept.

    Args:
        scenario: with a dataset, or without one.
        board: that it is compiled for.
        quantised: gives its network, in float and in integers.
        progress: told each stage.
        anew: ask it, whatever is kept.

    Returns:
        The evaluation; None without a dataset.

    Raises:
        UsageError: as `of_scenario.whole` raises. BuildError: the cache cannot be written.
    """
    if scenario.dataset is None:
        return None
    dataset = of_scenario.whole(scenario, scenario.dataset)
    if not inputs.are_known(scenario):
        return of_scenario.ask(quantised(), dataset, progress)
    known = None if anew else _taken(scenario, board, dataset)
    if known is not None:
        return known
    evaluation = of_scenario.ask(quantised(), dataset, progress)
    (place,) = _places(scenario, board, dataset)  # torch is there: it was asked
    once.made_once(place, partial(_written, evaluation), anew=True)
    return evaluation


def is_kept(scenario: Scenario, board: Board) -> bool:
    """Whether the evaluation of a scenario's network is kept, so that a run needs no torch for it.

    Args:
        scenario: with a dataset, or without one.
        board: that it is compiled for.
    """
    if scenario.dataset is None:
        return True
    try:
        dataset = of_scenario.whole(scenario, scenario.dataset)
    except UsageError:  # told where it is asked for
        return False
    return inputs.are_known(scenario) and _taken(scenario, board, dataset) is not None


def _places(scenario: Scenario, board: Board, dataset: Dataset) -> list[Path]:
    """Return where it may be kept, before the names gain their own digests.

    That is one place for the torch that is installed; without torch, one for each version that has
    left something.
    """
    classes = (str(one) for one in dataset.classes)
    words = (inputs.digest(scenario, board), of_scenario.digest(dataset), *classes)
    start, folder = f"{once.digest(words, ())}-torch-", paths.cache() / _FOLDER
    version = inputs.torch_version()
    if version is not None:
        return [folder / f"{start}{version}.msgpack"]
    return sorted({once.place(file) for file in folder.glob(f"{start}*.msgpack")})


def _taken(scenario: Scenario, board: Board, dataset: Dataset) -> Evaluation | None:
    for file in chain.from_iterable(map(once.found, _places(scenario, board, dataset))):
        with contextlib.suppress(*_DAMAGED):
            found = msgspec.msgpack.decode(file.read_bytes(), type=Evaluation, dec_hook=_array)
            note_use(file)
            return found
    return None


def _written(evaluation: Evaluation, scratch: Path) -> Path:
    path = scratch / "evaluation.msgpack"
    path.write_bytes(msgspec.msgpack.encode(evaluation, enc_hook=_plain))
    return path


def _plain(value: Any) -> Any:
    """Turn NumPy's numbers and arrays into what can be written."""
    if isinstance(value, np.ndarray):
        return {"kind": value.dtype.str, "shape": value.shape, "data": value.tobytes()}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no plain figure")


def _array(kind: type, value: dict[str, Any]) -> Any:
    del kind
    return np.frombuffer(value["data"], value["kind"]).reshape(value["shape"])
