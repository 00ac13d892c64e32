"""The table of poolings: order, verdicts, figures, chart, and what an interrupt leaves."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from hil import cli
from hil.config.scenario import Scenario
from hil.errors import BuildError, FirmwareFault, HilError, UsageError, Verdict
from hil.models.paper import figures
from hil.results.rows import Metric
from hil.studies.poolings import chart as poolings_chart
from hil.studies.poolings import costs as poolings
from hil.studies.poolings import table as poolings_table
from hil.studies.poolings.costs import Cost, Row

COST = Cost(
    latency_s=0.5,
    cycles=84_000_000,
    macs=42_000_000,
    early_cycles=26_500_000,
    early_shares=True,
    arena_bytes=160_000,
    ram_bytes=216_000,
    flash_bytes=488_000,
    cosine=0.9992,
)
METRICS = {
    "latency": COST.latency_s,
    "cycles": COST.cycles,
    "macs": COST.macs,
    "ram.paper": COST.arena_bytes,
    "ram.total": COST.ram_bytes,
    "flash.total": COST.flash_bytes,
    "output.cosine": COST.cosine,
}


def row(name: str = "vww_rnnpool", cost: Cost | None = COST, verdict: str = "pass") -> Row:
    reason = "" if verdict == "pass" else "something happened"
    return Row(name, f"pooling of {name}", figures(name), cost, verdict, reason)


ROWS = [
    row("vww_base", replace(COST, latency_s=0.474, arena_bytes=165_000, early_cycles=None)),
    row("vww_avgpool", replace(COST, latency_s=0.2993, arena_bytes=40_000)),
    row("vww_maxpool", replace(COST, latency_s=0.2986, arena_bytes=40_000)),
    row("vww_renet", None, "build"),
    row("vww_rnnpool", replace(COST, latency_s=0.383, arena_bytes=41_250)),
]


class StubbedSession:
    """Answers as a session does, without a board."""

    def __init__(self, *, fails: HilError | None = None, wrong: Metric | None = None) -> None:
        self.rows: list[Any] = []
        self._fails, self._wrong = fails, wrong

    def prepare(self, chosen: Scenario) -> Any:
        if self._fails:
            raise self._fails
        steps = [
            step("stem+pool", "stem", "pool"),
            step("blocks.0", "blocks.0.expand"),
            step("poolish", "poolish"),
        ]
        return SimpleNamespace(
            scenario=chosen, compiled=SimpleNamespace(plan=SimpleNamespace(steps=steps))
        )

    @contextmanager
    def flashed(self, prepared: Any) -> Iterator[str]:
        yield f"board with {prepared.scenario.name}"

    def measure(self, prepared: Any, device: str) -> Any:
        assert device == f"board with {prepared.scenario.name}"
        if self._wrong:
            context = SimpleNamespace(scenario=prepared.scenario.name)
            self.rows.append(SimpleNamespace(context=context, metric=self._wrong))
        layers = [
            SimpleNamespace(name=name, cycles=cycles)
            for name, cycles in (("stem+pool", 26_500_000), ("blocks.0", 7), ("poolish", 9))
        ]
        return SimpleNamespace(
            prepared=prepared, layers=layers, target="emulator", timing="modelled"
        )

    def metric(self, result: Any, name: str) -> Metric | None:
        assert result.prepared.scenario.name == "vww_rnnpool"
        return Metric(name, METRICS[name], "") if name in METRICS else None


def step(name: str, *operators: str) -> Any:
    return SimpleNamespace(name=name, operators=[SimpleNamespace(name=o) for o in operators])


def measured(**how: Any) -> Row:
    session: Any = StubbedSession(**how)
    return poolings.measure(session, Scenario("vww_rnnpool", "vww_rnnpool"))


# Which networks


def test_poolings_come_in_the_order_of_the_papers_table() -> None:
    names = [chosen.name for chosen in poolings.scenarios("vww")]
    assert names == [
        "vww_base",
        "vww_last_rnnpool",
        "vww_avgpool",
        "vww_maxpool",
        "vww_strided",
        "vww_renet",
        "vww_rnnpool",
        "vww_rnnpool_last",
    ]


def test_a_network_is_run_as_its_scenario_says_or_with_the_defaults() -> None:
    assert poolings.scenarios("vww")[1].limits.latency_s == 0.507
    assert poolings.scenarios("mnv1") == [
        Scenario(name, model=name) for name in ("mnv1_base", "mnv1_renet", "mnv1_rnnpool")
    ]


def test_every_family_has_the_papers_accuracy() -> None:
    for family in poolings.families():
        for chosen in poolings.scenarios(family):
            accuracy = figures(chosen.model).accuracy
            assert accuracy is not None, chosen.model
            assert 60.0 < accuracy < 96.0


def test_an_unknown_family_is_told_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="unknown family 'vgg'\n  known: densenet121, mnv1"):
        poolings.scenarios("vgg")


# One row


def test_a_row_holds_what_the_suite_judges() -> None:
    assert measured() == Row(
        "vww_rnnpool", "RNNPool, early", figures("vww_rnnpool"), COST, str(Verdict.PASS)
    )


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (BuildError("no kernel computes ReNet"), "build"),
        (FirmwareFault("the firmware took a fault"), "fault"),
        (UsageError("there is no checkpoint"), "usage"),
    ],
)
def test_a_network_that_does_not_run_says_why(error: HilError, verdict: str) -> None:
    failed = measured(fails=error)
    assert (failed.cost, failed.verdict, failed.reason) == (None, verdict, error.what)


def test_a_wrong_output_is_a_row_with_figures_and_its_verdict() -> None:
    wrong = measured(wrong=Metric("output.mismatches", 3, "", limit=0.0, verdict=Verdict.MISMATCH))
    assert wrong.cost == COST
    assert (wrong.verdict, wrong.reason) == ("mismatch", "output.mismatches is 3, limit 0")


def test_what_cannot_run_is_no_failure_but_what_runs_wrong_is() -> None:
    assert poolings.exit_status(ROWS) == 0
    assert poolings.exit_status([*ROWS, row("vww_strided", COST, "mismatch")]) == 1
    assert poolings.exit_status([row("vww_renet", None, "build")]) == 1


# The tables


def test_the_csv_has_ours_and_the_papers_figures(tmp_path: Path) -> None:
    path = tmp_path / "new" / "poolings.csv"
    poolings_table.write_csv(ROWS, path)
    with path.open(encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    assert [r["scenario"] for r in records] == [r.scenario for r in ROWS]
    assert records[1]["latency_s"] == "0.2993"
    assert records[1]["cycles_per_mac"] == "2.0"
    assert (records[3]["verdict"], records[3]["cycles"]) == ("build", "")
    assert (records[3]["paper_accuracy"], records[3]["paper_macs"]) == ("88.1", "46400000")


def test_the_markdown_has_a_row_for_each_and_says_why_one_is_empty() -> None:
    lines = poolings_table.markdown(ROWS, "on a board").splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(ROWS)
    assert len({line.count("|") for line in table}) == 1
    cells = [cell.strip() for cell in table[6].split("|")[1:-1]]
    assert cells[:5] == ["pooling of vww_rnnpool", "0.383", "84.0", "2.00", "26.5*"]
    assert lines[-1] == "vww_renet: [build] something happened"


# The chart


def drawn(rows: list[Row]) -> ET.Element:
    text = poolings_chart.svg(rows, "a < b", "how & where")
    return ET.fromstring(text)  # noqa: S314


def tags(picture: ET.Element, name: str, kind: str) -> list[ET.Element]:
    found = picture.iter(f"{{http://www.w3.org/2000/svg}}{name}")
    return [tag for tag in found if kind in (tag.get("class") or "").split()]


def number(tag: ET.Element, name: str) -> float:
    return float(tag.get(name, "nan"))


def test_a_dots_area_goes_with_the_ram() -> None:
    radii = sorted(number(dot, "r") for dot in tags(drawn(ROWS), "circle", "dot"))
    assert len(radii) == 4
    assert (radii[-1] / radii[0]) ** 2 == pytest.approx(165_000 / 40_000, rel=0.05)


def test_slower_is_to_the_right_and_more_accurate_is_above() -> None:
    slow, quick = row("vww_base", replace(COST, latency_s=0.6)), row("vww_avgpool")
    dots = tags(drawn([slow, quick]), "circle", "dot")
    by_x = sorted(dots, key=lambda dot: number(dot, "cx"))
    assert number(by_x[1], "cy") < number(by_x[0], "cy")


def test_labels_do_not_lie_over_each_other_nor_over_a_dot() -> None:
    """Among them the words of a dot whose right neighbour is at the same height."""
    close = [
        row("vww_base", replace(COST, latency_s=0.30)),
        row("vww_strided", replace(COST, latency_s=0.31)),
        row("vww_renet", replace(COST, latency_s=0.35)),
        row("vww_maxpool", replace(COST, latency_s=0.45)),
    ]
    for rows in (ROWS, close):
        picture = drawn(rows)
        texts = [tag for tag in picture.iter() if (tag.text or "").startswith("pooling of")]
        assert len(texts) >= len(rows) - 1
        places = [place(tag) for tag in texts]
        for (left, right, y), (other_left, other_right, other_y) in combinations(places, 2):
            beside = right < other_left or other_right < left
            assert beside or abs(y - other_y) >= 15
        for (left, right, y), dot in product(places, tags(picture, "circle", "dot")):
            x, centre, radius = (number(dot, name) for name in ("cx", "cy", "r"))
            beside = right < x - radius or x + radius < left
            assert beside or y < centre - radius or centre + radius < y - 15


def place(tag: ET.Element) -> tuple[float, float, float]:
    """Return where a label begins and ends, and its baseline."""
    x, y, width = number(tag, "x"), number(tag, "y"), 6.6 * len(tag.text or "")
    return (x - width, x, y) if tag.get("text-anchor") == "end" else (x, x + width, y)


def test_what_did_not_run_is_named_and_not_drawn() -> None:
    assert any(tag.text == "not drawn: pooling of vww_renet" for tag in drawn(ROWS).iter())
    nothing = drawn([row("vww_renet", None, "build")])
    assert tags(nothing, "circle", "dot") == []
    assert any(tag.text == "no network ran" for tag in nothing.iter())


def test_one_dot_alone_has_axes() -> None:
    picture = drawn([row()])
    assert len(tags(picture, "circle", "dot")) == 1
    assert len(tags(picture, "path", "grid")) > 4
    words = [tag.text for tag in picture.iter()]
    assert "seconds per image" in words
    assert "accuracy in the paper, %" in words


def test_the_chart_changes_its_colours_on_a_dark_page() -> None:
    style = next(drawn(ROWS).iter("{http://www.w3.org/2000/svg}style")).text or ""
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    for kind in (".ground", "text", ".dot", ".rnn", ".minor"):
        ours, theirs = (re.search(rf"{re.escape(kind)} \{{ fill: (#\w+)", s) for s in (light, dark))
        assert ours is not None
        assert theirs is not None
        assert ours[1] != theirs[1]


# The command


def answer(monkeypatch: pytest.MonkeyPatch, rows: list[Row | type[BaseException]]) -> list[str]:
    """Let the measurement answer with these rows, or raise; returns the scenarios asked for."""
    asked: list[str] = []

    def measure(_session: object, chosen: Scenario) -> Row:
        asked.append(chosen.name)
        now = rows[len(asked) - 1]
        if isinstance(now, Row):
            return now
        raise now

    monkeypatch.setattr(poolings, "measure", measure)
    return asked


def test_the_command_prints_draws_and_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = answer(monkeypatch, [*ROWS, *ROWS[:3]])
    table, chart = tmp_path / "p.csv", tmp_path / "p.svg"
    assert cli.main(["poolings", "--csv", str(table), "--svg", str(chart)]) == 0
    assert len(asked) == 8
    text = capsys.readouterr().out
    assert "stm32f439 at 168 MHz, emulator, modelled cycles, zig" in text
    assert "vww_renet: [build] something happened" in text
    assert len(table.read_text().splitlines()) == 9
    assert chart.read_text().startswith("<svg ")


def test_an_interrupt_keeps_the_rows_so_far(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, [ROWS[0], ROWS[1], KeyboardInterrupt])
    table = tmp_path / "p.csv"
    assert cli.main(["poolings", "--markdown", "--csv", str(table)]) == 130
    assert [line.split(",")[0] for line in table.read_text().splitlines()] == [
        "scenario",
        "vww_base",
        "vww_avgpool",
    ]
    assert "| pooling of vww_avgpool | 0.299 |" in capsys.readouterr().out


def test_an_interrupt_before_the_first_row_leaves_no_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, [KeyboardInterrupt])
    assert cli.main(["poolings"]) == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hil poolings: interrupted" in captured.err


def test_a_crash_leaves_the_rows_so_far_in_the_csv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answer(monkeypatch, [ROWS[0], RuntimeError])
    table = tmp_path / "p.csv"
    with pytest.raises(RuntimeError):
        cli.main(["poolings", "--csv", str(table)])
    assert len(table.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--family", "vgg"], "hil poolings: unknown family 'vgg'"),
        (["--board", "stm32f999"], "hil poolings: unknown board 'stm32f999'"),
    ],
)
def test_a_wrong_name_is_told_before_anything_runs(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["poolings", *arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_help_says_how_long_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["poolings", "--help"])
    text = capsys.readouterr().out
    assert "per pooling" in text
    assert "hil poolings --csv poolings.csv --svg poolings.svg" in text


def test_the_page_of_models_carries_the_table_as_the_command_prints_it() -> None:
    page = (Path(__file__).parent.parent / "docs/models.md").read_text(encoding="utf-8")
    begin, end = "<!-- hil poolings --markdown -->", "<!-- end -->"
    assert page.count(begin) == 1
    lines = page.split(begin)[1].split(end)[0].splitlines()
    heading = poolings_table.markdown([], "").splitlines()[0]
    start = lines.index(heading) + 2
    table = [line.split("|") for line in lines[start:] if line.startswith("|")]
    names = [chosen.model for chosen in poolings.scenarios("vww")]
    accuracies = [f"{figures(name).accuracy:.2f}" for name in names]
    assert [cells[-4].strip() for cells in table] == accuracies
