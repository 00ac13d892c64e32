"""`hil evaluate`: annotated photographs in, what the integers lose out."""

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hil import cli
from hil.compiler.program import Output, Program, Tensor
from hil.config import scenario
from hil.errors import LinkError, UsageError
from hil.run.compiled import QuantisedScenario
from hil.run.evaluation import scores
from hil.run.evaluation.answer import Answer
from hil.run.evaluation.asker import Asker
from hil.run.measurement import Measurement
from hil.studies.answering_board import AnsweringBoard, BoardOptions
from hil.studies.evaluate import engine, predictions, report
from hil.studies.evaluate.answers import Store
from hil.vision import photographs
from hil.vision.datasets import Dataset, Example, Marked

if TYPE_CHECKING:
    from hil.compiler.front.graph import Graph
    from hil.models import LoadedModel

HEAD = {"scenario": "face_m4"}
BOX = (10.0, 10.0, 20.0, 20.0, 0.9)


def answer(name: str) -> Answer:
    return Answer(name, ((1.0, 2.0, 3.0, 4.0, 0.5),), (), on_board=True, cycles=7, sqnr_db=20.0)


def store(path: Path, *, resume: bool = False, head: Mapping[str, object] = HEAD) -> Store:
    return Store(path, head, resume=resume)


def test_answers_are_on_disk_as_they_come_and_are_taken_up_again(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    with store(file).open() as write:
        write(answer("a.png"))
        assert len(file.read_text().splitlines()) == 2
        write(Answer("b.png", error="the link was lost"))
    # What failed is asked again.
    assert store(file, resume=True).answers == {"a.png": answer("a.png")}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(1, 600))
def test_a_file_cut_anywhere_gives_its_whole_lines_and_takes_further_ones(
    tmp_path: Path, kept: int
) -> None:
    file = tmp_path / "answers.jsonl"
    names = ["a.png", "b.png", "c.png"]
    with store(file).open() as write:
        for name in names:
            write(answer(name))
    head = len(file.read_bytes().splitlines(keepends=True)[0])
    file.write_bytes(file.read_bytes()[: head + kept])

    resumed = store(file, resume=True)
    found = list(resumed.answers)
    assert found == names[: len(found)]
    with resumed.open() as write:
        write(answer("d.png"))
    assert list(store(file, resume=True).answers) == [*found, "d.png"]


def test_answers_of_another_network_are_not_taken_up(tmp_path: Path) -> None:
    store(tmp_path / "answers.jsonl")
    with pytest.raises(UsageError, match="was made with another scenario"):
        store(tmp_path / "answers.jsonl", resume=True, head={"scenario": "face_quant"})


def test_a_damaged_answer_is_told_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    store(file)
    with file.open("a") as lines:
        lines.write('{"example": "a.png"}\n')
    with pytest.raises(UsageError, match=r"answers.jsonl:2 is no answer"):
        store(file, resume=True)


def faces(*marked: Marked) -> Dataset:
    examples = tuple(Example(f"{i}.png", Path(f"{i}.png"), (m,)) for i, m in enumerate(marked))
    return Dataset(Path(), "wider", examples)


def test_a_face_that_integers_miss_is_a_loss_with_its_error() -> None:
    dataset = faces(*[Marked(10, 10, 20, 20)] * 4)
    answers = {
        e.name: Answer(e.name, (BOX,), (BOX,) if i else ()) for i, e in enumerate(dataset.examples)
    }
    found = scores.score(dataset, answers, 0.3)
    mean, whole, above = found.figures
    assert (mean.name, whole.name, above.name) == ("mAP", "AP all", "AP all above 0.3")
    assert (mean.of_float, mean.of_integers) == (1.0, 0.75)
    assert (whole.of_float, whole.of_integers) == (1.0, 0.75)
    assert whole.standard_error == pytest.approx(0.22, abs=0.06)
    assert [e.name for e in scores.worst(dataset, answers, 0.3, 1)] == ["0.png"]


def test_subsets_ignore_the_faces_of_others() -> None:
    dataset = faces(Marked(10, 10, 20, 20), Marked(50, 50, 60, 60))
    dataset = Dataset(
        Path(), "wider", dataset.examples, subsets={"easy": {"0.png": frozenset({0})}}
    )
    answers = {"0.png": Answer("0.png", (BOX,), (BOX,)), "1.png": Answer("1.png")}
    (_, easy, _) = scores.score(dataset, answers, 0.3).figures
    assert (easy.name, easy.of_float) == ("AP easy", 1.0)


def test_false_alarms_in_photographs_without_a_face_count_but_for_wider() -> None:
    """The benchmark passes over such photographs; other datasets hold them on purpose."""
    seen = Example("0.png", Path(), (Marked(10, 10, 20, 20),))
    for form, expected in (("wider", 1.0), ("coco", 0.5)):
        dataset = Dataset(Path(), form, (seen, Example("1.png", Path())))
        first = ((*BOX[:4], 0.5),)
        answers = {"0.png": Answer("0.png", first, first), "1.png": Answer("1.png", (BOX,), (BOX,))}
        assert scores.score(dataset, answers).main.of_float == pytest.approx(expected)


def test_a_dataset_of_more_classes_than_outputs_is_refused() -> None:
    with pytest.raises(UsageError, match="tells 3 classes apart, the dataset has 2"):
        Asker(quantised(3), 2, 0.05)


def quantised(count: int) -> QuantisedScenario:
    made = Tensor("y", (1, 1, count), scale=1.0, zero_point=0)
    program = Program("made", made, (), Output((made,)), parameters=0)
    loaded, graph = cast("LoadedModel", None), cast("Graph", None)
    return QuantisedScenario(scenario.load("face_m4"), loaded, graph, program)


def test_a_box_outside_its_photograph_is_named(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "small.png")
    asker = object.__new__(Asker)
    for marked, wrong in ((Marked(40, 5, 50, 9), True), (Marked(25, 15, 50, 50), False)):
        example = Example("small.png", tmp_path / "small.png", (marked,))
        if wrong:
            with pytest.raises(UsageError, match=r"small\.png: a box outside its 30x20 pixels"):
                asker.photograph(example)
        else:
            assert asker.photograph(example).shape == (20, 30, 3)


def test_coco_results_have_the_datasets_own_numbers(tmp_path: Path) -> None:
    examples = (Example("a.jpg", Path(), key=17), Example("b.jpg", Path()))
    dataset = Dataset(Path(), "coco", examples, category=3)
    answers = {e.name: Answer(e.name, (), (BOX,)) for e in examples}
    predictions.write_coco(dataset, answers, tmp_path / "coco.json")
    found = json.loads((tmp_path / "coco.json").read_text())
    assert [(one["image_id"], one["category_id"]) for one in found] == [(17, 3), (2, 3)]
    assert (found[0]["bbox"], found[0]["score"]) == ([10.0, 10.0, 10.0, 10.0], 0.9)


def test_a_board_that_is_lost_for_good_ends_the_run() -> None:
    """Three photographs cost a board each; then the others are left for another day."""
    board = object.__new__(AnsweringBoard)
    board._failures = 0

    def lost(_: object) -> Measurement:
        board._failures += 1
        raise LinkError("the port vanished")

    worker = object.__new__(engine.Worker)
    worker._task = replace(TASK, on_board=BoardOptions("stm32f439", "emulator", "zig"))
    worker._asker = cast("Asker", SimpleNamespace(photograph=lambda _: None))
    worker._board = board
    board.answer = lost  # type: ignore[assignment,method-assign]
    found = [worker.answer(example).error for example in FOUR.examples[:2]]
    assert found == ["the port vanished"] * 2
    with pytest.raises(LinkError):
        worker.answer(FOUR.examples[2])


def test_real_boards_are_as_many_as_the_jobs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert cli.main(["evaluate", str(tmp_path), "--target=probe", "--jobs=2"]) == 2
    assert "--jobs=2 takes as many boards; known: 1" in capsys.readouterr().err


def test_accuracy_comes_with_the_classes_that_are_confused(tmp_path: Path) -> None:
    examples = tuple(Example(f"{i}", Path(), label=i % 2) for i in range(4))
    dataset = Dataset(Path(), "classes", examples, ("cat", "dog"))
    right = {e.name: ((float(e.label == 0), float(e.label == 1)),) for e in examples}
    answers = {name: Answer(name, said, right["0"]) for name, said in right.items()}
    found = scores.score(dataset, answers, 0.3)
    (figure,) = found.figures
    assert (figure.of_float, figure.of_integers, figure.drop) == (1.0, 0.5, 0.5)
    assert found.confusion is not None
    assert found.confusion[1].confusion.tolist() == [[2, 0], [2, 0]]
    assert len(report.confusion_tables(found, dataset.classes)) == 2
    report.write_confusion(found, dataset.classes, tmp_path / "confusion.csv")
    lines = (tmp_path / "confusion.csv").read_text().splitlines()
    assert lines[0] == "label,answer,float,integers"
    assert lines[1:] == ["cat,cat,2,2", "cat,dog,0,0", "dog,cat,0,2", "dog,dog,2,0"]


def test_a_dataset_of_which_nothing_is_answered_says_why() -> None:
    with pytest.raises(UsageError, match="no photograph was answered") as caught:
        scores.score(faces(Marked(0, 0, 9, 9)), {"0.png": Answer("0.png", error="no link")}, 0.3)
    assert caught.value.hint == "no link"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--sample=3"], "--sample goes with --reference"),
        (["--form=tar"], "unknown form of dataset 'tar'"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    assert cli.main(["evaluate", str(tmp_path), *options]) == 2
    assert complaint in capsys.readouterr().err


def dying(example: Example) -> Answer:
    """What a process does whose machine runs out of memory at the second photograph."""
    if example.name == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer(example.name)


def always_dying(example: Example) -> Answer:
    os.kill(os.getpid(), signal.SIGKILL)
    return answer(example.name)


def test_what_auto_takes_depends_on_the_board_and_so_do_answers() -> None:
    heads = []
    for options, name in ((["auto"], "a"), (["auto"], "b"), ([], "a"), ([], "b")):
        chosen = scenario.load("face_m4").override(quantise=options)
        heads.append(engine.head(replace(TASK, scenario=chosen, board=name), FOUR))
    assert heads[0] != heads[1]
    assert heads[2] == heads[3]


TASK = engine.Task(scenario.load("face_m4"), "stm32f439", None, None, 0.05, 0)
FOUR = Dataset(Path(), "wider", tuple(Example(str(i), Path()) for i in range(4)))


def test_a_process_that_dies_costs_its_photograph_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_answer", dying)
    found = {one.example: one.error for one in engine.run(TASK, FOUR, [], jobs=2)}
    assert found == {"0": "", "1": "the process that computed it died", "2": "", "3": ""}


@pytest.mark.slow
def test_processes_that_all_die_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_answer", always_dying)
    six = replace(FOUR, examples=tuple(Example(str(i), Path()) for i in range(9)))
    with pytest.raises(UsageError, match="3 processes died one after the other"):
        list(engine.run(TASK, six, [], jobs=2))


def test_ctrl_c_keeps_what_was_answered_and_says_what_it_is_worth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Iterator[Answer]:
        yield Answer("event/astronaut.png", (BOX,), (BOX,))
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "run", interrupted)
    arguments = ["evaluate", str(annotated(tmp_path)), "--reference", f"--out={tmp_path / 'out'}"]
    assert cli.main(arguments) == 130
    said = capsys.readouterr()
    assert "1 photographs were answered: --resume goes on with the others" in said.out
    assert "AP all" in said.out
    assert "interrupted" in said.err
    assert len((tmp_path / "out" / "answers.jsonl").read_text().splitlines()) == 2


def test_what_the_reference_answered_before_a_board_is_asked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    skipped = []

    def answering(_: object, dataset: Dataset, skip: Sequence[str], jobs: int) -> Iterator[Answer]:
        skipped.append((jobs, len(skip)))
        yield from (Answer(one.name, (BOX,), (BOX,)) for one in dataset.examples)

    monkeypatch.setattr(engine, "run", answering)
    arguments = ["evaluate", str(annotated(tmp_path)), "--reference", f"--out={tmp_path / 'out'}"]
    for further in ([], ["--resume"], ["--resume", "--sample=1"]):
        assert cli.main([*arguments, *further, "--worst=0"]) == 0
    assert skipped == [(1, 0), (1, 4), (1, 3)]
    assert "3 photographs were answered before" in capsys.readouterr().out


def annotated(folder: Path) -> Path:
    """Two photographs, one that is none, and one whose face lies outside."""
    inside = folder / "images" / "event"
    inside.mkdir(parents=True)
    for name in ("astronaut", "coffee"):
        Image.fromarray(photographs.read(name)[:384]).save(inside / f"{name}.png")
    (inside / "broken.png").write_bytes(b"not a picture")
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(inside / "small.png")
    names = ("astronaut", "coffee", "broken", "small")
    lines = [f"event/{name}.png\n1\n178 63 95 114 0 0 0 0 0 0\n" for name in names]
    (folder / "wider_face_val_bbx_gt.txt").write_text("".join(lines))
    return folder


@pytest.mark.slow
def test_a_bad_photograph_is_one_row_and_the_board_checks_a_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["evaluate", str(annotated(tmp_path)), "--reference", "--sample=4", f"--out={out}"]

    assert cli.main(arguments) == 1  # two photographs failed

    said = capsys.readouterr().out
    assert "not answered: event/broken.png" in said
    assert "not answered: event/small.png: event/small.png: a box outside its 20x20" in said
    assert "2 on the board: all equal" in said
    lines = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    checked = [line for line in lines[1:] if line["on_board"]]
    assert {line["example"] for line in checked} == {"event/astronaut.png", "event/coffee.png"}
    assert all(line["cycles"] > 1_000_000 and line["mismatches"] == 0 for line in checked)
    assert (out / "precision-recall.svg").read_text().startswith("<svg")
    assert (out / "wider" / "event" / "coffee.txt").read_text().startswith("coffee\n")
    assert len(list((out / "worst").glob("*.boxes.png"))) == 2

    assert cli.main([*arguments[:3], f"--out={out}", "--resume"]) == 1
    assert "2 photographs were answered before" in capsys.readouterr().out
