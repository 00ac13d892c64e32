"""How a test ends that could not be measured: one fault is one error, and no measurement a failure.

A scenario that cannot be prepared, flashed or measured fails the first test that asks for it. The
tests behind it were not measured, which is what they say: skipped, not failed once more. So it is
with whatever ends the set-up: an error of the harness, pytest-timeout, or an exception of others.
"""

import sys
from collections import Counter
from collections.abc import Generator
from contextlib import suppress

import pytest

from hil.errors import HilError, MeasurementError, Verdict
from hil.pytest_plugin import sessions

_TOLD = pytest.StashKey["list[BaseException]"]()
"""Errors that a test has failed with; pytest raises a shared fixture's again, the same object."""

_EMPTY = pytest.StashKey[bool]()
_NOT_MEASURED = "Skipped: not measured: "
_NEEDS = "hil_measurement"
_OURS = "hil_session"  # which each test on a board asks for, by way of other fixtures
_HYPOTHESIS = "hypothesispytest"
RUNS_SUITE = pytest.StashKey[bool]()
"""Whether the command line names the suite."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report the firmware's faults as failures and the set-up's as errors, each of them once."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if error is None or not _ends_measuring(item, call.when, error):
        return report
    told = item.config.stash.setdefault(_TOLD, [])
    if any(one is error for one in told):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"{_NOT_MEASURED}{_first_line(error)}")
        return report
    told.append(error)
    if not isinstance(error, MeasurementError):
        _note(item, _first_line(error))
    if not isinstance(error, HilError):
        return report  # with its traceback, since nobody knows what it is
    report.longrepr = str(error)
    if isinstance(error, MeasurementError):
        item.user_properties.append(("verdict", str(error.verdict)))
        if report.when == "setup" and not error.is_setup_error:
            report.when = "call"
    return report


def _ends_measuring(item: pytest.Item, when: str, error: BaseException) -> bool:
    """Whether an error keeps the tests that share its fixture from being measured.

    Args:
        item: the test that met it.
        when: the test did: in its set-up, its call or its teardown.
        error: ours, or of others, which counts in the set-up of a test on a board.
    """
    if isinstance(error, HilError):
        return True
    on_board = _OURS in getattr(item, "fixturenames", ())
    return when == "setup" and on_board and not isinstance(error, pytest.skip.Exception)


def _note(item: pytest.Item, why: str) -> None:
    """Give the scenario of a test a row that says why it was not measured, where it has none.

    Args:
        item: the test.
        why: in one line.
    """
    case = getattr(item, "callspec", None)
    params = case.params if case is not None else {}
    if _OURS not in getattr(item, "fixturenames", ()) or "hil_scenario" not in params:
        return
    with suppress(HilError):  # where no row can be written, the run says so by itself
        session = sessions.of_test(item.config, params.get(_OURS))
        session.note_unmeasured(params["hil_scenario"], why)
        item.user_properties.append(("verdict", str(Verdict.ERROR)))


def _first_line(error: BaseException) -> str:
    """Return an error's first line, with the kind of one that is not ours."""
    line = str(error).partition("\n")[0]
    ours = isinstance(error, HilError | pytest.fail.Exception)
    return line if ours else f"{type(error).__name__}: {line}"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that was to measure something and has measured nothing."""
    config = session.config
    if config.stash.get(RUNS_SUITE, False):
        _spare_hypothesis(config)
    asked = config.stash.get(RUNS_SUITE, False) or any(
        _NEEDS in getattr(item, "fixturenames", ()) for item in session.items
    )
    alone = not hasattr(config, "workerinput") and not config.option.collectonly
    if alone and asked and session.exitstatus == pytest.ExitCode.OK and not sessions.rows(config):
        config.stash[_EMPTY] = True
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _spare_hypothesis(config: pytest.Config) -> None:
    """Keep hypothesis from being loaded for a summary of tests that did not use it.

    Its pytest plugin would do that at the end of every run: some 70 modules, which take seconds
    where Python writes no bytecode.
    """
    plugin = config.pluginmanager.get_plugin(_HYPOTHESIS)
    if plugin is not None and "hypothesis" not in sys.modules:
        config.pluginmanager.unregister(plugin)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say that nothing was measured, and why where the tests said it."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = [str(one.longrepr[2]) for one in skipped if isinstance(one.longrepr, tuple)]
    lost = [reason for reason in reasons if reason.startswith(_NOT_MEASURED)]
    for reason, count in Counter(lost).items():
        tests = "1 test was" if count == 1 else f"{count} tests were"
        terminalreporter.write_line(f"{tests} not measured: {reason.removeprefix(_NOT_MEASURED)}")
    if not config.stash.get(_EMPTY, False):
        return
    terminalreporter.section("nothing was measured", red=True, bold=True)
    for reason in sorted({*reasons}):
        terminalreporter.write_line(reason)
    terminalreporter.write_line("a run that measures nothing has failed: does a plugin skip tests?")
