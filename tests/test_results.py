from pathlib import Path

import pytest

from hil.errors import UsageError, Verdict
from hil.results import summary, table
from hil.results.rows import COLUMNS, Context, Metric, Row, RunIdentity, in_context

CONTEXT = Context(
    run="20261121T120000-abcdef",
    when="2026-11-21T12:00:00+00:00",
    commit="0123456789ab",
    scenario="face_m4",
    model="face_m4",
    board="stm32f439",
    target="emulator",
    timing="modelled",
    clock_hz=168_000_000,
    toolchain="zig 0.17.0",
    fingerprint="-O2",
)
LATENCY = Metric("latency", 0.5, "s", 10.45, "the paper", limit=10.45)


def rows() -> list[Row]:
    slow = Metric("ram.total", 200_000, "B", 188_160, limit=188_160, verdict=Verdict.MEMORY)
    return in_context(CONTEXT, [LATENCY, slow, Metric("params", 56_330, "")])


def test_the_table_has_the_columns_that_readers_rely_on(tmp_path: Path) -> None:
    table.write(rows(), tmp_path / "results.csv")
    header = (tmp_path / "results.csv").read_text().splitlines()[0]
    assert header == (
        "run,when,commit,scenario,model,board,target,timing,clock_hz,toolchain,fingerprint,"
        "metric,value,unit,reference,reference_source,ratio,verdict"
    )
    assert tuple(header.split(",")) == COLUMNS


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.csv"
    table.write(rows(), path)
    frame = table.read(path).set_index("metric")
    assert frame.loc["latency", "ratio"] == pytest.approx(0.5 / 10.45)
    assert frame.loc["ram.total", "verdict"] == "memory"
    assert frame.loc["params", "reference_source"] == ""
    assert frame.loc["latency", "commit"] == "0123456789ab"


def test_an_all_digit_commit_keeps_its_leading_zeros(tmp_path: Path) -> None:
    table.write(rows(), tmp_path / "results.csv")
    text = (tmp_path / "results.csv").read_text().replace("0123456789ab", "000000000012")
    (tmp_path / "results.csv").write_text(text)
    assert set(table.read(tmp_path / "results.csv")["commit"]) == {"000000000012"}


def test_writing_again_replaces_the_table_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    table.write(rows(), path)
    table.write(rows()[:1], path)
    assert len(table.read(path)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.csv"]


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\x00\x00"])
def test_a_file_that_is_no_results_table_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.csv"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"other\.csv"):
        table.read(path)


def test_the_summary_shows_figures_references_and_verdicts() -> None:
    text = summary.render(rows())
    assert "face_m4 on stm32f439 (emulator, modelled cycles, zig 0.17.0)" in text
    assert "0.5 s" in text
    assert "10.45 s" in text
    assert "200,000 B" in text
    assert "memory" in text
    assert "params" not in text


def test_a_run_is_named_once_and_knows_its_commit() -> None:
    one, other = RunIdentity.now(Path(__file__).parent), RunIdentity.now(Path(__file__).parent)
    assert one.run != other.run
    assert one.commit == other.commit


def test_a_run_outside_a_git_tree_has_no_commit(tmp_path: Path) -> None:
    assert RunIdentity.now(tmp_path).commit == ""


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (76_800, "B", "76,800 B"),
        (0.46912, "s", "0.4691 s"),
        (0.99812, "", "0.9981"),
        (2, "s", "2 s"),
    ],
)
def test_figures_read_as_people_write_them(value: float, unit: str, text: str) -> None:
    assert summary.quantity(value, unit) == text
