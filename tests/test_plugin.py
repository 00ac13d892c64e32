import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from hil import paths
from hil.errors import Verdict
from hil.results import metrics, table
from hil.results.rows import Metric, in_context
from hil.run.session import Session  # numpy loads once per process, so before any run in it

MEETS = """
    import pytest
    from hil.errors import {error}

    @pytest.fixture(scope="session")
    def measurement():
        raise {error}("the {error} of this test", hint="do this next")

    def test_one(measurement):
        pass

    def test_two(measurement):
        pass
"""


def junit(pytester: pytest.Pytester) -> ET.Element:
    suite = ET.parse(pytester.path / "report.xml").getroot().find("testsuite")  # noqa: S314
    assert suite is not None
    return suite


@pytest.mark.parametrize(
    "error", ["BuildError", "ProbeError", "FlashError", "SilenceError", "EmulatorError"]
)
def test_a_fault_of_the_set_up_is_an_error_in_junit(pytester: pytest.Pytester, error: str) -> None:
    pytester.makepyfile(MEETS.format(error=error))
    result = pytester.runpytest("--junitxml=report.xml")
    result.assert_outcomes(errors=1, skipped=1)
    result.stdout.fnmatch_lines(["1 test was not measured: *"])
    assert junit(pytester).get("errors") == "1"
    assert junit(pytester).get("failures") == "0"


@pytest.mark.parametrize("error", ["FirmwareFault", "FirmwareTimeout", "MemoryLimitError"])
def test_a_fault_of_the_firmware_is_a_failure_in_junit(
    pytester: pytest.Pytester, error: str
) -> None:
    pytester.makepyfile(MEETS.format(error=error))
    result = pytester.runpytest("--junitxml=report.xml")
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["1 test was not measured: *"])
    assert junit(pytester).get("failures") == "1"
    assert junit(pytester).get("errors") == "0"


ENDED = """
    import pytest

    @pytest.fixture(scope="session")
    def hil_image(hil_scenario):
        return None

    @pytest.fixture(scope="session")
    def hil_device(hil_session, hil_image):
        {fault}

    @pytest.fixture(scope="session")
    def of_others():
        raise KeyError("of others")

    @pytest.mark.hil(scenario=["face_m4", "vww_base"])
    @pytest.mark.parametrize("metric", ["one", "two", "three"])
    def test_on_a_board(hil_measurement, metric):
        pass

    @pytest.mark.parametrize("number", [1, 2])
    def test_of_something_else(of_others, number):
        pass
"""


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            'pytest.fail("Timeout (>1.0s) from pytest-timeout.")',
            "Timeout (>1.0s) from pytest-timeout.",
        ),
        ('raise RuntimeError("of a driver")', "RuntimeError: of a driver"),
    ],
)
def test_whatever_ends_a_scenarios_set_up_is_one_error(
    pytester: pytest.Pytester, fault: str, told: str
) -> None:
    pytester.makepyfile(ENDED.format(fault=fault))
    result = pytester.runpytest("--junitxml=report.xml")
    result.assert_outcomes(errors=2 + 2, skipped=4)  # two scenarios, and others' tests as ever
    assert f"4 tests were not measured: {told}" in result.outlines
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert (junit(pytester).get("errors"), junit(pytester).get("skipped")) == ("4", "4")
    rows = table.load(pytester.path / "build/hil/results.csv")
    said = [(row.context.scenario, row.metric.name, row.metric.note) for row in rows]
    assert said == [(name, "outcome", told) for name in ("face_m4", "vww_base")]
    assert {row.metric.verdict for row in rows} == {Verdict.ERROR}
    result.stdout.fnmatch_lines(["face_m4, vww_base on stm32f439 *", f"  error: {told}"])
    assert "image, plan, inputs, outputs, UART: build/hil/<scenario>/" in result.outlines


OF_A_USER = """
    from types import SimpleNamespace
    import pytest

    PREPARED = SimpleNamespace(image=SimpleNamespace(build_id=b""))

    @pytest.fixture(scope="session")
    def camera():
        raise OSError("no camera")

    @pytest.fixture(scope="session")
    def hil_device():
        return None

    @pytest.fixture(scope="session")
    def hil_image(hil_scenario):
        return SimpleNamespace(scenario=hil_scenario, **vars(PREPARED))

    @pytest.fixture
    def stranded():
        raise LookupError("no sand")

    pytestmark = pytest.mark.hil(scenario="face_m4")
    {tests}
"""
WITH_CAMERA = "def test_with_camera(camera, hil_measurement): pass"
STRANDED = "def test_stranded(hil_measurement, stranded): pass"
ALONE = "def test_alone(hil_measurement): pass"


@pytest.mark.parametrize(
    ("tests", "notes"),
    [
        ((WITH_CAMERA,), ["OSError: no camera"]),
        ((WITH_CAMERA, ALONE), []),  # measured all the same
        ((STRANDED,), []),
    ],
)
def test_a_fixture_of_ones_own_that_fails_is_the_reason_where_nothing_was_measured(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tests: tuple[str], notes: list[str]
) -> None:
    def measure(self: Session, prepared: Any, device: object) -> None:
        del device
        name = prepared.scenario.name
        self._keep(
            name, in_context(self._context(prepared.scenario), [Metric("cycles", 1, "cycle")])
        )

    monkeypatch.setattr(Session, "measure", measure)
    pytester.makepyfile(OF_A_USER.replace("{tests}", "\n    ".join(tests)))
    result = pytester.runpytest()
    result.assert_outcomes(errors=1, passed=len(tests) - 1)
    rows = table.load(pytester.path / "build/hil/results.csv")
    assert [row.metric.note for row in rows if row.metric.name == "outcome"] == notes
    assert [row.metric.name for row in rows if row.metric.name != "outcome"] == (
        [] if notes else ["cycles"]
    )


def test_the_report_names_the_verdict_and_what_to_do(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(MEETS.format(error="FlashError"))
    result = pytester.runpytest("--junitxml=report.xml")
    result.stdout.fnmatch_lines(["*[[]flash[]] the FlashError of this test*", "*do this next*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    names = [(p.get("name"), p.get("value")) for p in junit(pytester).iter("property")]
    assert names == [("verdict", "flash")]


def test_a_failure_of_the_emulator_is_told_with_its_cause_and_the_log(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import logging
        import threading
        import pytest
        from hil.errors import EmulatorError

        def core():
            try:
                {}["a register"]
            except KeyError:
                logging.getLogger("hil.core").exception("the emulated core's thread failed")

        @pytest.fixture(scope="session")
        def measurement():
            thread = threading.Thread(target=core)
            thread.start()
            thread.join()
            raise EmulatorError("the emulator itself failed: KeyError: 'a register'")

        def test_one(measurement):
            pass
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*the emulator itself failed: KeyError*", "*Captured log*", '*{}[[]"a register"[]]*']
    )


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("--board=stm32f999", "unknown board 'stm32f999'"),
        ("--hil-scenario=face_m5", "unknown scenario 'face_m5'"),
        ("--hil-target=jtag", "invalid choice: 'jtag'"),
        ("--hil-iterations=0", "a whole number from 1 to 10,000 is expected, not '0'"),
        ("--hil-iterations=-1", "a whole number from 1 to 10,000 is expected, not '-1'"),
        ("--hil-timeout=nan", "is expected, not 'nan'"),
        ("--hil-port=/dev/ttyACM0", "--hil-port and --hil-probe are a real board's"),
        ("--hil-input=nobody.jpg", "the scenario face_a: there is no photograph 'nobody.jpg'"),
        ("--hil-checkpoint=no.pth", "the scenario face_a: there is no checkpoint no.pth"),
        ("--hil-calibration=nowhere", "the scenario face_a: nowhere is no folder of photographs"),
        ("--hil-csv=/dev/null/x.csv", "choose another file with --hil-csv"),
        ("--hil-csv=/dev", "choose another file with --hil-csv"),
    ],
)
def test_a_wrong_name_is_told_before_anything_runs(
    pytester: pytest.Pytester, option: str, complaint: str
) -> None:
    result = pytester.runpytest_inprocess("--pyargs", "hil.suite", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert complaint in result.stderr.str()


@pytest.mark.parametrize(
    ("target", "complaint"),
    [("renode", "there is no Renode on this machine"), ("probe", "no debug probe is connected")],
)
def test_a_target_that_is_absent_is_one_error_before_anything_is_compiled(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, target: str, complaint: str
) -> None:
    monkeypatch.setattr("hil.targets.probes.connected", list)
    monkeypatch.setattr("hil.run.measurement.prepare", lambda *_, **__: pytest.fail("compiled"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("HIL_RENODE", raising=False)
    result = pytester.runpytest_inprocess(
        "--pyargs", "hil.suite", f"--hil-target={target}", "--hil-scenario=face_m4"
    )
    outcomes = result.parseoutcomes()
    assert outcomes["errors"] == 1
    assert outcomes["skipped"] > 3
    result.stdout.fnmatch_lines([f"*[[]probe[]] {complaint}*"])


def test_a_run_that_measures_nothing_has_failed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.skip(reason="a plugin that clashes")
        @pytest.mark.hil(scenario="face_m4")
        def test_one(hil_measurement):
            pass
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*nothing was measured*", "*a plugin that clashes*"])


def test_a_metric_without_a_limit_is_skipped_with_that_reason(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from types import SimpleNamespace
        import pytest
        from hil.results.rows import Metric

        @pytest.fixture(scope="session")
        def hil_session():
            return SimpleNamespace(metric=lambda _, name: Metric(name, 1.5, "s"))

        @pytest.fixture(scope="session")
        def hil_measurement():
            prepared = SimpleNamespace(scenario=SimpleNamespace(name="mine"))
            return SimpleNamespace(prepared=prepared, timing="modelled", target="emulator")

        def test_one(hil_hold):
            hil_hold("latency")
        """
    )
    result = pytester.runpytest("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*the scenario mine has no limit for latency*"])


FAILS = """
    from types import SimpleNamespace
    import pytest
    import report_rows
    from dataclasses import replace
    from hil.errors import Verdict
    from hil.results.rows import Metric, in_context

    SLOW = Metric("latency", 0.75, "s", limit=0.5, verdict=Verdict.LATENCY)

    @pytest.fixture(scope="session")
    def hil_measurement(hil_session, hil_scenario):
        where = replace(
            report_rows.CONTEXT, scenario=hil_scenario.name, **vars(hil_session.identity)
        )
        hil_session.rows += in_context(where, [SLOW])
        hil_session._metrics[hil_scenario.name] = {"latency": SLOW}
        return SimpleNamespace(prepared=SimpleNamespace(scenario=hil_scenario))

    @pytest.mark.hil(scenario="face_m4")
    def test_one(hil_hold):
        hil_hold("latency")
"""


def test_a_limit_that_failed_stands_with_its_unit_in_table_csv_and_junit(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(FAILS)
    result = pytester.runpytest("--junitxml=report.xml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["face_m4 on stm32f439 *", "*latency *0.75 s *latency: <= 0.5 s"])
    assert "image, plan, inputs, outputs, UART: build/hil/face_m4/" in result.outlines
    (row,) = table.load(pytester.path / "build/hil/results.csv")
    cells = row.cells()
    assert [cells[name] for name in ("limit", "unit", "verdict")] == [0.5, "s", "latency"]
    told = {one.get("name"): one.get("value") for one in junit(pytester).iter("property")}
    assert [told[name] for name in ("limit", "unit", "verdict")] == ["0.5", "s", "latency"]
    (failure,) = junit(pytester).iter("failure")
    assert failure.get("message") == "Failed: [latency] 0.75 s, limit 0.5 s (latency)"


def test_collecting_alone_writes_no_report(pytester: pytest.Pytester) -> None:
    report = pytester.path / "build/hil/junit.xml"
    report.parent.mkdir(parents=True)
    report.write_text("of the last run")
    result = pytester.runpytest_inprocess("--pyargs", "hil.suite", "--collect-only", "-q")
    assert result.ret == pytest.ExitCode.OK
    assert report.read_text() == "of the last run"


def test_the_suite_behind_a_link_is_the_suite(pytester: pytest.Pytester) -> None:
    (pytester.path / "hil").symlink_to(Path(paths.__file__).parent)
    result = pytester.runpytest_inprocess("hil/", "--collect-only", "-q")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*test_baseline*")


def test_the_suite_is_collected_without_junit(pytester: pytest.Pytester) -> None:
    arguments = ("--pyargs", "hil.suite", "--collect-only", "-q", "-p", "no:junitxml")
    assert pytester.runpytest_inprocess(*arguments).ret == pytest.ExitCode.OK


@pytest.mark.parametrize("named", ["hil", "hil/", "hil/suite"])
def test_the_folder_of_a_checkout_is_explained_where_there_is_none(
    pytester: pytest.Pytester, named: str
) -> None:
    result = pytester.runpytest_inprocess(named, "--board=stm32f439")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*hil test --board=stm32f439*"])


def test_the_header_says_what_stands_for_the_board_and_why(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(): pass")
    result = pytester.runpytest_subprocess("--board=stm32f439")
    result.stdout.fnmatch_lines(["hil: stm32f439 on emulator: no inventory and no --hil-probe *"])


def test_a_named_board_that_is_absent_fails_the_run(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", **{"hil-boards": _REMOTE})
    pytester.makepyfile(
        "def test_one(hil_session):\n    hil_session.target(hil_session.board).open()"
    )
    result = pytester.runpytest_subprocess("--board=stm32f439", "--hil-probe=farm-1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["hil: stm32f439 on probe: farm-1 *", "*no probe server answers*"])


PLANTED = """
    import pytest
    from hil.results.rows import Context, Metric, in_context

    @pytest.fixture(scope="session")
    def hil_image(hil_session, hil_scenario):
        told = dict.fromkeys(("model", "target", "timing", "fingerprint", "toolchain"), "")
        context = Context(
            **vars(hil_session.identity),
            scenario=hil_scenario.name,
            board=hil_session.board.name,
            clock_hz=1,
            **told,
        )
        hil_session.rows += in_context(context, [Metric("cycles", 1, "cycle")])

    @pytest.mark.parametrize("metric", ["one", "two"])
    def test_planted(hil_image, metric):
        pass
"""


@pytest.mark.parametrize(
    "named",
    [
        ("--board=stm32f439", "--board=nucleo_f439zi"),
        ("--board=stm32f439,nucleo_f439zi,stm32f439",),
    ],
)
def test_several_boards_run_the_tests_of_each_and_give_their_rows_once(
    pytester: pytest.Pytester, named: tuple[str, ...]
) -> None:
    pytester.makepyfile(PLANTED)
    scenarios = ("--hil-scenario=face_m4", "--hil-scenario=vww_base")
    result = pytester.runpytest_subprocess("-v", "-p", "no:randomly", *named, *scenarios)
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(["hil: stm32f439 on *", "hil: nucleo_f439zi on *"])
    rows = table.load(pytester.path / "build/hil/results.csv")
    assert sorted((row.context.scenario, row.context.board) for row in rows) == [
        ("face_m4", "nucleo_f439zi"),
        ("face_m4", "stm32f439"),
        ("vww_base", "nucleo_f439zi"),
        ("vww_base", "stm32f439"),
    ]


def test_a_baseline_is_one_boards(pytester: pytest.Pytester) -> None:
    boards = "--board=stm32f439,nucleo_f439zi"
    result = pytester.runpytest_subprocess("--pyargs", "hil.suite", boards, "--hil-baseline")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*a baseline is one board's*"])


_REMOTE = """
[[board]]
name = "farm-1"
kind = "stm32f439"
probe = "remote:127.0.0.1:9"
port = { device = "socket://127.0.0.1:9" }
"""


def test_an_ordinary_pytest_run_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(): pass")
    pytester.runpytest().assert_outcomes(passed=1)
    assert not (pytester.path / "build").exists()


def test_every_option_is_explained(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--help")
    result.stdout.fnmatch_lines(
        ["hardware in the loop:", "*--hil-board=NAME*", "*--hil-toolchain=*", "*--board=*"]
    )


def test_rows_of_all_workers_arrive_once_each_and_are_shown(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from hil.results.rows import Context, Metric, in_context

        @pytest.mark.parametrize("name", ["one", "two", "three", "four"])
        def test_planted(hil_session, name):
            told = dict.fromkeys(("model", "board", "target", "timing", "fingerprint"), "")
            context = Context(
                **vars(hil_session.identity), scenario=name, clock_hz=1, toolchain="zig", **told
            )
            hil_session.rows += in_context(context, [Metric("cycles", 1, "cycle")])
        """
    )
    result = pytester.runpytest_subprocess(
        "--pyargs", "hil.suite", str(pytester.path), "-k", "planted", "-n", "2", "-p", "no:randomly"
    )
    result.assert_outcomes(passed=4)
    rows = table.load(pytester.path / "build/hil/results.csv")
    assert sorted(row.context.scenario for row in rows) == ["four", "one", "three", "two"]
    assert len({row.context.run for row in rows}) == 1
    result.stdout.fnmatch_lines(["* three *", "results: *"])


def test_all_tests_of_a_scenario_run_one_after_another() -> None:
    command = ["hil/", "--collect-only", "-q", "--hil-scenario=face_m4", "--hil-scenario=vww_base"]
    root = Path(__file__).parent.parent
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", *command],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    tests = [line for line in answer.stdout.splitlines() if "::" in line]
    scenarios = [line.partition("[")[2].partition("-")[0] for line in tests]
    assert len(tests) > 6
    assert scenarios == sorted(scenarios)


def test_a_longer_silence_is_not_cut_short_by_pytest_timeout(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.hil_scenario("face_m4")
        def test_on_a_board(hil_scenario, hil_session, request):
            print("board", request.node.get_closest_marker("timeout").args)

        def test_of_something_else(request):
            print("other", request.node.get_closest_marker("timeout"))
        """
    )
    options = ["--timeout=300", "--hil-timeout=1000", "--hil-retries=2", "-s"]
    result = pytester.runpytest(*options)
    result.stdout.fnmatch_lines(["*board (5300.0,)*", "*other None*"])
    result = pytester.runpytest(*options, "--hil-budget=60")
    result.stdout.fnmatch_lines(["*board (360.0,)*"])


@pytest.mark.parametrize(("is_terminal", "lines"), [(True, 9), (False, 3)])
def test_a_pipe_gets_a_line_for_each_scenario_and_whatever_is_unusual(
    pytester: pytest.Pytester, *, is_terminal: bool, lines: int
) -> None:
    pytester.makepyfile(
        f"""
        from hil.pytest_plugin import progress
        from hil.results.remaining import Remaining

        USUAL = "compiling a", "building it", "flashing it", "running inference 1 of 1"

        def test_stages(pytestconfig, monkeypatch):
            reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
            monkeypatch.setattr(reporter, "isatty", {is_terminal})
            left = Remaining(["one", "two"], {{}})
            pytestconfig.stash[progress._LEFT] = left
            tell = progress.teller(pytestconfig)
            for scenario in left.scenarios:
                left.begin(scenario)
                for stage in USUAL:
                    tell(stage)
            tell("it fell silent; trying again")
            left.begin("of another test")
            tell("flashing it")
        """
    )
    told = [
        line
        for line in pytester.runpytest_inprocess("-p", "no:randomly").outlines
        if line.endswith(" ...")
    ]
    assert len([line for line in told if line.startswith("  [")]) == lines
    assert any(line.startswith("  [2/2] two: it fell silent; trying again") for line in told)
    assert told[-1] == "  flashing it ..."


def test_metrics_of_each_scenario_come_in_the_order_of_their_table(
    pytester: pytest.Pytester,
) -> None:
    suite = ("--pyargs", "hil.suite", "--board=stm32f439", "--collect-only", "-q")
    result = pytester.runpytest(*suite, "--hil-scenario=face_m4", "--hil-scenario=vww_base")
    limits = [line.partition("[")[2].rstrip("]") for line in result.outlines if "[" in line]
    of = [kind.name for kind in metrics.KINDS]
    split = [one.split("-", 1) for one in limits]
    for name in ("face_m4", "vww_base"):
        theirs = [of.index(metric) for scenario, metric in split if scenario == name]
        assert len(theirs) > 5
        assert theirs == sorted(theirs)


def test_a_wrong_scenario_of_the_command_line_is_told_once_in_a_run_of_ones_own_tests(
    pytester: pytest.Pytester,
) -> None:
    test = "def test_one(hil_scenario): pass"
    pytester.makepyfile(test_a=test, test_b=test)
    result = pytester.runpytest("--hil-scenario=nope")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "".join(result.errlines).count("unknown scenario 'nope'") == 1
    assert "collecting" not in result.stdout.str()
