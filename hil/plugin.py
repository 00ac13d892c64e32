"""pytest's side of the harness: fixtures and reports.

    pytest hil/ --board=stm32f439

The work is done elsewhere: `measurement` prepares and runs, `judge` compares, `results` writes.
This file only hands pytest's options to them and their verdicts to pytest. A run that asks for
nothing of the harness loads nothing of it: the session opens when the suite or a board is named on
the command line, or when a test asks for one of the fixtures.
"""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hil import options
from hil.errors import HilError, MeasurementError, UsageError, Verdict
from hil.pytest_plugin import progress

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.config.scenario import Scenario
    from hil.link.client import Device
    from hil.results.rows import Row, RunIdentity
    from hil.run.measurement import Measurement, Prepared
    from hil.run.session import Session

pytest_plugins = [
    "hil.pytest_plugin.progress",
    "hil.pytest_plugin.refusal",
    "hil.pytest_plugin.baselines",
]
SESSION = pytest.StashKey["Session"]()
"""Of the first board that is named; the others are in `_SESSIONS`, by name."""

_SESSIONS = pytest.StashKey["dict[str, Session]"]()
_RUN = pytest.StashKey["RunIdentity"]()
_SUITE = Path(__file__).parent / "suite"
_DEFAULT_REPORT = Path("build/hil/junit.xml")
_MARKER = "hil_scenario(*names): run the test on these scenarios, by name or by a path beside it"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    options.declare(parser)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> Generator[None, None, None]:
    """Declare `--board` when all plugins and conftest files have had the time to declare theirs."""
    yield
    options.declare_board(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Open the session where the command line asks for it; the suite has a JUnit report."""
    config.addinivalue_line("markers", _MARKER)
    if config.option.help:
        return
    runs_suite = _runs_suite(config)
    if runs_suite and not config.option.xmlpath:
        config.option.xmlpath = str(_DEFAULT_REPORT)
    if runs_suite or config.option.hil_board is not None:
        try:
            _session(config)
        except HilError as error:
            raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what stands for each board, and why."""
    return [
        f"hil: {session.board.name} on {session.target.name}: {session.why_target}"
        for session in config.stash.get(_SESSIONS, {}).values()
    ]


def _session(config: pytest.Config) -> "Session":
    """Return the session of the first board."""
    return next(iter(_sessions(config).values()))


def _sessions(config: pytest.Config) -> "dict[str, Session]":
    """Return this run's sessions by board, which open when they are first asked for."""
    if _SESSIONS not in config.stash:
        identity, part = _identity(config)
        if not config.option.collectonly:
            _forget_earlier(config, identity)
        _end_as_interrupted()
        opened: dict[str, Session] = {}
        names = options.boards(config.option.hil_board)
        for name in names:
            parts = [part, *([Path(name).stem] if len(names) > 1 else [])]
            one = _opened(config, name, identity, "-".join(filter(None, parts)))
            opened[one.board.name] = one
        config.stash[_SESSIONS] = opened
        config.stash[SESSION] = next(iter(opened.values()))
        if len(opened) == 1:
            config.option.hil_target = config.stash[SESSION].target.name
    return config.stash[_SESSIONS]


def _opened(config: pytest.Config, board: str, identity: "RunIdentity", part: str) -> "Session":
    from hil.run.session import Session

    given = copy(config.option)
    given.hil_board = board
    return Session.from_options(given, progress.teller(config), identity=identity, part=part)


def _end_as_interrupted() -> None:
    """Have SIGTERM end a run as SIGINT does: rows and reports are written, the board released."""
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _identity(config: pytest.Config) -> "tuple[RunIdentity, str]":
    """Return the run that this process takes part in, and its name there if it is not alone."""
    from hil.results.rows import RunIdentity

    told = getattr(config, "workerinput", None)
    here = RunIdentity.now(Path.cwd())
    if told is None:
        return here, ""
    return RunIdentity(**told["hil_run"] | {"commit": here.commit}), told["workerid"]


def _forget_earlier(config: pytest.Config, identity: "RunIdentity") -> None:
    """Remove the table of an earlier run, but not of this one, which other processes may write."""
    from hil.results import store

    csv = config.option.hil_csv
    if not store.Store.beside(csv, identity.run, history=config.option.hil_history_dir).rows():
        store.forget(csv)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist which run it takes part in."""
    from hil.results.rows import RunIdentity

    stash = node.config.stash
    if SESSION in stash:
        stash[_RUN] = stash[SESSION].identity
    node.workerinput["hil_run"] = vars(stash.setdefault(_RUN, RunIdentity.now(None)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a scenario together where the command line asks for the harness."""
    if SESSION not in config.stash:
        return None
    from hil.pytest_plugin import sharing

    return sharing.scheduler(config, log)


def _runs_suite(config: pytest.Config) -> bool:
    """Whether the command line names the suite or a folder above it, as testpaths does not."""
    if config.option.help or config.args_source is not pytest.Config.ArgsSource.ARGS:
        return False
    paths = [_path(config, argument.split("::")[0]) for argument in config.args]
    return any(_SUITE.is_relative_to(path) or path.is_relative_to(_SUITE) for path in paths)


def _path(config: pytest.Config, argument: str) -> Path:
    if config.option.pyargs and argument.partition(".")[0] == "hil":
        return _SUITE.parent.parent.joinpath(*argument.split("."))
    return Path(config.invocation_params.dir, argument).resolve()


@pytest.hookimpl(tryfirst=True)  # the scenario begins a test's id: see pytest_plugin/sharing.py
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once per board, scenario and metric, where it asks for one."""
    names = metafunc.fixturenames
    several = len(options.boards(metafunc.config.option.hil_board)) > 1
    if "hil_scenario" not in names and not (several and "hil_session" in names):
        return
    try:
        sessions = list(_sessions(metafunc.config).values())
        scenarios = _scenarios(sessions[0], metafunc.definition)
    except HilError as error:
        raise pytest.Collector.CollectError(str(error)) from error

    def case(scenario: "Scenario", *metric: str) -> Any:
        return pytest.param(scenario, *metric, id="-".join([scenario.name, *metric]))

    if "hil_metric" in names:
        cases = [case(one, name) for one in scenarios for name in _judged(sessions, one)]
        metafunc.parametrize(("hil_scenario", "hil_metric"), cases, scope="session")
    elif "hil_scenario" in names:
        metafunc.parametrize("hil_scenario", [case(one) for one in scenarios], scope="session")
    if several and "hil_session" in names:
        boards = [session.board.name for session in sessions]
        metafunc.parametrize("hil_session", boards, indirect=True, scope="session")


def _judged(sessions: "Sequence[Session]", scenario: "Scenario") -> list[str]:
    """Name the metrics that a scenario is judged by on any of the boards."""
    return list(dict.fromkeys(name for session in sessions for name in session.judged(scenario)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a scenario's tests on a board together, or each metric would be measured anew."""
    first: dict[object, int] = {}

    def place(position: int, item: pytest.Item) -> int:
        params = getattr(item, "callspec", None)
        scenario = params.params.get("hil_scenario") if params is not None else None
        if params is None or scenario is None:
            return position
        return first.setdefault((scenario.name, params.params.get("hil_session")), position)

    places = {item: place(position, item) for position, item in enumerate(items)}
    items.sort(key=places.__getitem__)
    for item in items:
        _outlast(item)


def _outlast(item: pytest.Item) -> None:
    """Give the harness's own deadlines the time to end a test before pytest-timeout does."""
    config = item.config
    if "hil_session" not in getattr(item, "fixturenames", ()) or not _timeout(config):
        return
    if item.get_closest_marker("timeout") is None:
        given = config.option
        case = getattr(item, "callspec", None)
        scenario = case.params.get("hil_scenario") if case is not None else None
        exchanges = given.hil_retries + 1 + 2 * (scenario.iterations if scenario else 1)
        most = given.hil_budget or given.hil_timeout * exchanges
        item.add_marker(pytest.mark.timeout(_timeout(config) + most))


def _timeout(config: pytest.Config) -> float:
    """Return the seconds after which pytest-timeout ends a test; 0 for never, and without it."""
    if not config.pluginmanager.has_plugin("timeout"):
        return 0.0
    given = config.getoption("timeout")
    return float(config.getini("timeout") or 0 if given is None else given)


def _scenarios(session: "Session", test: pytest.Item) -> "Sequence[Scenario]":
    """Return the scenarios of a test: those of its nearest marker, or the session's."""
    marker = test.get_closest_marker("hil_scenario")
    if marker is None:
        return session.scenarios
    return [session.known.load(name, test.path.parent) for name in marker.args]


@pytest.fixture(scope="session")
def hil_session(request: pytest.FixtureRequest) -> Iterator["Session"]:
    """The options of this run on a board, and its rows, which are written however it ends."""
    sessions = _sessions(request.config)
    session = sessions[getattr(request, "param", next(iter(sessions)))]
    try:
        yield session
    finally:
        session.write()


@pytest.fixture(scope="session")
def hil_board(hil_session: "Session") -> "Board":
    """The kind of board under test."""
    return hil_session.board


@pytest.fixture(scope="session")
def hil_scenario() -> "Scenario":
    """The scenario that the test runs on: it is run once for each."""
    raise UsageError(
        "a fixture of the harness was asked for while a test ran, when it was known no more which "
        "scenarios the test runs on",
        hint="name the fixture among the test's arguments, or in @pytest.mark.usefixtures",
    )


@pytest.fixture(scope="session")
def hil_image(hil_session: "Session", hil_scenario: "Scenario") -> "Prepared":
    """The scenario's firmware, built, with the outputs that it must produce."""
    return hil_session.prepare(hil_scenario)


@pytest.fixture(scope="session")
def hil_device(hil_session: "Session", hil_image: "Prepared") -> Iterator["Device"]:
    """The board, flashed with the image and answering, until the scenario's tests are done."""
    with hil_session.flashed(hil_image) as device:
        yield device


@pytest.fixture(scope="session")
def hil_measurement(
    hil_session: "Session", hil_image: "Prepared", hil_device: "Device"
) -> "Measurement":
    """The scenario's run on the board, of all its iterations; it serves all tests."""
    return hil_session.measure(hil_image, hil_device)


@pytest.fixture
def hil_hold(
    request: pytest.FixtureRequest, hil_session: "Session", hil_measurement: "Measurement"
) -> Callable[[str], None]:
    """Return the check of one metric: fails with the metric's verdict and figures."""

    def check(name: str) -> None:
        metric = hil_session.metric(hil_measurement, name)
        if metric is None:
            counts = hil_measurement.timing
            pytest.skip(f"{hil_measurement.target} counts {counts}: it has no {name}")
        request.node.user_properties += hil_session.properties(hil_measurement, metric)
        if metric.verdict is not Verdict.PASS:
            from hil.run import judge

            explained = judge.explain(metric, hil_measurement)
            pytest.fail(f"[{metric.verdict}] {explained}", pytrace=False)

    return check


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report the firmware's faults as failures and the set-up's as errors, whoever met them."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, HilError):
        report.longrepr = str(error)
    if isinstance(error, MeasurementError):
        item.user_properties.append(("verdict", str(error.verdict)))
        if report.when == "setup" and not error.is_setup_error:
            report.when = "call"
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table of what was measured."""
    rows = _rows(config)
    if rows:
        from hil.results import summary

        width = shutil.get_terminal_size().columns
        terminalreporter.section("hardware in the loop")
        terminalreporter.write_line(summary.render(rows, width, colour=terminalreporter.hasmarkup))
        terminalreporter.write_line(f"results: {config.option.hil_csv}")
        from hil.results.report import github

        for line in github.tell(rows, config.option.hil_csv, os.environ):
            terminalreporter.write_line(line)


def _rows(config: pytest.Config) -> "list[Row]":
    """Return this run's rows; those of workers too, where they alone have opened a session."""
    if SESSION in config.stash:
        session = config.stash[SESSION]
        several = len(config.stash[_SESSIONS]) > 1
        return session.store.rows() if several and session.store else session.all_rows()
    if _RUN not in config.stash:
        return []
    from hil.results.store import Store

    csv, folder = config.option.hil_csv, config.option.hil_history_dir
    return Store.beside(csv, config.stash[_RUN].run, history=folder).rows()
