"""What a test's markers ask for: its scenarios and its boards.

@pytest.mark.hil(scenario="face_m4", board="stm32f439")
@pytest.mark.hil(scenario=["face_m4", "mine.toml"])
"""

from typing import TYPE_CHECKING, Any

import pytest

from hil.errors import UsageError
from hil.pytest_plugin import sessions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.config.scenario import Scenario
    from hil.run.session import Session

_OF_HIL = (
    "hil(scenario=..., board=...): run the test on these scenarios and boards: a name, a path "
    "beside the test, or a list of them"
)
MARKERS = (_OF_HIL, "hil_scenario(*names): short for hil(scenario=[...])")
_KNOWN = ("scenario", "board")


def on_boards(test: pytest.Item, config: pytest.Config) -> "tuple[list[Session], bool]":
    """Return the sessions that a test runs on, and whether its id has to name them.

    Args:
        test: the function's definition.
        config: whose `--board` counts where no marker names a board.
    """
    names = _named(test, "board")
    if names:
        return sessions.on(config, [_beside(test, name) for name in names]), True
    found = sessions.of_command_line(config)
    return found, len(found) > 1


def scenarios(test: pytest.Item, session: "Session") -> "Sequence[Scenario]":
    """Return the scenarios that a test runs on: those of its nearest marker, or the session's.

    Args:
        test: that is about to run.
        session: of this run.
    """
    names = _named(test, "scenario")
    if not names:
        return session.scenarios
    return [session.known.load(name, test.path.parent) for name in names]


def _beside(test: pytest.Item, name: str) -> str:
    """A board's file stands beside the test, unless the path says otherwise."""
    path = test.path.parent / name
    return str(path) if name.endswith(".toml") and path.is_file() else name


def _named(test: pytest.Item, what: str) -> list[str]:
    """Return what the nearest marker says of boards or scenarios; nothing where none does."""
    for marker in test.iter_markers():
        if marker.name == "hil_scenario" and what == "scenario":
            return [str(name) for name in marker.args]
        if marker.name == "hil":
            _check(test, marker)
            if what in marker.kwargs:
                return _listed(test, what, marker.kwargs[what])
    return []


def _check(test: pytest.Item, marker: pytest.Mark) -> None:
    wrong = [*map(repr, marker.args), *(name for name in marker.kwargs if name not in _KNOWN)]
    if wrong:
        raise UsageError(
            f"{test.nodeid}: @pytest.mark.hil does not take {', '.join(wrong)}",
            hint='write @pytest.mark.hil(scenario="face_m4", board="stm32f439")',
        )


def _listed(test: pytest.Item, what: str, value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else value
    try:
        listed = list(names)
    except TypeError:
        listed = []
    if not listed or not all(isinstance(one, str) for one in listed):
        raise UsageError(
            f"{test.nodeid}: @pytest.mark.hil({what}={value!r}) names none",
            hint="give a name, a path, or a list of them",
        )
    return listed
