import csv
import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import planted_history
import pytest
from planted import HERE, figures, with_values

from hil import cli
from hil.errors import UsageError
from hil.results import baseline, fail_on, render, table
from hil.results.baseline import Reason
from hil.results.compare import compare
from hil.results.store import Store

SLOWER = {"cycles": 1_601.0, "cycles.layer.blocks.1": 301.0}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs in the history, the later one cycle slower."""
    monkeypatch.chdir(tmp_path)
    for name, build, values in (("run-1", "aa", {}), ("run-2", "bb", SLOWER)):
        context = replace(HERE, run=name, build_id=build, when=name)
        Store.beside(Path("build/hil/results.csv"), name).write(with_values(context, values))


@pytest.mark.usefixtures("runs")
def test_two_runs_are_compared_and_the_status_says_how_it_went(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["compare", "last~1", "last"]) == 1
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "1 regression"
    assert "+1 cycle in blocks.1 (conv2d)" in said
    assert "geometric mean of cycles: 1.000625 of before" in said.splitlines()[-3]
    assert cli.main(["compare", "run-1", "build/hil/history/run-1.csv"]) == 0
    assert "unchanged" in capsys.readouterr().out
    assert cli.main(["compare", "last", "last~1"]) == 0
    assert cli.main(["compare", "last", "last~1", "--fail-on", "improvement"]) == 1


@pytest.mark.usefixtures("runs")
def test_a_baseline_is_one_side_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    reason = Reason("now", "c", "a", "why", {})
    baseline.update(Path("b.csv"), figures(), reason)
    assert cli.main(["compare", "b.csv", "last"]) == 1
    assert cli.main(["compare", "b.csv", "last~1"]) == 0
    capsys.readouterr()


@pytest.mark.usefixtures("runs")
def test_a_scenario_that_one_side_lacks_is_said_and_has_a_status_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table.write(with_values(replace(HERE, scenario="other"), {}), Path("other.csv"))
    assert cli.main(["compare", "last", "other.csv"]) == 2
    said = capsys.readouterr().out
    assert "1 not in the baseline, 1 gone" in said


@pytest.mark.usefixtures("runs")
def test_a_name_that_is_nothing_is_refused_with_what_there_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["compare", "run-9", "last"]) == 2
    assert "run-1, run-2" in capsys.readouterr().err
    assert cli.main(["compare", "last~7", "last"]) == 2
    assert "holds 2 runs" in capsys.readouterr().err


def test_revisions_are_built_and_run_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = planted_history.make(tmp_path, [100, 101])
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compare", good, bad, "--scenario", "face_m4"]) == 1
    assert "+1 cycle" in capsys.readouterr().out
    assert cli.main(["compare", good, bad]) == 2
    assert "--scenario" in capsys.readouterr().err


FOUND = compare(figures(), figures(replace(HERE, build_id="bb"), SLOWER))


def test_csv_and_json_hold_every_change() -> None:
    rows = list(csv.DictReader(StringIO(render.render(FOUND, "csv"))))
    assert [(row["metric"], row["moved"]) for row in rows] == [
        ("cycles", "1"),
        ("cycles.layer.blocks.1", "1"),
    ]
    (scenario,) = json.loads(render.render(FOUND, "json"))["scenarios"]
    assert [change["after"] for change in scenario["changes"]] == [1_601, 301]


def test_markdown_has_wholes_layers_and_means() -> None:
    lines = render.render(FOUND, "markdown").splitlines()
    assert lines[0] == "**1 regression**"
    assert any(line.startswith("| face_m4 | blocks.1 | conv2d | 300 cycle |") for line in lines)
    assert lines[-3].startswith("geometric mean of cycles")


def test_the_page_has_every_change_and_asks_for_nothing() -> None:
    html = render.render(FOUND, "html")
    assert "<h1>1 regression</h1>" in html
    assert "+1 cycle in blocks.1 (conv2d)" in html
    assert '<th scope="row">face_m4</th><td>blocks.1</td><td>conv2d</td>' in html
    assert "geometric mean of cycles" in html
    assert not re.search(r"url\(|@import|https?://|<script", html)


@pytest.mark.parametrize(
    ("expression", "fails"),
    [
        ("regression", True),
        ("improvement", False),
        ("change", True),
        ("unknown", False),
        ("cycles>0.05%", True),
        ("cycles>0.07%", False),
        ("cycles>0", True),
        ("cycles>1", False),
        ("cycles<0", False),
        ("ram.*>0", False),
        ("ram.total>256, cycles.layer.*>0", True),
    ],
)
def test_an_expression_says_what_fails(expression: str, fails: bool) -> None:
    assert any(fail_on.parse(expression)(one) for one in FOUND) == fails


@pytest.mark.parametrize("expression", ["", "worse", "cycles>", "cycles>1.2.3", "cycles=1", "a>b"])
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(UsageError, match="is no condition"):
        fail_on.parse(expression)


@pytest.mark.usefixtures("runs")
def test_the_history_of_a_metric_is_a_table_and_a_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["history", "cycles", "--csv", "h.csv"]) == 0
    assert "+1 cycle" in capsys.readouterr().out
    rows = list(csv.DictReader(StringIO(Path("h.csv").read_text())))
    assert [(row["run"], row["value"], row["moved"]) for row in rows] == [
        ("run-1", "1600", "0"),
        ("run-2", "1601", "1"),
    ]
    assert cli.main(["history", "cycles", "--svg", "h.svg"]) == 0
    drawn = Path("h.svg").read_text()
    assert drawn.startswith("<svg")
    assert "commit: 0123456; value: 1,600;" in drawn
    assert "commit: 0123456 (2); value: 1,601;" in drawn
    assert cli.main(["history", "cycle"]) == 2
    assert "metrics there: cycles" in capsys.readouterr().err
