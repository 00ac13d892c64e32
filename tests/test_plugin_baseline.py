import json
from collections.abc import Callable
from pathlib import Path

import pytest

import hil.run.session  # noqa: F401  numpy loads once per process, so before any run in it
from hil.errors import Verdict
from hil.results import baseline, table

CONFTEST = """
import json, os, sys
from dataclasses import replace
sys.path.insert(0, {tests!r})
import pytest
import planted

@pytest.fixture(scope="session")
def hil_measurement(hil_session, hil_scenario):
    values = json.loads(os.environ.get("PLANTED", "{{}}"))
    image = os.environ.get("PLANTED_IMAGE", "aa")
    context = replace(hil_session._context(hil_scenario), build_id=image)
    hil_session.rows += planted.with_values(context, values)
"""

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the suite's tests of baselines on planted rows."""
    monkeypatch.delenv("CI", raising=False)
    pytester.makeconftest(CONFTEST.format(tests=str(Path(__file__).parent)))

    def suite(*options: str, **values: float) -> pytest.RunResult:
        monkeypatch.setenv("PLANTED", json.dumps(values))
        paths = ("--pyargs", "hil.suite", str(pytester.path), "-k", "baseline")
        one = () if "--hil-all" in options else ("--hil-scenario=face_m4",)
        return pytester.runpytest_inprocess(*paths, *one, *options)

    return suite


@pytest.fixture
def made(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the suite where a baseline of face_m4 has been made."""
    Path("test_measured.py").write_text("def test_measured(hil_measurement, hil_scenario): pass\n")
    result = run("-k", "measured", "--hil-update-baseline", "--hil-why=first")
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["*face_m4 on *: new", "baseline: baselines/stm32f439.csv"])
    monkeypatch.setenv("PLANTED_IMAGE", "bb")
    return run


def test_the_first_run_without_a_baseline_passes_and_says_how_to_make_one(run: Run) -> None:
    result = run("--hil-baseline", "--hil-stale=error")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*no baseline yet; make one: *--hil-update-baseline --hil-why*"])


@pytest.mark.parametrize("option", ["--hil-baseline", "--hil-update-baseline"])
def test_a_run_of_ones_own_tests_alone_is_told_where_baselines_are_held(
    pytester: pytest.Pytester, option: str
) -> None:
    pytester.makepyfile("def test_one(hil_measurement): pass")
    words = ("--hil-why=first", "--hil-scenario=face_m4", "--board=stm32f439")
    result = pytester.runpytest_inprocess(option, *words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "hil test --hil-scenario=face_m4 --board=... --hil-baseline" in result.stderr.str()


def test_without_the_option_there_is_no_test_of_baselines(run: Run) -> None:
    assert run().ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_equal_figures_pass_and_an_image_that_is_the_same_is_unchanged(
    made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made("--hil-baseline", "--hil-stale=error").assert_outcomes(passed=2)
    monkeypatch.setenv("PLANTED_IMAGE", "aa")
    result = made("--hil-baseline", "--hil-stale=error")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["1 unchanged against baselines/stm32f439.csv"])


def test_one_cycle_more_fails_with_the_layer_named_and_stands_in_the_table(made: Run) -> None:
    planted = {"cycles": 1_601, "cycles.layer.blocks.1": 301}
    result = made("--hil-baseline", **planted)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*[[]regression[]]*+1 cycle in blocks.1 (conv2d)*"])
    verdicts = {
        row.metric.name: row.metric.verdict for row in table.load(Path("build/hil/results.csv"))
    }
    assert verdicts["cycles"] is Verdict.REGRESSION
    assert verdicts["cycles.layer.blocks.1"] is Verdict.REGRESSION
    assert verdicts["ram.total"] is Verdict.PASS


def test_an_improvement_warns_or_fails_until_it_is_taken_in(made: Run) -> None:
    result = made("--hil-baseline", cycles=1_500)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["face_m4: improvement against *-100 cycle*", "*take it in:*"])
    result = made("--hil-baseline", "--hil-stale=error", cycles=1_500)
    result.assert_outcomes(failed=1, passed=1)
    made("-k", "measured", "--hil-update-baseline", "--hil-why=faster", cycles=1_500)
    made("--hil-baseline", "--hil-stale=error", cycles=1_500).assert_outcomes(passed=2)
    log = table.records_of(baseline.log_of(baseline.path_of("stm32f439")), baseline.LOG_COLUMNS)
    assert [(entry["why"], entry["change"]) for entry in log] == [
        ("first", "new"),
        ("faster", "cycles -100 cycle"),
    ]


def test_in_ci_a_stale_baseline_is_an_error(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    made("--hil-baseline", cycles=1_500).assert_outcomes(failed=1, passed=1)


def test_a_scenario_that_is_gone_fails_by_name(made: Run) -> None:
    path = baseline.path_of("stm32f439")
    path.write_text(path.read_text().replace("face_m4", "face_m9"))
    result = made("--hil-baseline", "--hil-all")
    result.stdout.fnmatch_lines(["*[[]regression[]] the baseline has face_m9, this run does not*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_figures_that_failed_are_not_taken_in(made: Run) -> None:
    path = baseline.path_of("stm32f439")
    before = path.read_bytes()
    result = made("-k", "no_such_test", "--hil-update-baseline", "--hil-why=x", cycles=1)
    result.stdout.fnmatch_lines(["the baseline is left as it is: face_m4 did not pass"])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--hil-update-baseline",), "needs a reason"),
        (("--hil-baseline=.",), "is a directory"),
        (("--hil-baseline=git:no-such-revision",), "no-such-revision"),
        (("--hil-baseline", "--hil-input=chelsea"), "--hil-input and a baseline exclude"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_runs(
    run: Run, options: tuple[str, ...], complaint: str
) -> None:
    result = run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert complaint in result.stderr.str()


def test_the_tests_of_a_scenario_stay_together_so_that_it_is_measured_once(
    pytester: pytest.Pytester,
) -> None:
    result = pytester.runpytest_inprocess(
        *("--pyargs", "hil.suite", "--collect-only", "-q"),
        *("--hil-scenario=face_m4", "--hil-scenario=vww_strided"),
    )
    order = [line.partition("[")[2].partition("-")[0] for line in result.outlines if "[" in line]
    assert len(order) > 4
    assert order == sorted(order)


def test_what_workers_find_against_the_baseline_is_said_as_well(made: Run) -> None:
    result = made("--hil-baseline", "-n", "1", cycles=1_500)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["face_m4: improvement against *-100 cycle*", "*take it in:*"])
