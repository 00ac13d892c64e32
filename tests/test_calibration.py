"""Photographs to calibrate on: the usual ones, more beside them, or a folder in their place."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hil.config import scenario
from hil.config.scenario import Scenario
from hil.errors import UsageError
from hil.run import calibration
from hil.vision import photographs

FACE = 'model = "face_m4"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "people"
    (made / "more").mkdir(parents=True)
    for index, place in enumerate(("b.png", "a.jpg", "more/c.png")):
        pixels = np.full((16, 16, 3), 40 * index, np.uint8)
        Image.fromarray(pixels).save(made / place)
    (made / "notes.txt").write_text("none of them")
    return made


def written(directory: Path, text: str) -> Scenario:
    path = directory / "made.toml"
    path.write_text(FACE + text)
    return scenario.load(str(path))


def test_more_photographs_stand_beside_the_usual(tmp_path: Path) -> None:
    chosen = written(tmp_path, 'calibration = ["faces"]')
    assert calibration.names(chosen) == [*photographs.calibration_set(), "faces"]
    assert not calibration.fingerprint(chosen)


def test_a_folder_beside_the_scenario_takes_their_place(folder: Path) -> None:
    chosen = written(folder.parent, 'calibration = "people/"')
    found = [Path(name).relative_to(folder) for name in calibration.names(chosen)]
    assert found == [Path("a.jpg"), Path("b.png"), Path("more/c.png")]


def test_the_command_lines_folder_takes_the_place_of_the_scenarios(folder: Path) -> None:
    chosen = written(folder.parent, 'calibration = ["faces"]').override(calibration=folder)
    assert len(calibration.names(chosen)) == 3


def test_the_fingerprint_says_how_many_and_which(folder: Path) -> None:
    chosen = Scenario("made", "face_m4", calibration_folder=folder)
    before = calibration.fingerprint(chosen)
    assert before.startswith("calibration=3:")
    Image.fromarray(np.full((16, 16, 3), 7, np.uint8)).save(folder / "b.png")
    after = calibration.fingerprint(chosen)
    assert after.startswith("calibration=3:")
    assert after != before


@pytest.mark.parametrize("name", ["nowhere", "empty", "notes.txt"])
def test_a_folder_without_photographs_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    chosen = replace(scenario.load("face_m4"), calibration_folder=tmp_path / name)
    with pytest.raises(UsageError, match=name):
        calibration.names(chosen)


def test_too_many_photographs_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MOST_PHOTOGRAPHS", 2)
    with pytest.raises(UsageError, match="holds 3 photographs"):
        calibration.names(Scenario("made", "face_m4", calibration_folder=folder))
