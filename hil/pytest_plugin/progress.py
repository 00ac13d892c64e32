"""pytest's part of progress: which scenario of how many runs, at which stage, for how long yet.

A terminal is told every stage. A pipe, such as a log of CI, gets a line for each scenario, and one
for whatever is no usual stage: a set-up that is tried again, a search for the layer that differs.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from hil.errors import UsageError

if TYPE_CHECKING:
    from hil.results.remaining import Remaining

_LEFT: "pytest.StashKey[Remaining]" = pytest.StashKey()
_RUNS = 5  # of the history that are looked at, the latest
_SCENARIO = "hil_scenario"
_USUAL = ("compiling ", "building ", "flashing ", "sending ", "running ")
"""What every measurement goes through, by how its words begin."""


def teller(config: pytest.Config) -> Callable[[str], None]:
    """Return what tells stages on the terminal, past the capture of output, as they begin."""
    told: set[str] = set()

    def tell(stage: str) -> None:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        capture = config.pluginmanager.get_plugin("capturemanager")
        if reporter is not None and capture is not None:
            left = config.stash.get(_LEFT, None)
            calm = left is not None and not reporter.isatty and stage.startswith(_USUAL)
            scenario = left.current if left and calm and left.current in left.scenarios else ""
            if scenario in told:
                return
            if scenario:
                told.add(scenario)
            text = left.say("" if scenario else stage) if left else stage
            with capture.global_and_fixture_disabled():
                reporter.ensure_newline()
                reporter.write_line(f"  {text} ...", flush=True)

    return tell


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note which scenario runs now."""
    name = scenario_of(item)
    if name:
        _left(item.session).begin(name)


def scenario_of(item: pytest.Item) -> str:
    """Return the name of the scenario that a test runs on; empty for one that runs on none."""
    case = getattr(item, "callspec", None)
    scenario = case.params.get(_SCENARIO) if case else None
    return scenario.name if scenario else ""


def _left(session: pytest.Session) -> "Remaining":
    """Return what says how long this process's scenarios still take."""
    from hil.results import remaining

    config = session.config
    if _LEFT not in config.stash:
        names = [name for name in map(scenario_of, session.items) if name]
        config.stash[_LEFT] = remaining.Remaining(list(dict.fromkeys(names)), known(config))
    return config.stash[_LEFT]


def known(config: pytest.Config) -> dict[str, float]:
    """Seconds by scenario; none where the history cannot be read, which others complain about."""
    from hil.results import remaining, store

    folder = config.option.hil_history_dir or config.option.hil_csv.parent / store.HISTORY
    try:
        rows = [row for run in store.runs(folder)[-_RUNS:] for row in store.load_run(folder, run)]
    except UsageError:
        return {}
    return remaining.durations(rows)
