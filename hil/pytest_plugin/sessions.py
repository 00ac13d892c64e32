"""The sessions of a run of pytest: one for each board, opened when it is first asked for."""

import signal
import threading
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hil import options
from hil.errors import UsageError
from hil.pytest_plugin import progress

if TYPE_CHECKING:
    from hil.results.rows import Row, RunIdentity
    from hil.run.session import Session

SESSION = pytest.StashKey["Session"]()
"""Of the board that was opened first; the others are in `_OPENED`, by their boards' names."""

RUN = pytest.StashKey["RunIdentity"]()
"""Which run this process takes part in."""

_OPENED = pytest.StashKey["dict[str, Session]"]()
_GIVEN = pytest.StashKey["dict[str, str]"]()
"""Boards by what a command line or a marker calls them, such as a path."""


def opened(config: pytest.Config) -> "dict[str, Session]":
    """Return the sessions that are open so far, by the names of their boards."""
    return config.stash.get(_OPENED, {})


def of_command_line(config: pytest.Config) -> "list[Session]":
    """Return the sessions of `--board`, or of the board where none is named."""
    names = options.boards(config.option.hil_board)
    sessions = on(config, names)
    if len(names) == 1 and len(opened(config)) == 1:
        config.option.hil_target = sessions[0].target.name
    return sessions


def on(config: pytest.Config, names: Sequence[str]) -> "list[Session]":
    """Return the sessions of some boards; open those that are not.

    Args:
        config: of the run.
        names: of boards, or paths of their files.

    Raises:
        UsageError: there is no such board, or two files describe boards of one name.
    """
    _begin(config)
    known, sessions = config.stash[_GIVEN], config.stash[_OPENED]
    for name in names:
        if name not in known:
            one = _open(config, name, alone=len(names) == 1 and not sessions)
            if one.board.name in sessions:
                raise UsageError(
                    f"two boards are called {one.board.name}: {name} is one of them",
                    hint="rename one of the files: results go by the name",
                )
            sessions[one.board.name] = one
            known[name] = known[one.board.name] = one.board.name
            config.stash.setdefault(SESSION, one)
    return [sessions[known[name]] for name in names]


def of_test(config: pytest.Config, board: str | None) -> "Session":
    """Return the session that a test runs in.

    Args:
        config: of the run.
        board: the one that the test was told; None for the command line's.
    """
    (session, *_) = of_command_line(config) if board is None else on(config, [board])
    return session


def rows(config: pytest.Config) -> "list[Row]":
    """Return this run's rows; those of workers too, where they alone have opened a session."""
    if SESSION in config.stash:
        session = config.stash[SESSION]
        several = len(opened(config)) > 1
        return session.store.rows() if several and session.store else session.all_rows()
    if RUN not in config.stash:
        return []
    from hil.results.store import Store

    csv, folder = config.option.hil_csv, config.option.hil_history_dir
    return Store.beside(csv, config.stash[RUN].run, history=folder).rows()


def _begin(config: pytest.Config) -> None:
    """Name the run, and put away what an earlier one has left; only the first call does."""
    if _OPENED in config.stash:
        return
    config.stash[RUN] = identity = _identity(config)
    if not config.option.collectonly:
        _forget_earlier(config, identity)
    _end_as_interrupted()
    config.stash[_OPENED], config.stash[_GIVEN] = {}, {}


def _open(config: pytest.Config, board: str, *, alone: bool) -> "Session":
    from hil.run.session import Session

    given = copy(config.option)
    given.hil_board = board
    worker = getattr(config, "workerinput", {}).get("workerid", "")
    part = "-".join(filter(None, [worker, "" if alone else Path(board).stem]))
    tell = progress.teller(config)
    identity = config.stash[RUN]
    return Session.from_options(given, tell, identity=identity, part=part, shares=not alone)


def _identity(config: pytest.Config) -> "RunIdentity":
    """Return the run that this process takes part in: its own, or pytest-xdist's."""
    from hil.results.rows import RunIdentity

    told = getattr(config, "workerinput", None)
    here = RunIdentity.now(Path.cwd())
    return here if told is None else RunIdentity(**told["hil_run"] | {"commit": here.commit})


def _forget_earlier(config: pytest.Config, identity: "RunIdentity") -> None:
    """Remove the table of an earlier run, but not of this one, which other processes may write."""
    from hil.results import store

    csv = config.option.hil_csv
    if not store.Store.beside(csv, identity.run, history=config.option.hil_history_dir).rows():
        store.forget(csv)


def _end_as_interrupted() -> None:
    """Have SIGTERM end a run as SIGINT does: rows and reports are written, the board released."""
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
