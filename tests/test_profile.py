import csv
import json
from dataclasses import astuple
from pathlib import Path

import pytest

from hil.studies.profile import flame
from hil.studies.profile import layers as profile
from hil.studies.profile.flame import Functions
from hil.studies.profile.layers import Profile
from hil.targets.spent import CAUSES


@pytest.fixture(scope="module")
def face() -> Profile:
    return profile.run("face_m4", "stm32f439", "zig")


def test_the_layers_are_the_whole_inference(face: Profile) -> None:
    assert face.whole.cycles == sum(layer.cycles for layer in face.layers)
    assert face.whole.macs == 38_457_600 + 64_856_064


def test_the_causes_account_for_every_layers_cycles(face: Profile) -> None:
    # Snapshots are taken to the block, counts to the instruction.
    for layer in face.layers:
        assert sum(astuple(layer.spent)) == pytest.approx(layer.cycles, rel=1e-3, abs=200)


@pytest.mark.slow
def test_looking_costs_no_cycle(face: Profile) -> None:
    again = profile.run("face_m4", "stm32f439", "zig")
    assert [layer.cycles for layer in again.layers] == [layer.cycles for layer in face.layers]
    assert again.outputs == face.outputs


def test_the_table_has_a_row_per_layer_and_the_whole(face: Profile) -> None:
    assert profile.table(face).row_count == len(face.layers) + 1


def test_the_csv_has_cycles_by_layer_and_cause(face: Profile, tmp_path: Path) -> None:
    profile.write_csv(face, tmp_path / "deep" / "profile.csv")
    with (tmp_path / "deep" / "profile.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["layer"] for row in rows] == [layer.name for layer in face.layers]
    assert sum(int(row["cycles"]) for row in rows) == face.whole.cycles
    assert set(rows[0]) == {"layer", "macs", "cycles", *CAUSES}


def test_every_cycle_has_its_chain_of_callers(face: Profile, tmp_path: Path) -> None:
    assert sum(face.stacks.values()) == pytest.approx(face.whole.cycles, rel=1e-3)
    flame.write_speedscope(face.stacks, Functions.of(face.elf), tmp_path / "trace.json", "face")
    trace = json.loads((tmp_path / "trace.json").read_text())
    profiles = trace["profiles"][0]
    assert profiles["endValue"] == sum(profiles["weights"]) == sum(face.stacks.values())
    names = {frame["name"] for frame in trace["shared"]["frames"]}
    assert {"matmul_run", "fastgrnn_go_on"} <= names


def test_the_tree_shows_callers_above_what_they_call(face: Profile) -> None:
    lines = flame.tree(face.stacks, Functions.of(face.elf))
    depth = [len(line) - len(line.lstrip()) for line in (row[32:] for row in lines)]
    assert depth[0] < max(depth)
    assert float(lines[0].split("%")[0]) > 99
