from pathlib import Path

import pytest

from hil import models
from hil.config import scenario
from hil.errors import UsageError


def test_face_m4_is_held_to_the_papers_figures() -> None:
    face = scenario.load("face_m4")
    assert face.paper.latency_s == 10.45
    assert face.limits.ram_bytes == 188_160
    assert face.checkpoint is None


def test_an_unknown_scenario_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"known: .*face_m4"):
        scenario.load("face_m5")


def test_a_scenario_is_also_found_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('model = "face_m4"\ncheckpoint = "trained.pth"\n')
    mine = scenario.load(str(path))
    assert mine.name == "mine"
    assert mine.checkpoint == tmp_path / "trained.pth"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('input = "astronaut"\n', "names no model"),
        ('model = "face_m4"\nlatency = 1\n', "latency is not an entry of a scenario"),
        ('model = "face_m4"\n[limits]\nram = 1\n', r"\[limits\] ram is not an entry"),
        ("model = ", "not valid TOML"),
        ('model = "face_m4"\nseed = "one"\n', "seed = 'one' is not of type"),
        ('model = "face_m4"\niterations = true\n', "iterations = True is not of type"),
        ('model = "face_m4"\n[limits]\nram_bytes = "all"\n', r"\[limits\] ram_bytes = 'all'"),
        ('model = "face_m4"\noptimise = "size"\n', "optimise = 'size' is not of type .*speed.*ram"),
    ],
)
def test_a_wrong_scenario_file_is_told_what_is_wrong(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        scenario.load(str(path))


@pytest.mark.parametrize("aim", ["speed", "ram", 131_072])
def test_a_scenario_says_what_its_schedule_is_for(tmp_path: Path, aim: str | int) -> None:
    path = tmp_path / "mine.toml"
    text = f'"{aim}"' if isinstance(aim, str) else str(aim)
    path.write_text(f'model = "face_m4"\noptimise = {text}\n[limits]\nlatency_s = 1\n')
    assert scenario.load(str(path)).optimise == aim


def test_the_command_line_overrides_the_file() -> None:
    other = scenario.load("face_m4").override(image="coffee", iterations=3)
    assert (other.input, other.iterations, other.model) == ("coffee", 3, "face_m4")


def test_a_scenario_can_keep_out_of_the_runs_that_name_none(tmp_path: Path) -> None:
    (tmp_path / "quick.toml").write_text('model = "face_m4"\n')
    (tmp_path / "heavy.toml").write_text('model = "face_quant"\ndefault = false\n')
    assert scenario.names(tmp_path) == ["heavy", "quick"]
    assert scenario.defaults(tmp_path) == ["quick"]
    assert "face_quant" not in scenario.defaults()


def test_a_scenario_names_the_variant_of_its_network() -> None:
    assert scenario.load("face_quant").variant == {"order": "columns_first"}


def test_a_scenario_names_photographs_to_calibrate_on(tmp_path: Path) -> None:
    assert scenario.load("face_m4").calibration == []
    assert scenario.load("face_quant").calibration == ["faces"]
    path = tmp_path / "mine.toml"
    path.write_text('model = "face_m4"\ncalibration = "faces"\n')
    with pytest.raises(UsageError, match="calibration = 'faces' is not of type"):
        scenario.load(str(path))


def test_an_unknown_variant_of_a_network_is_told_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"unknown variant of face_quant 'ordre'\n  known: hidden"):
        models.structure("face_quant", ordre="columns_first")
