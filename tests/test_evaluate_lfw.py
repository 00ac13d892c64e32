"""Accuracy of a trained RNNPool that tells faces from other photographs, float and on the board."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from hil import cli
from hil.config import scenario
from hil.paths import SCENARIOS
from hil.results import table
from hil.results.rows import Metric
from hil.run.evaluation.answer import Answer
from hil.studies.evaluate import engine
from hil.vision import photographs
from hil.vision.datasets import Dataset

HELD_BACK = "lfw_subset:held_back"
LEAST_ACCURACY = 0.92  # of 50 photographs
MOST_DROP = 0.04


def rows(out: Path) -> dict[str, Metric]:
    return {row.metric.name: row.metric for row in table.load(out / "results.csv")}


def evaluate(out: Path, *options: str, name: str = "face_or_not") -> int:
    return cli.main(["evaluate", f"--scenario={name}", f"--out={out}", *options])


def changed(folder: Path, pattern: str, by: str) -> str:
    """The scenario with a part of its text replaced, in a file of its own."""
    text = (SCENARIOS / "face_or_not.toml").read_text()
    weights = SCENARIOS / "face_or_not.pth"
    text = text.replace('"face_or_not.pth"', f'"{weights}"')
    replaced, count = re.subn(pattern, by, text, count=1, flags=re.DOTALL)
    assert count == 1
    path = folder / "changed.toml"
    path.write_text(replaced)
    return str(path)


def test_integers_tell_faces_as_float_does_and_the_rows_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The reference takes no memory of a board: a network that fits none can be evaluated.
    monkeypatch.setattr("hil.compiler.plan.make_plan", None)
    assert evaluate(tmp_path, "--reference", "--worst=2") == 0

    said = capsys.readouterr().out
    assert "[pass] accuracy.drop is" in said
    assert "answers, integers" in said  # the confusion matrix
    found = rows(tmp_path)
    assert found["accuracy"].reference is not None
    assert found["accuracy"].reference >= LEAST_ACCURACY
    drop = found["accuracy.drop"]
    assert (drop.verdict, abs(drop.value) <= MOST_DROP) == ("pass", True)
    assert drop.limit == scenario.load("face_or_not").limits.accuracy_drop
    assert drop.note.startswith(f"50 photographs of {HELD_BACK}, ")
    assert len(list((tmp_path / "worst").glob("*.png"))) == 2

    assert cli.main(["report", f"--csv={tmp_path / 'results.csv'}", "--format=markdown"]) == 0
    assert "| accuracy lost |" in capsys.readouterr().out


def test_integers_that_lose_too_much_are_the_verdict_accuracy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the integers of a planted quantiser everything is a face."""

    def always_face(_: object, dataset: Dataset, *__: object) -> Iterator[Answer]:
        for example in dataset.examples:
            right = ((1.0, 0.0),) if example.label == 0 else ((0.0, 1.0),)
            yield Answer(example.name, right, ((1.0, 0.0),))

    monkeypatch.setattr(engine, "run", always_face)
    assert evaluate(tmp_path, "--reference") == 1
    assert "[accuracy] accuracy.drop is 0.5, limit 0.05" in capsys.readouterr().out
    found = rows(tmp_path)
    assert (found["accuracy.drop"].verdict, found["accuracy"].value) == ("accuracy", 0.5)

    # A few photographs are of all classes, not of the first alone.
    assert evaluate(tmp_path, "--reference", "--limit=10") == 1
    assert 0 < rows(tmp_path)["accuracy"].value < 1
    assert rows(tmp_path)["accuracy"].note.startswith("10 photographs")


def test_classes_are_numbered_as_the_scenarios_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, number in (("other", 180), ("face", 80)):
        Image.fromarray(photographs.read(f"lfw_subset:{number}")).save(tmp_path / f"{name}.png")
    (tmp_path / "labels.csv").write_text("other.png,other\nface.png,face\n")
    turned = changed(tmp_path, '"face", "other"', '"other", "face"')
    for out, name, right in (("straight", "face_or_not", 1), ("turned", turned, 0)):
        assert evaluate(tmp_path / out, "--reference", str(tmp_path), name=name) == 0
        found = rows(tmp_path / out)["accuracy"]
        assert (found.reference, found.value) == (right, right)

    (tmp_path / "labels.csv").write_text("other.png,cat\nface.png,face\n")
    assert evaluate(tmp_path / "out", "--reference", str(tmp_path)) == 2
    assert "labels are face, other, the dataset's classes cat, face" in capsys.readouterr().err


def test_a_limit_of_the_other_kind_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = changed(tmp_path, "accuracy_drop", "map_drop")
    assert evaluate(tmp_path, "--reference", name=wrong) == 2
    said = capsys.readouterr().err
    assert "has the limit map_drop" in said
    assert "its limit is accuracy_drop" in said


@pytest.mark.slow
def test_the_board_tells_every_photograph_in_two_processes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(tmp_path, "--jobs=2") == 0
    assert "50 on the board: all equal (integer reference)" in capsys.readouterr().out
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()[1:]
    assert sum(json.loads(line)["on_board"] for line in lines) == 50
    assert abs(rows(tmp_path)["accuracy.drop"].value) <= MOST_DROP


@pytest.mark.slow
def test_a_scenario_with_a_dataset_is_held_to_it_in_suite_report_and_baseline(
    pytester: pytest.Pytester,
) -> None:
    suite = ["--pyargs", "hil.suite", "--hil-scenario=face_or_not"]
    first = pytester.runpytest_subprocess(*suite, "--hil-update-baseline", "--hil-why=first")
    assert first.ret == 0
    first.stdout.fnmatch_lines(["*accuracy lost*pass*"])
    path = pytester.path / "baselines" / "stm32f439.csv"
    baseline = path.read_text()
    assert ",accuracy," in baseline
    assert ",accuracy.drop," in baseline
    assert "face_or_not-accuracy.drop" in (pytester.path / "build/hil/junit.xml").read_text()
    assert cli.main(["report", f"--csv={pytester.path / 'build/hil/results.csv'}"]) == 0
    assert 'data-metric="accuracy.drop"' in (pytester.path / "build/hil/report.html").read_text()

    # Beside a network that had told all of them rightly, this one is worse.
    path.write_text(re.sub(r",accuracy,[0-9.]+,", ",accuracy,1,", baseline))
    second = pytester.runpytest_subprocess(*suite, "--hil-baseline")
    assert second.ret == 1
    second.stdout.fnmatch_lines(["*regression*accuracy*"])
