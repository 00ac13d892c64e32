"""The evaluation of a network on a dataset, in the cache: what changes it, and what comes back."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.config import board, scenario
from hil.config.board import Board
from hil.config.scenario import Scenario
from hil.run import inputs
from hil.run.evaluation import kept, of_scenario
from hil.run.evaluation.scores import Evaluation, Figure, Scores
from hil.vision.accuracy import Accuracy
from hil.vision.average_precision import Curve

BOARD = board.load("stm32f439")
TINY = 'model = "rnnpool_layer"\n[variant]\nrows = 8\ncolumns = 8\nchannels = 4\n'
FIGURE = Figure("accuracy", 1.0, 0.75, 0.1)
CURVE = Curve(np.array([1.0, 0.5]), np.array([0.25, 1 / 3]))
ANSWER = Evaluation(
    Scores(
        photographs=2,
        failed=(("bad", "cannot be read"),),
        on_board=0,
        mismatches=0,
        sqnr_db=(float("inf"), 1 / 3),
        clipped=(0.0, 0.1),
        main=FIGURE,
        figures=(FIGURE,),
        curves={"all": (CURVE, CURVE)},
        confusion=(Accuracy(np.eye(2, dtype=np.int64)), Accuracy(np.ones((2, 2), np.int64))),
    ),
    "2 photographs of faces, abc",
)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Return a dataset of two classes with a photograph each."""
    folder = tmp_path / "faces"
    for number, name in enumerate(("face", "other")):
        (folder / name).mkdir(parents=True)
        content = b"P6 2 2 255\n" + bytes(range(number, number + 12))
        (folder / name / "one.ppm").write_bytes(content)
    return folder


@pytest.fixture
def tiny(tmp_path: Path, faces: Path) -> Scenario:
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    return replace(scenario.load(str(tmp_path / "tiny.toml")), dataset=faces)


class Asked:
    """Takes the place of a network that is asked, and counts how often it is."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, *_: Any) -> Evaluation:
        self.times += 1
        return ANSWER


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "cache"))
    one = Asked()
    monkeypatch.setattr(of_scenario, "ask", one)
    return one


def evaluation(one: Scenario, *, chip: Board = BOARD, anew: bool = False) -> Evaluation | None:
    return kept.take_or_ask(one, chip, lambda: None, lambda _: None, anew=anew)  # type: ignore[arg-type,return-value]


def test_it_is_asked_once_and_comes_back_as_it_was(tiny: Scenario, asked: Asked) -> None:
    assert not kept.is_kept(tiny, BOARD)
    assert evaluation(tiny) is ANSWER
    assert kept.is_kept(tiny, BOARD)
    again = evaluation(tiny)
    assert asked.times == 1
    assert again is not None
    assert str(again) == str(ANSWER)
    curve = again.scores.curves["all"][0]
    assert curve.recall.tolist() == CURVE.recall.tolist()
    assert again.scores.confusion is not None
    assert again.scores.confusion[1].confusion.dtype == np.int64


def change_a_photograph(folder: Path) -> None:
    photograph = folder / "face" / "one.ppm"
    photograph.write_bytes(photograph.read_bytes()[:-1] + b"\xff")


def add_a_photograph(folder: Path) -> None:
    shutil.copy(folder / "face" / "one.ppm", folder / "face" / "two.ppm")


def change_a_label(folder: Path) -> None:
    (folder / "face" / "one.ppm").rename(folder / "other" / "two.ppm")
    (folder / "other" / "one.ppm").rename(folder / "face" / "one.ppm")


@pytest.mark.parametrize("change", [change_a_photograph, add_a_photograph, change_a_label])
def test_a_change_of_the_dataset_has_it_asked_again(
    change: Any, tiny: Scenario, faces: Path, asked: Asked
) -> None:
    evaluation(tiny)
    change(faces)
    assert not kept.is_kept(tiny, BOARD)
    evaluation(tiny)
    assert asked.times == 2


def test_so_does_a_change_of_the_network_the_board_or_the_labels(
    tiny: Scenario, asked: Asked
) -> None:
    evaluation(tiny)
    evaluation(replace(tiny, seed=7))
    evaluation(tiny, chip=board.load("nucleo_l4r5zi"))
    evaluation(replace(tiny, labels=["other", "face"]))
    assert asked.times == 4
    evaluation(tiny, anew=True)
    assert asked.times == 5


def test_what_another_torch_said_is_taken_only_without_torch(
    tiny: Scenario, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation(tiny)
    monkeypatch.setattr(inputs, "torch_version", lambda: "0")
    assert not kept.is_kept(tiny, BOARD)
    evaluation(tiny)
    assert asked.times == 2
    monkeypatch.setattr(inputs, "torch_version", lambda: None)
    assert kept.is_kept(tiny, BOARD)
    assert str(evaluation(tiny)) == str(ANSWER)
    assert asked.times == 2
    assert not kept.is_kept(replace(tiny, seed=1), BOARD)


def test_a_damaged_file_has_it_asked_again(tiny: Scenario, tmp_path: Path, asked: Asked) -> None:
    evaluation(tiny)
    (file,) = (tmp_path / "cache" / "evaluations").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    evaluation(tiny)
    evaluation(tiny)
    assert asked.times == 2


def test_where_the_dataset_stands_is_no_matter(
    tiny: Scenario, faces: Path, asked: Asked, tmp_path: Path
) -> None:
    evaluation(tiny)
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(faces, tmp_path / "elsewhere" / "faces")
    evaluation(replace(tiny, dataset=Path(moved)))
    assert asked.times == 1


def test_a_dataset_with_a_photograph_missing_is_told(
    tiny: Scenario, tmp_path: Path, asked: Asked
) -> None:
    lacking = replace(tiny, dataset=tmp_path / "nowhere")
    assert not kept.is_kept(lacking, BOARD)
    with pytest.raises(Exception, match="there is no dataset"):
        evaluation(lacking)
    assert asked.times == 0


def test_without_a_dataset_there_is_nothing_to_ask(tiny: Scenario, asked: Asked) -> None:
    bare = replace(tiny, dataset=None)
    assert kept.is_kept(bare, BOARD)
    assert evaluation(bare) is None
    assert asked.times == 0
