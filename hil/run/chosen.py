"""What the command line chooses: the board, and scenarios with what it puts in place of theirs."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hil.config import board as boards
from hil.config import inventory, scenario
from hil.config.board import Board
from hil.config.scenario import Scenario
from hil.results.store import HISTORY
from hil.run import quarantine
from hil.run.measurement import Progress
from hil.targets import AUTO, NAMED

_OF_DESKS = {NAMED, AUTO, "probe"}  # targets that may be physical boards


class Scenarios:
    """Loads scenarios; one that is asked for twice is the same object, so that it runs once.

    Args:
        instead: what `Scenario.override` takes.
    """

    def __init__(self, **instead: Any) -> None:
        self._instead = instead
        self._known: dict[Path, Scenario] = {}

    def load(self, name: str, folder: Path | None = None) -> Scenario:
        """Load a scenario.

        Args:
            name: of a file of scenarios/, or the path of one.
            folder: that a path begins at; None for the current one.

        Returns:
            It. The name of another file of the same name begins with its folder's, so that results
            keep the two apart: `mine.face_m4` beside `face_m4`.

        Raises:
            UsageError: there is none of this name, or its file is wrong.
        """
        where = str(folder / name) if folder and name.endswith(".toml") else name
        loaded = scenario.load(where).override(**self._instead)
        file = (loaded.directory / f"{loaded.name}.toml").resolve()
        if file not in self._known:
            taken = {one.name for one in self._known.values()}
            self._known[file] = replace(loaded, name=_free(file, taken))
        return self._known[file]


def _free(file: Path, taken: set[str]) -> str:
    """Return a scenario's name: its file's, behind as many of its folders as tell it apart."""
    name = file.stem
    for folder in file.parents:
        if name not in taken:
            break
        name = ".".join(filter(None, ["".join(map(_plain, folder.name)).strip("._-"), name]))
    while name in taken:
        name += "_"
    return name


def _plain(letter: str) -> str:
    return letter if letter.isascii() and (letter.isalnum() or letter in "_.") else "_"


def board_of(options: argparse.Namespace, progress: Progress) -> Board:
    """Load the board of the command line, without the physical ones that are in quarantine.

    Args:
        options: as pytest parsed them.
        progress: told of boards that are left out.

    Raises:
        UsageError: there is no such board, or all of its kind are in quarantine.
    """
    board = boards.load(options.hil_board).on_desk(
        probe_id=options.hil_probe,
        port=options.hil_port,
        renode=options.hil_renode,
        units=inventory.load(options.hil_inventory),
    )
    board = replace(board, lock_wait_s=options.hil_lock_wait)
    if options.hil_target not in _OF_DESKS:
        return board
    history = options.hil_history_dir or options.hil_csv.parent / HISTORY
    return quarantine.leave_out(board, history, progress)


def names_of(options: argparse.Namespace, board: Board) -> Sequence[str]:
    """Return the scenarios that the command line names; else those that run unnamed on the board.

    Args:
        options: as pytest parsed them.
        board: that they run on.

    Raises:
        UsageError: no scenario has a tag of this name.
    """
    if options.hil_tag:
        return scenario.tagged(options.hil_tag, board=board.name, among=options.hil_scenario)
    which = scenario.names if options.hil_all else scenario.defaults
    return options.hil_scenario or which(board=board.name)
