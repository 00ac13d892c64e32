"""What a network is worth on its scenario's dataset, kept in the cache of builds from run to run.

A run that finds it there asks no network, and loads no torch for it. The file is named by all that
the network is made of and by the content of the dataset, and by its own content.
"""

import contextlib
from collections.abc import Callable
from functools import partial
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
from hil.run.worth import of_scenario
from hil.run.worth.weigh import Weighed
from hil.vision.datasets import Dataset

_FOLDER = "worth"
_DAMAGED = (OSError, ValueError, KeyError, TypeError, msgspec.MsgspecError)


def take_or_ask(
    scenario: Scenario,
    board: Board,
    quantised: Callable[[], QuantisedScenario],
    progress: Callable[[str], None],
    *,
    anew: bool = False,
) -> Weighed | None:
    """Return what a scenario's network is worth as it is kept, else ask it and keep that.

    Args:
        scenario: with a dataset, or without one.
        board: that it is compiled for.
        quantised: gives its network, in float and in integers.
        progress: told each stage.
        anew: ask it, whatever is kept.

    Returns:
        What it is worth; None without a dataset.

    Raises:
        UsageError: as `of_scenario.whole` raises. BuildError: the cache cannot be written.
    """
    if scenario.dataset is None:
        return None
    dataset = of_scenario.whole(scenario, scenario.dataset)
    if not inputs.are_known(scenario):
        return of_scenario.ask(quantised(), dataset, progress)
    place = _place(scenario, board, dataset)
    known = None if anew else _taken(place)
    if known is not None:
        return known
    weighed = of_scenario.ask(quantised(), dataset, progress)
    once.made_once(place, partial(_written, weighed), anew=True)
    return weighed


def is_kept(scenario: Scenario, board: Board) -> bool:
    """Whether a run needs no torch to say what a scenario's network is worth.

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
    return inputs.are_known(scenario) and _taken(_place(scenario, board, dataset)) is not None


def _place(scenario: Scenario, board: Board, dataset: Dataset) -> Path:
    """Return where it is kept, before its name gains its own digest."""
    classes = (str(one) for one in dataset.classes)
    words = (inputs.digest(scenario, board), of_scenario.digest(dataset), *classes)
    return paths.cache() / _FOLDER / f"{once.digest(words, ())}.worth"


def _taken(place: Path) -> Weighed | None:
    for file in once.found(place):
        with contextlib.suppress(*_DAMAGED):
            found = msgspec.msgpack.decode(file.read_bytes(), type=Weighed, dec_hook=_array)
            note_use(file)
            return found
    return None


def _written(weighed: Weighed, scratch: Path) -> Path:
    path = scratch / "weighed.worth"
    path.write_bytes(msgspec.msgpack.encode(weighed, enc_hook=_plain))
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
