"""pytest's side of the harness: fixtures and reports.

    pytest hil/ --board=stm32f439

The work is done elsewhere: `measurement` prepares and runs, `judge` compares, `results` writes.
This file only hands pytest's options to them and their verdicts to pytest. A run that asks for
nothing of the harness loads nothing of it: the session opens when the suite or a board is named on
the command line, or when a test asks for one of the fixtures.
"""

import os
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hil import options
from hil.errors import HilError, UsageError, Verdict
from hil.pytest_plugin import cores, garbage, marked, outcomes, sessions
from hil.pytest_plugin.sessions import RUN, SESSION

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.config.scenario import Scenario
    from hil.link.client import Device
    from hil.results.rows import Row
    from hil.run.measurement import Measurement, Prepared
    from hil.run.session import Session

pytest_plugins = [
    "hil.pytest_plugin.rewriting",
    "hil.pytest_plugin.progress",
    "hil.pytest_plugin.refusal",
    "hil.pytest_plugin.baselines",
    "hil.pytest_plugin.short_names",
    "hil.pytest_plugin.outcomes",
]
_SUITE = Path(__file__).parent / "suite"
_SUITE_FOLDERS = {"hil", "hil/suite"}  # of a checkout
_REPORT = "junit.xml"


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
    for marker in marked.MARKERS:
        config.addinivalue_line("markers", marker)
    if config.option.help:
        return
    _refuse_folder_that_is_not_here(config)
    runs_suite = config.stash[outcomes.RUNS_SUITE] = _runs_suite(config)
    writes = config.pluginmanager.has_plugin("junitxml") and not config.option.collectonly
    if runs_suite and writes and not config.option.xmlpath:
        config.option.xmlpath = str(config.option.hil_csv.parent / _REPORT)
    if config.option.hil_scenario:
        _refuse_unknown_scenarios(config)
    if runs_suite or config.option.hil_board is not None:
        alone = runs_suite and all(_is_suite(_path(config, one)) for one in config.args)
        try:
            with garbage.staying() if alone else nullcontext():
                of_boards = sessions.of_command_line(config)
            if runs_suite and not config.option.collectonly:
                for session in of_boards:
                    session.check_can_compile(session.scenarios)
        except HilError as error:
            raise pytest.UsageError(str(error)) from error
        if alone:
            garbage.seek_seldom()
            config.pluginmanager.register(_Loader(config), "hil-loader")
            cores.use(config, of_boards)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what stands for each board, and why."""
    return [
        f"hil: {session.board.name} on {session.target.name}: {session.why_target}"
        for session in sessions.opened(config).values()
    ]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist which run it takes part in."""
    from hil.results.rows import RunIdentity

    stash = node.config.stash
    if SESSION in stash:
        stash[RUN] = stash[SESSION].identity
        cores.tell(node.config, node.workerinput, stash[SESSION])
    node.workerinput["hil_run"] = vars(stash.setdefault(RUN, RunIdentity.now(None)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a scenario together where the command line asks for the harness."""
    if SESSION not in config.stash:
        return None
    from hil.pytest_plugin import sharing

    return sharing.scheduler(config, log)


class _Loader:
    """Imports what boards need before the first one is there, in a run of the suite alone."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Import it, so that it stands apart from what goes with a board."""
        if session.items and not self._config.option.collectonly:
            with garbage.staying(), suppress(ImportError):  # `open` tells what is missing
                for one in sessions.opened(self._config).values():
                    one.target.load()


def _runs_suite(config: pytest.Config) -> bool:
    """Whether the command line names the suite or a folder above it, as testpaths does not."""
    if config.option.help or config.args_source is not pytest.Config.ArgsSource.ARGS:
        return False
    paths = [_path(config, argument) for argument in config.args]
    return any(_SUITE.is_relative_to(path) or path.is_relative_to(_SUITE) for path in paths)


def _is_suite(path: Path) -> bool:
    """Whether a path is the suite or in it; a checkout's hil/ holds no other tests."""
    return path == _SUITE.parent or path.is_relative_to(_SUITE)


def _refuse_folder_that_is_not_here(config: pytest.Config) -> None:
    """Say where the suite is, to who types `pytest hil/` outside of a checkout."""
    here = config.invocation_params.dir
    named = next((one for one in config.args if one.rstrip("/") in _SUITE_FOLDERS), "")
    if named and not config.option.pyargs and not (here / named).exists():
        raise pytest.UsageError(
            f"there is no folder {named} in {here}; the suite is part of the installed package:\n"
            "  hil test --board=stm32f439   or   pytest --pyargs hil.suite --board=stm32f439"
        )


def _refuse_unknown_scenarios(config: pytest.Config) -> None:
    """Say once that a scenario of the command line is none, not in every file of tests."""
    from hil.config import scenario

    try:
        for name in config.option.hil_scenario:
            scenario.load(name)
    except HilError as error:
        raise pytest.UsageError(str(error)) from error


def _path(config: pytest.Config, argument: str) -> Path:
    argument = argument.partition("::")[0]
    if config.option.pyargs and argument.partition(".")[0] == "hil":
        return _SUITE.parent.parent.joinpath(*argument.split("."))
    return Path(config.invocation_params.dir, argument).resolve()


@pytest.hookimpl(tryfirst=True)  # the scenario begins a test's id: see pytest_plugin/sharing.py
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once per board, scenario and metric, where it asks for one."""
    names = metafunc.fixturenames
    if "hil_session" not in names and "hil_scenario" not in names:
        return
    try:
        on, told = marked.on_boards(metafunc.definition, metafunc.config)
        scenarios = marked.scenarios(metafunc.definition, on[0]) if "hil_scenario" in names else []
        if not metafunc.config.option.collectonly:
            for session in on:
                session.check_can_compile(scenarios)
    except HilError as error:
        raise pytest.Collector.CollectError(str(error)) from error

    def case(scenario: "Scenario", *metric: str) -> Any:
        marks = [getattr(pytest.mark, _declared(metafunc.config, tag)) for tag in scenario.tags]
        return pytest.param(scenario, *metric, id="-".join([scenario.name, *metric]), marks=marks)

    if "hil_metric" in names:
        cases = [case(one, name) for one in scenarios for name in _judged(on, one)]
        metafunc.parametrize(("hil_scenario", "hil_metric"), cases, scope="session")
    elif "hil_scenario" in names:
        metafunc.parametrize("hil_scenario", [case(one) for one in scenarios], scope="session")
    if told and "hil_session" in names:
        boards = [session.board.name for session in on]
        metafunc.parametrize("hil_session", boards, indirect=True, scope="session")


def _declared(config: pytest.Config, tag: str) -> str:
    """Declare a tag as a marker of pytest, unless it is one; return it."""
    known = config.getini("markers")
    if not any(line.partition(":")[0].partition("(")[0].strip() == tag for line in known):
        config.addinivalue_line("markers", f"{tag}: tests of scenarios with this tag")
    return tag


def _judged(on: "Sequence[Session]", scenario: "Scenario") -> list[str]:
    """Name the metrics that a scenario is judged by on any of the boards."""
    return list(dict.fromkeys(name for session in on for name in session.judged(scenario)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep a scenario's tests on a board together, or each metric would be measured anew.

    Metrics come in the order of their table, which pytest's own order of fixtures has turned.
    """
    first: dict[object, int] = {}

    def place(position: int, item: pytest.Item) -> tuple[int, ...]:
        params = getattr(item, "callspec", None)
        scenario = params.params.get("hil_scenario") if params is not None else None
        if params is None or scenario is None:
            return cores.place(config, ""), position
        together = (scenario.name, params.params.get("hil_session"))
        begins = first.setdefault(together, position)
        if "hil_metric" in params.params:
            alike = (*together, item.parent, getattr(item, "originalname", ""))
            position = first.setdefault(alike, position)
        metric = params.indices.get("hil_metric", 0)
        return cores.place(config, scenario.name), begins, position, metric

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


@pytest.fixture(scope="session")
def hil_session(request: pytest.FixtureRequest) -> Iterator["Session"]:
    """The options of this run on a board, and its rows, which are written however it ends."""
    session = sessions.of_test(request.config, getattr(request, "param", None))
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
        if metric.limit is None:
            scenario = hil_measurement.prepared.scenario
            pytest.skip(f"the scenario {scenario.name} has no limit for {name}")
        request.node.user_properties += hil_session.properties(hil_measurement, metric)
        if metric.verdict is not Verdict.PASS:
            from hil.run import judge

            explained = judge.explain(metric, hil_measurement)
            pytest.fail(f"[{metric.verdict}] {explained}", pytrace=False)

    return check


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table of what was measured."""
    rows = sessions.rows(config)
    if rows:
        from hil.results import summary

        width = shutil.get_terminal_size().columns
        terminalreporter.section("hardware in the loop")
        terminalreporter.write_line(summary.render(rows, width, colour=terminalreporter.hasmarkup))
        csv = config.option.hil_csv
        terminalreporter.write_line(f"results: {csv}")
        folder = _artefacts(rows)
        terminalreporter.write_line(f"image, plan, inputs, outputs, UART: {csv.parent}/{folder}/")
        from hil.results.report import github

        for line in github.tell(rows, config.option.hil_csv, os.environ):
            terminalreporter.write_line(line)


def _artefacts(rows: "Sequence[Row]") -> str:
    """Name the folders of what was measured, of one scenario on one board its own."""
    names = {row.context.scenario for row in rows}
    boards = {row.context.board for row in rows}
    scenario = names.pop() if len(names) == 1 else "<scenario>"
    return scenario if len(boards) == 1 else f"{scenario}.<board>"
