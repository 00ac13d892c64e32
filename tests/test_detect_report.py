"""What `hil detect` leaves: a JSON that is whole at any time, pictures that show small faces."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hil.errors import UsageError
from hil.studies.detect import report
from hil.studies.detect.finders import Found
from hil.studies.detect.report import BOARD_COLOUR, FLOAT_COLOUR, BoxesFile
from hil.vision import detection
from hil.vision.detection import Box

SIDE = 400


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((SIDE, SIDE, 3), 90, np.uint8)).save(path)
    return path


def box(left: int, top: int, side: int, score: float = 0.9) -> Box:
    return Box(left / SIDE, top / SIDE, (left + side) / SIDE, (top + side) / SIDE, score)


def found(photograph: Path, *boxes: Box) -> Found:
    return Found(str(photograph), SIDE, SIDE, list(boxes))


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_json_is_whole_after_every_photograph(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    boxes = BoxesFile(path, {"scenario": "made", "board": "none"})
    assert read(path) == {"scenario": "made", "board": "none", "images": []}
    for count, name in enumerate(("one", "zw\u00f6lf", "three"), 1):
        boxes.add({"image": name, "float": [{"score": 0.5}]})
        assert [entry["image"] for entry in read(path)["images"]][-1] == name
        assert len(read(path)["images"]) == count


def test_a_run_that_is_interrupted_keeps_what_was_found(tmp_path: Path, photograph: Path) -> None:
    def find(image: str) -> Found:
        if image == "last":
            raise KeyboardInterrupt
        if image == "bad":
            raise UsageError("it is bad")
        return found(photograph, box(10, 10, 40))

    images = [str(photograph), "bad", "last"]
    with pytest.raises(KeyboardInterrupt):
        report.run(images, find, tmp_path / "out", {}, lambda _: None)
    first, second = read(tmp_path / "out" / "boxes.json")["images"]
    assert first["float"][0]["left"] == 10.0
    assert second == {"image": "bad", "error": "it is bad"}


def test_a_board_that_fails_costs_one_photograph(tmp_path: Path, photograph: Path) -> None:
    def find(image: str) -> Found:
        lost = Found(image, SIDE, SIDE, [], error="the port vanished")
        return lost if image == "first" else found(photograph, box(10, 10, 40))

    report.run(["first", str(photograph)], find, tmp_path / "out", {}, lambda _: None)
    first, second = read(tmp_path / "out" / "boxes.json")["images"]
    assert first == {"image": "first", "error": "the port vanished"}
    assert len(second["float"]) == 1


def test_pictures_can_be_left_out(tmp_path: Path, photograph: Path) -> None:
    out = tmp_path / "out"
    (entry,) = report.run(
        [str(photograph)],
        lambda _: found(photograph, box(10, 10, 40)),
        out,
        {},
        lambda _: None,
        pictures=False,
    )
    assert entry.picture is None
    assert [path.name for path in out.iterdir()] == ["boxes.json"]


def test_a_label_covers_no_other_face(tmp_path: Path, photograph: Path) -> None:
    """Of a face right above the one below it the pixels stay those of the photograph."""
    above, below = box(100, 100, 24, 0.8), box(100, 128, 24)
    report.draw(found(photograph, above, below), tmp_path / "out.png")
    drawn = np.asarray(Image.open(tmp_path / "out.png"))
    inside = drawn[106:118, 106:118]
    assert (inside == 90).all()
    assert (drawn == np.array(FLOAT_COLOUR)).all(axis=2).any()


def test_a_face_alone_has_its_score_beside_it(tmp_path: Path, photograph: Path) -> None:
    report.draw(found(photograph, box(100, 100, 60)), tmp_path / "out.png")
    beside = np.asarray(Image.open(tmp_path / "out.png"))[80:96, 100:160]
    assert (beside == np.array(FLOAT_COLOUR)).all(axis=2).any()
    assert not (beside == np.array(BOARD_COLOUR)).all(axis=2).any()


def test_overlaps_are_those_of_the_nearest_box() -> None:
    random = np.random.default_rng(0)
    boxes = [box(int(x), int(y), int(s)) for x, y, s in random.integers(1, 200, (30, 3))]
    others = [*boxes[::3], box(0, 0, 1)]
    expected = [max(detection.iou(one, other) for other in others) for one in boxes]
    assert report._most_overlaps(boxes, others) == pytest.approx(expected)
    assert report._most_overlaps(boxes, []) == [0.0] * 30
    assert report._most_overlaps([], others) == []
