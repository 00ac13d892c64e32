"""What other tools read of a run: markdown, OpenMetrics, two dashboards' JSON, annotations."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import report_rows
from hypothesis import given
from hypothesis import strategies as st

from hil import cli
from hil.results import baseline, figures
from hil.results.report import (
    against,
    annotations,
    dashboards,
    github,
    markdown,
    openmetrics,
    page,
    subjects,
)
from hil.results.report.subjects import Subject
from hil.results.rows import Metric, in_context

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = rf'{_NAME}="(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(rf"({_NAME})\{{({_LABEL}(?:,{_LABEL})*)\}} (-?\d+(?:\.\d+)?(?:e-?\d+)?)")
_META = re.compile(rf"# (TYPE|UNIT|HELP) ({_NAME}) (.+)")


@pytest.fixture
def found() -> list[Subject]:
    return subjects.gather(report_rows.rows(), Path("nowhere.csv"))


def parsed(text: str) -> dict[tuple[str, str], float]:
    """Read OpenMetrics strictly: families whole and once, units as suffixes, an end, no repeats."""
    lines = text.split("\n")
    assert lines[-2:] == ["# EOF", ""]
    family, seen, samples = "", set(), {}
    for line in lines[:-2]:
        meta, sample = _META.fullmatch(line), _SAMPLE.fullmatch(line)
        assert meta or sample, line
        if meta and meta[1] == "TYPE":
            assert meta[3] == "gauge"
            assert meta[2] not in seen
            family = meta[2]
            seen.add(family)
        elif meta:
            assert meta[2] == family
            assert meta[1] != "UNIT" or family.endswith(f"_{meta[3]}")
        elif sample:
            assert sample[1] == family
            assert (sample[1], sample[2]) not in samples
            samples[sample[1], sample[2]] = float(sample[3])
    return samples


def test_openmetrics_hold_every_figure_that_repeats(found: list[Subject]) -> None:
    samples = parsed(openmetrics.render(found))
    labels = 'board="stm32f439",target="emulator",timing="modelled",toolchain="zig 0.17.0"'
    assert samples["hil_cycles", f'scenario="small",{labels}'] == 16_800_123
    assert samples["hil_latency_seconds", f'scenario="big",{labels}'] == 1.0
    layer = f'scenario="small",{labels},layer="blocks.0"'
    assert samples["hil_cycles_layer_cycles", layer] == 6_800_023
    assert samples["hil_ram_total_bytes", f'scenario="small",{labels}'] == 161_884
    assert not any("odd" in name or "outcome" in name for name, _ in samples)


@given(scenario=st.text(max_size=20), value=st.floats(allow_nan=False, allow_infinity=False))
def test_openmetrics_stay_readable_whatever_a_scenario_is_called(
    scenario: str, value: float
) -> None:
    name = scenario.replace("\r", "").replace("\x85", "")
    metric = Metric("output.cosine", value, "")
    one = Subject(replace(report_rows.CONTEXT, scenario=name), {metric.name: metric})
    text = openmetrics.render([one])
    assert list(parsed(text.replace("e+", "e")).values()) == [value]


def test_host_seconds_and_the_links_faults_are_not_told_to_other_tools() -> None:
    noise = [Metric("time.build", 1.5, "s"), Metric("link.resends", 1, "")]
    rows = in_context(report_rows.CONTEXT, noise)
    assert openmetrics.render(subjects.gather(rows, Path("nowhere.csv"))) == "# EOF\n"


def test_bencher_gets_a_benchmark_for_each_scenario_that_was_measured(
    found: list[Subject],
) -> None:
    told = json.loads(dashboards.bencher(found))
    assert set(told) == {"small", "big"}
    assert told["small"]["cycles"] == {"value": 16_800_123}
    assert told["big"]["latency"] == {"value": 1e9}
    assert told["small"]["ram-total"] == {"value": 161_884}
    assert all(set(one) == {"value"} for measures in told.values() for one in measures.values())


def test_github_action_benchmark_gets_only_what_is_better_smaller(found: list[Subject]) -> None:
    told = json.loads(dashboards.benchmark_action(found))
    assert all({"name", "unit", "value", "extra"} == set(one) for one in told)
    names = [one["name"] for one in told]
    assert "small cycles" in names
    assert "big ram.total" in names
    assert not any("cosine" in name or "macs" in name for name in names)
    assert len(set(names)) == len(names)


def test_markdown_says_the_verdict_then_a_line_for_each_scenario(found: list[Subject]) -> None:
    lines = markdown.render(found).splitlines()
    assert lines[0] == "## 2 of 3 scenarios fail"
    table_lines = [line for line in lines if line.startswith("|")]
    assert len(table_lines) == 2 + 3
    assert len({line.count("|") for line in table_lines}) == 1
    assert "| small | ✅ pass | 0.1 s (0.00957 of the reference) |" in table_lines[2]
    assert "- **big**: [latency] latency is 1 s, limit 0.5 s" in lines
    assert "- **broken**: [flash] the measurement ended early: sector <3> is protected" in lines


def test_annotations_stand_at_the_scenarios_file(
    found: list[Subject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "big.toml").touch()
    monkeypatch.chdir(tmp_path)
    slow, big, broken = annotations.render(found).splitlines()
    place = "::error file=scenarios/big.toml,title=big%3A"
    assert slow == f"{place} latency::[latency] latency is 1 s, limit 0.5 s"
    assert big == f"{place} memory::[memory] ram.total is 200,000 B, limit 188,160 B"
    why = "[flash] the measurement ended early: sector <3> is protected"
    assert broken == f"::error title=broken%3A flash::{why}"


def test_an_annotation_cannot_end_its_line() -> None:
    one = Subject(
        replace(report_rows.CONTEXT, scenario="a\nb,c:100%"), {"outcome": report_rows.BROKEN[0]}
    )
    assert annotations.render([one]).startswith("::error title=a%0Ab%2Cc%3A100%25%3A flash::")


def test_what_moved_against_a_baseline_is_named_in_every_form(tmp_path: Path) -> None:
    rows = in_context(report_rows.CONTEXT, report_rows.SMALL)
    faster = [replace(m, value=m.value - 1) if m.unit == "cycle" else m for m in report_rows.SMALL]
    path = tmp_path / "stm32f439.csv"
    baseline.write(figures.gather(in_context(report_rows.CONTEXT, faster)), path)
    moved = against.read(rows, path)
    found = subjects.gather(rows, Path("nowhere.csv"))
    assert moved.is_worse
    for text in (markdown.render(found, moved), annotations.render(found, moved)):
        assert "cycles 16,800,122 cycle -> 16,800,123 cycle" in text
        assert "+1 cycle in pool" in text


def test_scenarios_that_the_run_lacks_are_named_where_the_baseline_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    csv, path = report_rows.write(tmp_path), tmp_path / "base.csv"
    other = replace(report_rows.CONTEXT, scenario="lost")
    probe = replace(report_rows.CONTEXT, scenario="of_the_probe", target="probe")
    contexts = (report_rows.CONTEXT, other, probe)
    rows = [row for one in contexts for row in in_context(one, report_rows.SMALL)]
    baseline.write(figures.gather(rows), path)
    for form in ("markdown", "annotations", "html"):
        out = tmp_path / form
        command = ["report", "--csv", str(csv), "--format", form, "--out", str(out)]
        assert cli.main([*command, "--baseline", str(path)]) == 0
        text = out.read_text()
        assert "lost" in text
        assert "the baseline has it, this run does not" in text
        assert "of_the_probe" not in text
    capsys.readouterr()


def test_nothing_moved_against_ones_own_figures(tmp_path: Path) -> None:
    rows = in_context(report_rows.CONTEXT, report_rows.SMALL)
    path = tmp_path / "stm32f439.csv"
    baseline.write(figures.gather(rows), path)
    moved = against.read(rows, path)
    assert not moved.is_worse
    assert moved.verdict == "1 unchanged"
    assert [change.lines for change in moved.changes] == [[]]


@pytest.mark.parametrize(
    "form", ["markdown", "openmetrics", "bencher", "benchmark-action", "annotations"]
)
def test_the_command_prints_or_writes_each_format(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    csv = report_rows.write(tmp_path)
    command = ["report", "--csv", str(csv), "--format", form]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert printed
    assert cli.main([*command, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_text() == printed


def test_the_page_says_what_moved(tmp_path: Path) -> None:
    csv = report_rows.write(tmp_path)
    faster = [replace(m, value=m.value - 1) if m.unit == "cycle" else m for m in report_rows.SMALL]
    path = tmp_path / "base.csv"
    baseline.write(figures.gather(in_context(report_rows.CONTEXT, faster)), path)
    assert cli.main(["report", "--csv", str(csv), "--baseline", str(path)]) == 0
    html = (tmp_path / "report.html").read_text()
    assert "Against base&#39;s baseline: 1 regression" in html
    assert "+1 cycle in pool" in html


def test_what_became_worse_does_not_pass_on_the_page(tmp_path: Path) -> None:
    rows = in_context(report_rows.CONTEXT, report_rows.SMALL)
    faster = [replace(m, value=m.value - 1) if m.unit == "cycle" else m for m in report_rows.SMALL]
    path = tmp_path / "base.csv"
    baseline.write(figures.gather(in_context(report_rows.CONTEXT, faster)), path)
    found = subjects.gather(rows, Path("nowhere.csv"))
    header = page.build(found, "", against.read(rows, path)).partition("</h1>")[0]
    assert "1 of 1 scenario became worse" in header
    assert "passes" not in header
    assert '<header class="bad">' in header


def test_a_workflow_of_github_gets_a_summary_and_annotations(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    lines = github.tell(report_rows.rows(), tmp_path / "results.csv", environment)
    assert [line.partition(" ")[0] for line in lines] == ["::error"] * 3
    github.tell(report_rows.rows(), tmp_path / "results.csv", environment)
    assert summary.read_text().count("## 2 of 3 scenarios fail") == 2


def test_outside_a_workflow_nothing_is_told(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    told = github.tell(
        report_rows.rows(), tmp_path / "r.csv", {"GITHUB_STEP_SUMMARY": str(summary)}
    )
    assert told == []
    assert not summary.exists()
