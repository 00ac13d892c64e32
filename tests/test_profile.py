import csv
from dataclasses import astuple
from pathlib import Path

import pytest

from hil import profile
from hil.profile import Profile


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
    assert set(rows[0]) == {"layer", "macs", "cycles", *profile.CAUSES}
