"""`hil detect`: photographs in, pictures and boxes out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_boards import with_sram
from PIL import Image

from hil import cli
from hil.config import board as boards
from hil.errors import UsageError
from hil.studies.detect import finders as detect
from hil.studies.detect.report import BOARD_COLOUR, FLOAT_COLOUR
from hil.vision import photographs

CHECKPOINT = Path(__file__).parents[2] / "shared" / "data" / "edgeml" / "rpool_face_quant.pth"


def save(path: Path, name: str = "astronaut", rows: int = 384) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photographs.read(name)[:rows]).save(path)
    return path


def written(directory: Path) -> Any:
    return json.loads((directory / "boxes.json").read_text())


def has_colour(path: Path, colour: tuple[int, int, int]) -> bool:
    return bool((photographs.read(path) == np.array(colour)).all(axis=2).any())


def detect_in_float(*images: Path, out: Path) -> int:
    arguments = [
        "detect",
        *map(str, images),
        "--seeded",
        "--float-only",
        f"--out={out}",
        "--score=0.99",
    ]
    return cli.main(arguments)


def test_without_a_board_the_float_model_finds_the_face_and_draws_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not CHECKPOINT.is_file():
        pytest.skip(f"{CHECKPOINT} is not here")
    photograph = save(tmp_path / "astronaut.jpg")
    arguments = ["detect", str(photograph), "--seeded", "--scenario=face_quant"]
    arguments += [f"--out={tmp_path / 'out'}"]

    assert cli.main([*arguments, f"--checkpoint={CHECKPOINT}", "--float-only"]) == 0

    assert "astronaut.jpg" in capsys.readouterr().out
    (entry,) = written(tmp_path / "out")["images"]
    (face,) = entry["float"]
    assert face["score"] > 0.99
    edges = [face[edge] for edge in ("left", "top", "right", "bottom")]
    assert edges == pytest.approx([178, 63, 273, 176.5], abs=2)
    assert "board" not in entry
    assert has_colour(tmp_path / "out" / entry["picture"], FLOAT_COLOUR)


@pytest.mark.slow
def test_one_flashed_board_answers_for_every_photograph(tmp_path: Path) -> None:
    images = [str(save(tmp_path / "a.png")), str(save(tmp_path / "b.pgm", "coffee"))]
    out = tmp_path / "out"

    assert cli.main(["detect", *images, "--seeded", f"--out={out}", "--score=0.9"]) == 0

    found = written(out)
    assert (found["scenario"], found["board"]) == ("face_m4", "stm32f439")
    assert [entry["image"] for entry in found["images"]] == images
    for entry in found["images"]:
        assert entry["mismatches"] == 0
        assert entry["cosine"] > 0.99
        assert entry["cycles"] > 1_000_000
        assert entry["timing"] == "modelled"
        assert max(box["iou_with_float"] for box in entry["board"]) > 0.5
        assert has_colour(out / entry["picture"], BOARD_COLOUR)
    assert found["images"][0]["board"] != found["images"][1]["board"]


def test_a_model_beyond_the_boards_memory_names_the_way_without_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = with_sram(boards.load("stm32f439"), 40_960)
    monkeypatch.setattr("hil.config.board.load", lambda _: small)
    assert cli.main(["detect", "astronaut", "--seeded", f"--out={tmp_path / 'out'}"]) == 2
    complaint = capsys.readouterr().err
    assert "[memory at plan]" in complaint
    assert "--float-only finds the faces without a board" in complaint


def test_a_network_that_finds_no_faces_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = tmp_path / "people.toml"
    scenario.write_text('model = "vww_avgpool"\n')
    assert cli.main(["detect", "astronaut", "--seeded", f"--scenario={scenario}"]) == 2
    assert "vww_avgpool finds no faces\n  those that do: face_a," in capsys.readouterr().err


def test_a_photograph_that_cannot_be_read_is_noted_and_the_others_are_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    whole = save(tmp_path / "whole.png")

    assert detect_in_float(broken, whole, out=tmp_path / "out") == 1

    first, second = written(tmp_path / "out")["images"]
    assert "is not an image" in first["error"]
    assert second["picture"] == "whole.boxes.png"
    assert "is not an image" in capsys.readouterr().out.replace("\n", " ")


def test_photographs_of_one_name_have_pictures_of_two(tmp_path: Path) -> None:
    images = [save(tmp_path / folder / "face.png") for folder in ("a", "b")]
    assert detect_in_float(*images, out=tmp_path / "out") == 0
    names = [entry["picture"] for entry in written(tmp_path / "out")["images"]]
    assert names == ["face.boxes.png", "face-2.boxes.png"]
    assert all((tmp_path / "out" / name).is_file() for name in names)


def test_folders_and_globs_give_their_images_and_names_stand_for_themselves(
    tmp_path: Path,
) -> None:
    for name in ("b.JPG", "a.ppm", "notes.txt", "a.boxes.png"):
        (tmp_path / name).touch()
    images = [str(tmp_path / "a.ppm"), str(tmp_path / "b.JPG")]
    assert detect.images([str(tmp_path), "astronaut"]) == [*images, "astronaut"]
    assert detect.images([f"{tmp_path}/*.[Jp]*"]) == images


def test_a_folder_or_glob_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no image in"):
        detect.images([str(tmp_path)])
    with pytest.raises(UsageError, match="no file matches"):
        detect.images([str(tmp_path / "*.png")])


def test_without_trained_weights_a_checkpoint_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["detect", "astronaut"]) == 2
    told = capsys.readouterr().err
    assert "has no trained weights" in told
    assert "EdgeML" in told
    assert "--seeded" in told
