"""pytest's part of baselines: `pytest hil/ --hil-baseline`, `--hil-update-baseline --hil-why ...`.

`hil/run/against.py` compares; this file hands it pytest's options and pytest its verdicts.
"""

import argparse
import os
from collections import Counter
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hil import options
from hil.errors import HilError, UsageError, Verdict
from hil.pytest_plugin import outcomes
from hil.pytest_plugin.sessions import SESSION

if TYPE_CHECKING:
    from hil.config.scenario import Scenario
    from hil.run.against import Against
    from hil.run.measurement import Measurement
    from hil.run.session import Session

AGAINST: "pytest.StashKey[Against]" = pytest.StashKey()
_SAID = pytest.StashKey[list[str]]()
_QUIET = "baseline.holds"  # a property of a test whose figures are those of the baseline
_SECTION = "baseline"
_TESTS = Path(__file__).parent.parent / "suite" / "test_baseline.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of baselines."""
    group = parser.getgroup("hil", "hardware in the loop")
    group.addoption(
        "--hil-baseline",
        nargs="?",
        const="",
        metavar="FILE|git:REV",
        help="compare with a baseline and fail where something became worse: "
        "--hil-baseline for baselines/<board>.csv, --hil-baseline=FILE for another, "
        "--hil-baseline=git:REV for a revision that is built and run beside this one",
    )
    group.addoption(
        "--hil-stale",
        choices=("error", "warn"),
        default="error" if os.environ.get("CI") else "warn",
        help="what a baseline does that no longer says what is measured: an improvement, other "
        "outputs, a scenario that it lacks (default: error in CI, warn elsewhere)",
    )
    group.addoption(
        "--hil-update-baseline",
        action="store_true",
        help="take this run's figures into the baseline; needs --hil-why",
    )
    group.addoption(
        "--hil-why",
        default="",
        metavar="REASON",
        help="why the baseline moves, for its log",
    )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the baseline before anything runs."""
    session = config.stash.get(SESSION, None)
    config.stash[_SAID] = []
    _refuse_without_suite(config)
    if session is None:
        return
    from hil.run import against as baselines

    try:
        if config.option.hil_update_baseline and not config.option.hil_why.strip():
            raise UsageError(
                "--hil-update-baseline needs a reason", hint='add one: --hil-why "..."'
            )
        given = _with_board(config)
        against = baselines.Against.from_options(given, session.scenarios, session.identity)
    except HilError as error:
        raise pytest.UsageError(str(error)) from error
    if against is not None and not config.option.hil_update_baseline:
        config.stash[AGAINST] = against


def _refuse_without_suite(config: pytest.Config) -> None:
    """Refuse a baseline in a run of tests of one's own: nothing would be held to it.

    Raises:
        pytest.UsageError: the command line does not name the suite.
    """
    given = config.option
    if hasattr(config, "workerinput") or config.stash.get(outcomes.RUNS_SUITE, default=given.help):
        return
    if given.hil_baseline is not None or given.hil_update_baseline:
        named = " ".join(f"--hil-scenario={one}" for one in given.hil_scenario)
        raise pytest.UsageError(
            "a baseline is held by the harness's suite, and this run is of other tests alone:\n"
            f"  hil test {named or '--hil-scenario=mine.toml'} --board=... --hil-baseline"
        )


def _with_board(config: pytest.Config) -> argparse.Namespace:
    """The options, with the board that is taken where none is named."""
    given = copy(config.option)
    given.hil_board, *others = options.boards(given.hil_board)
    if others and (given.hil_baseline is not None or given.hil_update_baseline):
        raise UsageError(
            "a baseline is one board's, and several are named", hint="run once for each board"
        )
    return given


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests of baselines out where none is asked for."""
    theirs = collection_path.name == _TESTS.name and collection_path.samefile(_TESTS)
    return True if theirs and AGAINST not in config.stash else None


@pytest.fixture
def hil_hold_to_baseline(
    request: pytest.FixtureRequest,
    hil_session: "Session",
    hil_scenario: "Scenario",
    hil_measurement: "Measurement",
) -> Callable[[], None]:
    """Return the check of a scenario against the baseline; fails with what moved, and where."""
    del hil_measurement

    def check() -> None:
        against = request.config.stash[AGAINST]
        found = against.compare(hil_session.rows, hil_scenario.name)
        request.node.user_properties.append(("baseline", str(found.outcome)))
        text = against.explain(found)
        hil_session.mark(hil_scenario.name, found)
        if against.fails(found):
            request.node.user_properties.append(("verdict", str(Verdict.REGRESSION)))
            pytest.fail(f"[{Verdict.REGRESSION}] {text}", pytrace=False)
        if found.outcome.is_quiet:
            request.node.user_properties.append((_QUIET, f"{found.outcome} against {against.name}"))
        else:
            request.node.add_report_section("call", _SECTION, f"{hil_scenario.name}: {text}")

    return check


@pytest.fixture
def hil_lost_scenarios(request: pytest.FixtureRequest, hil_session: "Session") -> list[str]:
    """Scenarios that the baseline has for this target and compiler, and the run does not."""
    if not request.config.option.hil_all:
        return []
    against = request.config.stash[AGAINST]
    return against.gone([hil_session.place(one) for one in hil_session.scenarios])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take the run's figures into the baseline, where that was asked for."""
    config = session.config
    run = config.stash.get(SESSION, None)
    is_worker = hasattr(config, "workerinput")
    if run is None or is_worker or not config.option.hil_update_baseline:
        return
    from hil.run import against

    try:
        file, lines = against.update(
            _with_board(config), run.all_rows(), run.scenarios, run.identity
        )
    except HilError as error:
        config.stash[_SAID].append(str(error))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    else:
        config.stash[_SAID] += [*lines, f"baseline: {file}" + ("" if lines else ", as it was")]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what moved without failing the run, and what was taken in."""
    said = [*_compared(terminalreporter), *config.stash.get(_SAID, [])]
    if said:
        terminalreporter.section("baseline")
        for text in said:
            terminalreporter.write_line(text)


def _compared(terminalreporter: pytest.TerminalReporter) -> Iterator[str]:
    """Yield what passing tests said, in this process or in workers: what moved, then a count."""
    passed = terminalreporter.stats.get("passed", [])
    for report in passed:
        yield from (text for name, text in report.sections if name.split()[1:2] == [_SECTION])
    held = Counter(
        text for report in passed for name, text in report.user_properties if name == _QUIET
    )
    yield from (f"{count} {text}" for text, count in held.items())
