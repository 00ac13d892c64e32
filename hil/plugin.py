"""pytest options, fixtures and reports of the harness: `pytest hil/ --board=stm32f439`.

The work is done elsewhere: `measurement` prepares and runs, `judge` compares, `results` writes.
This file only hands pytest's options to them and their verdicts to pytest.
"""

import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hil import numbers, targets
from hil.errors import HilError, MeasurementError, UsageError, Verdict

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.config.scenario import Scenario
    from hil.link.client import Device
    from hil.results.rows import RunIdentity
    from hil.run.measurement import Measurement, Prepared
    from hil.run.session import Session

pytest_plugins = ["hil.regression_plugin"]
SESSION = pytest.StashKey["Session"]()
_SUITE = Path(__file__).parent / "suite"
_DEFAULT_REPORT = Path("build/hil/junit.xml")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare `--board` and the `--hil-*` options."""
    group = parser.getgroup("hil", "hardware in the loop")
    add = group.addoption
    add(
        "--board",
        default="stm32f439",
        metavar="NAME",
        help="board to test on: a file of boards/, or a path of one (default: %(default)s)",
    )
    add(
        "--hil-target",
        default="emulator",
        choices=targets.Names(),
        metavar="NAME",
        help="what stands for the board (default: %(default)s), one of: %(choices)s. Renode counts "
        "instructions instead of cycles",
    )
    add(
        "--hil-scenario",
        action="append",
        default=[],
        metavar="NAME",
        help="scenario to run, a file of scenarios/ or a path; may be repeated "
        "(default: all but those that say default = false)",
    )
    add("--hil-all", action="store_true", help="run every scenario, the slow ones too")
    add(
        "--hil-input",
        metavar="IMAGE",
        help="photograph to run on instead of the scenario's: a path, or a name scikit-image has",
    )
    add(
        "--hil-checkpoint",
        type=Path,
        metavar="FILE",
        help="trained weights, a state dict (.pth), instead of the scenario's",
    )
    add(
        "--hil-toolchain",
        default="zig",
        choices=("zig", "gcc"),
        help="cross compiler (default: %(default)s)",
    )
    add(
        "--hil-csv",
        type=Path,
        default=Path("build/hil/results.csv"),
        metavar="FILE",
        help="where the results go (default: %(default)s)",
    )
    add(
        "--hil-history-dir",
        type=Path,
        metavar="DIR",
        help="where every run's results are kept (default: history/ beside --hil-csv)",
    )
    add(
        "--hil-iterations",
        type=numbers.iterations,
        metavar="N",
        help="inferences per scenario (default: the scenario's)",
    )
    add(
        "--hil-timeout",
        type=numbers.seconds,
        default=120.0,
        metavar="SECONDS",
        help="longest silence of the board before it is given up (default: %(default)s)",
    )
    add(
        "--hil-retries",
        type=numbers.retries,
        default=1,
        metavar="N",
        help="attempts after a failed set-up (default: %(default)s)",
    )
    add(
        "--hil-probe",
        metavar="ID",
        help="unique id of the debug probe, where several are connected",
    )
    add("--hil-port", metavar="PORT", help="serial port of a real board's link, e.g. /dev/ttyACM0")
    add(
        "--hil-renode",
        metavar="PATH",
        help="Renode's executable or folder (default: $HIL_RENODE, renode-run, renode on PATH)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Open the session, and give the suite a JUnit report where none was asked for."""
    if not _runs_suite(config):
        return
    from hil.results import store
    from hil.run.session import Session

    if not config.option.xmlpath:
        config.option.xmlpath = str(_DEFAULT_REPORT)
    if getattr(config.option, "dist", "no") not in {"no", "each"}:
        config.option.dist = "loadgroup"  # a scenario's tests share its measurement
    identity, part = _identity(config)
    try:
        if not part:
            store.forget(config.option.hil_csv)
        config.stash[SESSION] = Session.from_options(
            config.option, _progress(config), identity=identity, part=part
        )
    except HilError as error:
        raise pytest.UsageError(str(error)) from error


def _identity(config: pytest.Config) -> "tuple[RunIdentity | None, str]":
    """Return the run that this process takes part in and its name there; else None and nothing."""
    from hil.results.rows import RunIdentity

    told = getattr(config, "workerinput", None)
    if told is None:
        return None, ""
    return RunIdentity(**told["hil_run"]), told["workerid"]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist which run it takes part in."""
    session = node.config.stash.get(SESSION, None)
    if session is not None:
        node.workerinput["hil_run"] = vars(session.identity)


def _progress(config: pytest.Config) -> Callable[[str], None]:
    """Tell stages on the terminal, past the capture of output, as they begin."""

    def tell(stage: str) -> None:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        capture = config.pluginmanager.get_plugin("capturemanager")
        if reporter is not None and capture is not None:
            with capture.global_and_fixture_disabled():
                reporter.ensure_newline()
                reporter.write_line(f"  {stage} ...", flush=True)

    return tell


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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a scenario once per scenario, and one for a metric per metric."""
    if "scenario" not in metafunc.fixturenames or SESSION not in metafunc.config.stash:
        return
    session = metafunc.config.stash[SESSION]
    grouped = metafunc.config.pluginmanager.hasplugin("xdist")

    def case(scenario: "Scenario", *metric: str) -> Any:
        marks = pytest.mark.xdist_group(scenario.name) if grouped else ()
        return pytest.param(scenario, *metric, id="-".join([scenario.name, *metric]), marks=marks)

    if "metric" in metafunc.fixturenames:
        cases = [case(one, name) for one in session.scenarios for name in session.judged(one)]
        metafunc.parametrize(("scenario", "metric"), cases, scope="session")
    else:
        metafunc.parametrize("scenario", [case(one) for one in session.scenarios], scope="session")


@pytest.fixture(scope="session")
def hil_session(request: pytest.FixtureRequest) -> Iterator["Session"]:
    """The options of this run and its rows, which are written however it ends."""
    session = request.config.stash.get(SESSION, None)
    if session is None:
        raise UsageError(
            "the board's fixtures were asked for outside its suite",
            hint="run: pytest hil/ --board=stm32f439",
        )
    try:
        yield session
    finally:
        session.write()


@pytest.fixture(scope="session")
def board(hil_session: "Session") -> "Board":
    """The kind of board under test."""
    return hil_session.board


@pytest.fixture(scope="session")
def image(hil_session: "Session", scenario: "Scenario") -> "Prepared":
    """The scenario's firmware, built, with the outputs that it must produce."""
    return hil_session.prepare(scenario)


@pytest.fixture(scope="session")
def device(hil_session: "Session", image: "Prepared") -> Iterator["Device"]:
    """The board, flashed with the image and answering, until the scenario's tests are done."""
    with hil_session.flashed(image) as device:
        yield device


@pytest.fixture(scope="session")
def measurement(hil_session: "Session", image: "Prepared", device: "Device") -> "Measurement":
    """One run of the scenario on the board, which serves all its tests."""
    return hil_session.measure(image, device)


@pytest.fixture
def hold(
    request: pytest.FixtureRequest, hil_session: "Session", measurement: "Measurement"
) -> Callable[[str], None]:
    """Return the check of one metric: fails with the metric's verdict and figures."""

    def check(name: str) -> None:
        metric = hil_session.metric(measurement, name)
        if metric is None:
            pytest.skip(f"{measurement.target} counts {measurement.timing}: it has no {name}")
        request.node.user_properties += [
            ("metric", metric.name),
            ("value", metric.value),
            ("verdict", str(metric.verdict)),
        ]
        if metric.verdict is not Verdict.PASS:
            from hil.run import judge

            explained = judge.explain(metric, measurement)
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
        if report.when == "setup" and not error.verdict.is_setup_error:
            report.when = "call"
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table of what was measured."""
    session = config.stash.get(SESSION, None)
    rows = session.all_rows() if session is not None else []
    if rows:
        from hil.results import summary

        width = shutil.get_terminal_size().columns
        terminalreporter.section("hardware in the loop")
        terminalreporter.write_line(summary.render(rows, width))
        terminalreporter.write_line(f"results: {config.option.hil_csv}")
