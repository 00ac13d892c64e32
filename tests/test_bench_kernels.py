import csv
from pathlib import Path

import pytest

from hil.build import firmware
from hil.config import board
from hil.studies.bench import kernels as bench_kernels
from hil.studies.bench.kernels import Row

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """The cheapest of the cases; docs/kernels.md has them all."""
    with pytest.MonkeyPatch.context() as patch:
        cheap = [case for case in bench_kernels.cases() if case[0].startswith("head")]
        patch.setattr(bench_kernels, "cases", lambda: cheap)
        return bench_kernels.kernels(board.load("stm32f439"), [firmware.find_toolchain("zig")])


def test_a_head_takes_at_most_1_35_cycles_a_mac(rows: list[Row]) -> None:
    assert len(rows) == 2
    assert all(row.cost.cycles / row.cost.macs <= 1.35 for row in rows)


def test_face_m4_takes_at_most_half_a_second_on_the_board() -> None:
    rows = bench_kernels.face_m4(board.load("stm32f439"), [firmware.find_toolchain("zig")])
    whole = {row.cost.name: row.cost.cycles for row in rows}
    assert whole["sparse whole"] <= 75_600_000
    assert whole["dense whole"] <= 94_000_000


def test_the_csv_has_a_row_for_every_kernel(rows: list[Row], tmp_path: Path) -> None:
    bench_kernels.write_csv(rows, tmp_path / "kernels.csv")
    with (tmp_path / "kernels.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["name"] for row in written] == [row.cost.name for row in rows]
    assert all(int(row["cycles"]) > 0 for row in written)
    assert bench_kernels.table(rows).row_count == len(rows)
