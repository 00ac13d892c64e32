from dataclasses import replace
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
        "schema,run,when,commit,scenario,model,board,target,timing,clock_hz,toolchain,fingerprint,"
        "rules,wait_states,build_id,board_uid,harness,"
        "metric,value,unit,reference,reference_source,ratio,limit,verdict,note,samples"
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


def test_rows_come_back_to_the_bit(tmp_path: Path) -> None:
    third = Metric("x", 1 / 3, "s", samples=(1 / 3, 2.0), note="conv2d, in CCM")
    context = replace(CONTEXT, rules="modelled-m4-1", wait_states=5, build_id="00ff", board_uid="a")
    written = in_context(context, [LATENCY, third])
    table.write(written, tmp_path / "results.csv")
    assert table.load(tmp_path / "results.csv") == written


VERSION_1 = """\
run,when,commit,scenario,model,board,target,timing,clock_hz,toolchain,fingerprint,metric,value,unit,\
reference,reference_source,ratio,verdict
r,2026-11-30T02:04:42+00:00,c89a931c966a,face_m4,face_m4,stm32f439,emulator,modelled,168000000,\
zig 0.17.0,zig 0.17.0 -O2 clock=168000000 wait-states=5 timing=modelled-m4-1,\
cycles,52822479.0,cycle,,,,pass
"""


def test_a_table_of_the_first_version_is_read_and_its_fingerprint_taken_apart(
    tmp_path: Path,
) -> None:
    path = tmp_path / "results.csv"
    path.write_text(VERSION_1)
    (row,) = table.load(path)
    assert row.metric == Metric("cycles", 52_822_479, "cycle")
    assert (row.context.rules, row.context.wait_states) == ("modelled-m4-1", 5)
    assert row.context.compiler == "zig 0.17.0 -O2"
    assert table.read(path).loc[0, "build_id"] == ""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("\n2,", "\n3,", "version 3"),
        ("\n2,", "\ntwo,", "line 2"),
        (",0.5,s,", ",fast,s,", "line 2.*fast"),
        (",pass,", ",perfect,", "line 2.*perfect"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_line(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    path = tmp_path / "results.csv"
    table.write(in_context(CONTEXT, [LATENCY]), path)
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new, 1))
    with pytest.raises(UsageError, match=complaint):
        table.load(path)


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
