"""Counts of the networks: by brute force, against the compiler, and beside the paper."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil import cli, models
from hil.compiler import compile_model, plan
from hil.compiler.macs import Macs
from hil.compiler.operators.patch_pool import pool_macs
from hil.compiler.program import Operator, Program
from hil.config import board
from hil.models.rnnpool import RNNPool
from hil.studies.counts import count as counts
from hil.studies.counts import table as counts_table
from hil.studies.counts.counted import Counts, Memory
from hil.vision import photographs


@pytest.fixture(scope="module")
def all_counts() -> dict[str, Counts]:
    return {name: counts.of_model(name) for name in models.names()}


def by_brute_force(pool: RNNPool, rows: int, columns: int) -> Macs:
    """Walk every patch, every sweep and every step, and note which products are new."""
    w1, u1, w2, u2 = (
        cell.inputs * cell.units if weight == "W" else cell.units**2
        for cell in (pool.row, pool.summary)
        for weight in "WU"
    )
    plain = shared = across = 0
    pixels_seen: set[tuple[int, int]] = set()
    sweeps_seen: set[tuple[str, int, int]] = set()
    down, right = pool.grid(rows, columns)
    for top in range(0, down * pool.stride, pool.stride):
        for left in range(0, right * pool.stride, pool.stride):
            ys = range(top, top + pool.patch)
            xs = range(left, left + pool.patch)
            sweeps = [("row", y, left) for y in ys] + [("column", top, x) for x in xs]
            for sweep in sweeps:
                plain += pool.patch * (w1 + u1) + 2 * (w2 + u2)
                shared += pool.patch * u1 + w2 + 2 * u2
                if sweep not in sweeps_seen:
                    sweeps_seen.add(sweep)
                    across += (pool.patch - 1) * u1 + w2
            across += 4 * (pool.patch - 1) * u2
            for pixel in ((y, x) for y in ys for x in xs):
                if pixel not in pixels_seen:
                    pixels_seen.add(pixel)
                    shared += w1
                    across += w1
    return Macs(plain, shared, across, plain)


@given(
    patch=st.integers(1, 4),
    stride=st.integers(1, 5),
    more=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
)
@settings(deadline=None)
def test_macs_of_a_pooling_are_those_of_its_products(
    patch: int, stride: int, more: tuple[int, int], sizes: tuple[int, int, int]
) -> None:
    channels, first, second = sizes
    pool = RNNPool(channels, (first, second), patch=patch, stride=stride)
    rows, columns = patch + more[0], patch + more[1]
    assert pool_macs(pool, rows, columns) == by_brute_force(pool, rows, columns)


@pytest.mark.slow
def test_zeros_of_sparse_cells_are_not_counted(all_counts: dict[str, Counts]) -> None:
    macs = all_counts["face_m4"].macs
    kept = 1131 * (128 * (32 + 77) + 32 * (77 + 77))
    assert macs.plain - macs.sparse == 64_856_064 - kept


def test_sharing_between_patches_more_than_halves_the_pooling_of_face_m4(
    all_counts: dict[str, Counts],
) -> None:
    macs = all_counts["face_m4"].macs
    rest = macs.plain - 64_856_064
    assert macs.across_patches - rest == pytest.approx(28.4e6, rel=1e-3)


def test_every_disagreement_with_the_paper_has_its_reason_and_no_reason_is_idle(
    all_counts: dict[str, Counts],
) -> None:
    for counted in all_counts.values():
        pairs = counts_table.compare(counted)
        parted = {figure for figure, pair in pairs.items() if not pair.agrees}
        assert parted == set(counted.paper.because), counted.model


def test_table_3_is_met_to_its_last_digit(all_counts: dict[str, Counts]) -> None:
    millions = [
        round(all_counts[f"mnv1_{row}"].macs.shared / 1e6) for row in ("base", "renet", "rnnpool")
    ]
    assert millions == [569, 487, 417]


def test_the_papers_rnnpool_multiplies_w_once_for_every_pixel(
    all_counts: dict[str, Counts],
) -> None:
    """Rows of table 2 that differ in their pooling alone: 37.7 M - 31.9 M."""
    convolutions = all_counts["vww_rnnpool"].macs.shared - all_counts["rnnpool_layer"].macs.shared
    assert convolutions == pytest.approx(31.9e6, rel=0.02)
    assert all_counts["rnnpool_layer"].macs.shared == pytest.approx(5.8e6, rel=0.01)


def test_densenet121_counts_as_published(all_counts: dict[str, Counts]) -> None:
    assert all_counts["densenet121_base"].parameters == 6_964_106
    assert all_counts["densenet121_base"].macs.plain == pytest.approx(2.83e9, rel=0.005)


@pytest.fixture(scope="module")
def face_m4() -> Program:
    loaded = models.load("face_m4")
    names = photographs.calibration_set()[:2]
    return compile_model(loaded, [photographs.prepare(n, loaded.spec) for n in names]).program


def test_memory_planned_from_the_structure_is_that_of_the_quantised_program(
    face_m4: Program,
) -> None:
    chip = board.load("stm32f439")
    planned = plan.make_plan(face_m4, plan.Budget.of(chip))
    memory = counts.of_model("face_m4", chip).memory
    assert memory is not None
    assert (memory.sram_bytes, memory.ccm_bytes) == (planned.arena_bytes, planned.ccm_bytes)
    assert memory.flash_bytes == planned.flash_bytes


def test_weights_are_the_constants_of_the_quantised_program(
    face_m4: Program, all_counts: dict[str, Counts]
) -> None:
    stored = sum(constant_bytes(operator) for operator in face_m4.operators)
    assert all_counts["face_m4"].weight_bytes == stored


def test_weights_of_a_renet_are_those_of_its_quantised_program(
    all_counts: dict[str, Counts],
) -> None:
    layer = models.load("renet_layer", rows=16, columns=16)
    program = compile_model(layer, [photographs.prepare("coffee", layer.spec)]).program
    stored = sum(constant_bytes(operator) for operator in program.operators)
    assert all_counts["renet_layer"].weight_bytes == stored


def constant_bytes(part: Operator | object) -> int:
    """Every array of an operator, those of its cells included."""
    arrays = sum(v.nbytes for v in vars(part).values() if isinstance(v, np.ndarray))
    cells = (getattr(part, name, None) for name in ("row", "summary", "forward", "backward"))
    return arrays + sum(constant_bytes(cell) for cell in cells if cell is not None)


@pytest.mark.parametrize(
    ("model", "obstacle"),
    [
        ("mnv2_rnnpool", r"B of flash, 22\d,\d{3} B more than the 2,097,152 B there are"),
        ("mnv1_renet", r"B of flash, 2,5\d\d,\d{3} B more than the 2,097,152 B there are"),
    ],
)
def test_a_model_beyond_the_board_says_by_how_many_bytes(model: str, obstacle: str) -> None:
    memory = counts.of_model(model, board.load("stm32f439")).memory
    assert memory is not None
    assert memory.sram_bytes is None
    assert re.search(obstacle, memory.obstacle)


def test_the_command_prints_writes_and_explains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "models.csv"
    assert cli.main(["models", "face_m4", "mnv1_base", f"--csv={path}"]) == 0
    text = capsys.readouterr().out
    assert "0.85*" in text
    assert "* face_m4 macs 0.85 (table 5): with three products" in text
    assert "- no plan for mnv1_base: memory: mnv1_base needs" in text
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == ["face_m4", "mnv1_base"]
    assert rows[0]["macs_plain"] == "103313664"
    assert int(rows[0]["planned_sram_bytes"]) <= 196_608
    assert "of flash" in rows[1]["not_planned_because"]


def test_json_holds_what_csv_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "vww_base", "--json", "--no-plan"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["parameters"] == 286_946
    assert record["map_bytes"] == 250_880
    assert record["paper_macs"] == 53_200_000
    assert record["macs_ratio"] == pytest.approx(0.908, abs=0.001)
    assert record["macs_because"]


def test_an_unknown_network_is_told_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["models", "face_z"]) == 2
    assert "unknown model 'face_z'\n  known: " in capsys.readouterr().err


def test_a_table_for_documents_says_what_a_network_lacks_and_where() -> None:
    lacking = Memory(obstacle="memory: too much", lacking=417_792, lacks="SRAM")
    one = replace(counts.of_model("rnnpool_layer"), memory=lacking)
    heads, _, row = counts_table.markdown([one]).splitlines()
    cells = dict(zip(heads.split(" | "), row.split(" | "), strict=True))
    assert cells["planned SRAM, B"] == "+417,792"
    assert cells["flash, B"] == "\u2013"
    assert row.startswith("| `rnnpool_layer` | 292 |")


def test_networks_are_listed_by_family_or_by_name() -> None:
    from hil.commands import models as command

    known = ["avgpool_layer", "densenet121_base", "face_a", "face_m4", "vww_base"]
    in_order = ["face_a", "face_m4", "vww_base", "densenet121_base", "avgpool_layer"]
    assert command._named([], known) == in_order
    assert command._named(["vww", "face_a"], known) == ["vww_base", "face_a"]
    assert command._named(["face_m5"], known) == ["face_m5"]  # which is told as unknown later
