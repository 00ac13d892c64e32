"""What a run says on the terminal: verdicts at its end, and how long it still takes."""

from dataclasses import replace

import pytest
import report_rows
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import Verdict
from hil.results import remaining, summary
from hil.results.remaining import Remaining
from hil.results.rows import Metric, Row, in_context

NAMES = [f"scenario_{letter}" for letter in "abcdefgh"]


def run_of(names: list[str], failing: str = "") -> list[Row]:
    rows = []
    for name in names:
        metrics = list(report_rows.SMALL)
        if name == failing:
            metrics[1] = replace(metrics[1], limit=0.05, verdict=Verdict.LATENCY)
        rows += in_context(replace(report_rows.CONTEXT, scenario=name), metrics)
    return rows


def test_one_scenario_is_shown_whole() -> None:
    text = summary.render(run_of(["face"]))
    assert text.startswith("face on stm32f439 (emulator, modelled cycles, zig 0.17.0)")
    assert "RAM, paper's count" in text


def test_eight_scenarios_have_a_row_each_and_one_headline() -> None:
    lines = summary.render(run_of(NAMES)).splitlines()
    assert lines[0].startswith("8 scenarios pass on stm32f439")
    assert len(lines) <= 8 + 5
    for name in NAMES:
        (line,) = (line for line in lines if name in line)
        assert "pass" in line
        assert "161,884" in line


def test_of_several_only_those_that_failed_are_shown_whole() -> None:
    text = summary.render(run_of(NAMES, failing="scenario_c"))
    assert text.startswith("1 of 8 scenarios fail")
    assert text.count("RAM, paper's count") == 1
    assert "scenario_c on stm32f439" in text


def test_a_figure_that_became_worse_is_shown_even_if_the_summary_leaves_it_out() -> None:
    worse = Metric("flash.code", 9, "B", verdict=Verdict.REGRESSION)
    text = summary.render(in_context(report_rows.CONTEXT, [worse]))
    assert "flash.code" in text
    assert "regression" in text


def test_nothing_is_coloured_unless_asked_for() -> None:
    rows = run_of(NAMES, failing="scenario_c")
    assert "\x1b" not in summary.render(rows)
    assert "\x1b[1;31mlatency" in summary.render(rows, colour=True)


@pytest.mark.parametrize("width", [80, 200])
def test_no_line_is_wider_than_the_terminal_but_the_headline(width: int) -> None:
    lines = summary.render(run_of(NAMES), width).splitlines()
    assert max(len(line) for line in lines[1:]) <= width


def test_figures_are_never_cut_short() -> None:
    big = [replace(metric, value=123_456_789.0) for metric in report_rows.SMALL]
    rows = run_of(["a_scenario_with_a_long_name", "b"])
    rows += in_context(replace(report_rows.CONTEXT, scenario="big"), big)
    text = summary.render(rows, 80)
    assert text.count("123,456,789") >= 3
    assert "…" not in text.split("big", 1)[1].splitlines()[0]


def timed(run: str, scenario: str, *seconds: float) -> list[Row]:
    stages = [Metric(f"time.{i}", value, "s") for i, value in enumerate(seconds)]
    return in_context(replace(report_rows.CONTEXT, run=run, scenario=scenario), stages)


def test_durations_are_those_of_the_latest_run_with_all_its_stages() -> None:
    history = [*timed("1", "a", 5.0), *timed("2", "a", 1.0, 2.0), *timed("1", "b", 7.0)]
    assert remaining.durations(history) == {"a": 3.0, "b": 7.0}


def test_progress_says_which_of_how_many_and_how_long_it_still_takes() -> None:
    clock = [100.0]
    left = Remaining(["a", "b", "c"], {"a": 60.0, "b": 120.0}, now=lambda: clock[0])
    left.begin("a")
    assert left.say("compiling") == "[1/3] a: compiling, 4 min left"  # c as the mean, 90 s
    clock[0] += 50.0
    left.begin("b")
    clock[0] += 110.0
    assert left.left_s() == pytest.approx(10.0 + (50.0 + 120.0) / 2)
    left.begin("c")
    clock[0] += 1000.0
    assert left.say("running") == "[3/3] c: running, 5 s left"


def test_nothing_is_promised_where_nothing_is_known() -> None:
    left = Remaining(["a"], {})
    assert left.say("compiling") == "compiling"
    left.begin("a")
    assert left.say("compiling") == "[1/1] a: compiling"


@given(st.floats(0, 1e5))
def test_a_duration_in_words_is_near_the_duration(seconds: float) -> None:
    number, unit = remaining.in_words(seconds).split()
    told = int(number) * {"s": 1, "min": 60}[unit]
    assert abs(told - seconds) <= {"s": 5, "min": 30}[unit]


def test_a_measurement_that_ended_early_says_why_in_place_of_a_table() -> None:
    note = "no probe [of 2] answers"
    ended = Metric("outcome", 0, "", verdict=Verdict.PROBE, note=note)
    told = summary.render(in_context(report_rows.CONTEXT, [ended]))
    assert f"\n  probe: {note}" in told
    assert "per image" not in told


def test_a_regression_is_not_set_beside_the_limit_that_it_keeps() -> None:
    held = Metric("ram.total", 7_632, "B", limit=60_000, verdict=Verdict.REGRESSION)
    told = summary.render(in_context(report_rows.CONTEXT, [held]))
    assert "regression" in told
    assert "60,000" not in told
