import contextlib
import multiprocessing
import os
import signal
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_results import CONTEXT

from hil.errors import UsageError, Verdict
from hil.results import store, table
from hil.results.rows import Metric, Row, in_context
from hil.results.store import Store

RUN = "20261130T000000-abcdef"


def rows(part: str, count: int) -> list[Row]:
    return in_context(CONTEXT, [Metric(f"{part}.{index}", index, "B") for index in range(count)])


def keep_one_by_one(csv: Path, run: str, part: str, count: int) -> None:
    """As a session does: the table grows by a measurement at a time."""
    for so_far in range(1, count + 1):
        Store.beside(csv, run, part=part).write(rows(part or "alone", so_far))


def together(jobs: list[tuple[Path, str, str, int]]) -> None:
    processes = [
        multiprocessing.get_context("fork").Process(target=keep_one_by_one, args=job)
        for job in jobs
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=5))
def test_rows_of_all_processes_of_a_run_arrive_once_each(counts: list[int]) -> None:
    with TemporaryDirectory() as folder:
        csv = Path(folder, "results.csv")
        together([(csv, RUN, f"gw{index}", count) for index, count in enumerate(counts)])
        wanted = Counter(f"gw{i}.{j}" for i, count in enumerate(counts) for j in range(count))
        assert Counter(row.metric.name for row in table.load(csv)) == wanted
        assert Counter(row.metric.name for row in store.load_history(csv.parent / "history")) == (
            wanted
        )


def test_runs_side_by_side_are_whole_in_the_history_and_the_table_is_one_of_them(
    tmp_path: Path,
) -> None:
    csv = tmp_path / "results.csv"
    together([(csv, f"run-{index}", "", 5) for index in range(4)])
    assert store.runs(tmp_path / "history") == [f"run-{index}" for index in range(4)]
    assert all(len(store.load_run(tmp_path / "history", f"run-{i}")) == 5 for i in range(4))
    assert table.load(csv)


def test_a_killed_process_leaves_whole_rows_of_what_it_had(tmp_path: Path) -> None:
    csv = tmp_path / "results.csv"

    def die_half_way() -> None:
        keep_one_by_one(csv, RUN, "gw0", 3)
        (tmp_path / "history" / f".{RUN}.gw0.csv.77.partial").write_text("schema,run")
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=die_half_way)
    process.start()
    process.join()
    keep_one_by_one(csv, RUN, "gw1", 2)
    assert len(table.load(csv)) == 5
    assert store.runs(tmp_path / "history") == [RUN]


def keep_and_tell(csv: Path, part: str, told: Connection) -> None:
    for so_far in range(1, 10_000):
        Store.beside(csv, RUN, part=part).write(rows(part, so_far))
        told.send(so_far)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.floats(0.0, 0.03), min_size=2, max_size=4))
def test_no_row_is_lost_however_many_writers_are_killed_and_when(delays: list[float]) -> None:
    fork = multiprocessing.get_context("fork")
    with TemporaryDirectory() as folder:
        csv = Path(folder, "results.csv")
        writers = []
        for index in range(len(delays)):
            hears, tells = fork.Pipe(duplex=False)
            job = fork.Process(target=keep_and_tell, args=(csv, f"gw{index}", tells))
            job.start()
            tells.close()
            writers.append((job, hears))
        written = [0] * len(delays)
        for index, (delay, (job, hears)) in enumerate(zip(delays, writers, strict=True)):
            written[index] = hears.recv()  # has begun
            time.sleep(delay)
            job.kill()
            job.join()
            with contextlib.suppress(EOFError):
                while True:
                    written[index] = hears.recv()
        keep_one_by_one(csv, RUN, "last", 1)
        count = Counter(row.metric.name.partition(".")[0] for row in table.load(csv))
        for index, least in enumerate(written):
            assert least <= count[f"gw{index}"] <= least + 1
        assert count["last"] == 1


def test_a_folder_that_cannot_be_written_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--hil-csv"):
        Store.beside(tmp_path / "file" / "results.csv", RUN).write(rows("", 1))


def test_forgetting_a_table_keeps_the_history(tmp_path: Path) -> None:
    csv = tmp_path / "results.csv"
    keep_one_by_one(csv, RUN, "", 1)
    store.forget(csv)
    store.forget(csv)
    assert not csv.exists()
    assert len(store.load_history(tmp_path / "history")) == 1


def test_the_table_of_several_processes_is_what_reading_and_writing_theirs_makes(
    tmp_path: Path,
) -> None:
    csv = tmp_path / "results.csv"
    odd = [
        Metric("a", 0.1, "B", note='a "note",\nin two lines\r\nor three'),
        Metric("b", -0.0, "B", reference=1e300, samples=(1.0, 0.25)),
        Metric("c", 7, "B", limit=8.0, verdict=Verdict.PASS),
    ]
    for part in ("gw1", "gw0", "gw0"):
        Store.beside(csv, RUN, part=part).write([*rows(part, 3), *in_context(CONTEXT, odd)])
    whole = tmp_path / "whole.csv"
    table.write(store.load_run(tmp_path / "history", RUN), whole)
    assert csv.read_bytes() == whole.read_bytes()
    assert len(table.load(csv)) == 2 * 6


def test_a_part_of_an_earlier_version_is_read_before_it_is_joined(tmp_path: Path) -> None:
    csv, earlier = tmp_path / "results.csv", tmp_path / "history" / f"{RUN}.gw0.csv"
    Store.beside(csv, RUN, part="gw0").write(rows("gw0", 2))
    lines = [line.rpartition(",")[0] for line in earlier.read_text().splitlines()]
    earlier.write_text("\n".join(lines))  # a column less, and no end of the last line
    Store.beside(csv, RUN, part="gw1").write(rows("gw1", 2))
    assert [row.metric.name for row in table.load(csv)] == ["gw0.0", "gw0.1", "gw1.0", "gw1.1"]


@pytest.mark.parametrize("damage", [b"\xff\xfe\n", b"no table\n"])
def test_a_damaged_part_is_told_and_not_joined(tmp_path: Path, damage: bytes) -> None:
    csv = tmp_path / "results.csv"
    Store.beside(csv, RUN, part="gw0").write(rows("gw0", 2))
    (tmp_path / "history" / f"{RUN}.gw0.csv").write_bytes(damage)
    with pytest.raises(UsageError, match="gw0"):
        Store.beside(csv, RUN, part="gw1").write(rows("gw1", 2))
    assert [row.metric.name for row in table.load(csv)] == ["gw0.0", "gw0.1"]
