"""Accuracy of a small RNNPool that tells faces from other photographs, float and on the board."""

import json
from pathlib import Path

import lfw
import pytest
from PIL import Image

from hil import cli
from hil.results import table
from hil.results.rows import Metric

LEAST_ACCURACY = 0.95  # some two of a hundred photographs are told wrongly
MOST_DROP = 0.03


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lfw.write(tmp_path_factory.mktemp("lfw"))


def rows(out: Path) -> dict[str, Metric]:
    return {row.metric.name: row.metric for row in table.load(out / "results.csv")}


def evaluate(scenario: Path, out: Path, *options: str) -> int:
    return cli.main(["evaluate", f"--scenario={scenario}", f"--out={out}", *options])


def test_integers_tell_faces_as_float_does_and_the_rows_say_so(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(scenario, tmp_path, "--reference", "--worst=2") == 0

    said = capsys.readouterr().out
    assert "accuracy.drop is" in said
    assert "answers, integers" in said  # the confusion matrix
    found = rows(tmp_path)
    assert found["accuracy"].reference is not None
    assert found["accuracy"].reference >= LEAST_ACCURACY
    assert found["accuracy"].value >= LEAST_ACCURACY - MOST_DROP
    drop = found["accuracy.drop"]
    assert (drop.limit, drop.verdict, abs(drop.value) <= MOST_DROP) == (0.05, "pass", True)
    assert drop.note.startswith("100 photographs of photographs, ")
    assert len(list((tmp_path / "worst").glob("*.png"))) == 2

    assert cli.main(["report", f"--csv={tmp_path / 'results.csv'}", "--format=markdown"]) == 0
    assert "| accuracy lost |" in capsys.readouterr().out


def test_integers_that_lose_too_much_are_the_verdict_accuracy(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ranges chosen on a black picture hold nothing of a face."""
    (tmp_path / "black").mkdir()
    Image.new("L", (25, 25)).save(tmp_path / "black" / "black.png")
    text = scenario.read_text().replace("learned/", str(tmp_path / "black"))
    blind = scenario.with_name("blind.toml")
    blind.write_text(text)

    assert evaluate(blind, tmp_path / "out", "--reference") == 1

    assert "[accuracy] accuracy.drop is 0." in capsys.readouterr().out
    drop = rows(tmp_path / "out")["accuracy.drop"]
    assert (drop.verdict, drop.value > 0.05) == ("accuracy", True)


def test_classes_are_numbered_as_the_scenarios_labels(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photographs = scenario.parent / "photographs"
    lines = ["file,label"]
    lines += [f"{photographs / c / f'{n}.png'},{c}" for c, n in (("other", "101"), ("face", "001"))]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    text = scenario.read_text().replace('"face", "other"', '"other", "face"')
    turned = scenario.with_name("turned.toml")
    turned.write_text(text)
    straight, other = tmp_path / "straight", tmp_path / "turned"
    assert evaluate(scenario, straight, "--reference", str(tmp_path)) == 0
    assert evaluate(turned, other, "--reference", str(tmp_path)) == 0
    figures = [rows(out)["accuracy"] for out in (straight, other)]
    assert [(one.reference, one.value) for one in figures] == [(1, 1), (0, 0)]

    (tmp_path / "labels.csv").write_text("\n".join(lines).replace(",other", ",cat"))
    assert evaluate(scenario, tmp_path / "out", "--reference", str(tmp_path)) == 2
    assert "labels are face, other, the dataset's classes cat, face" in capsys.readouterr().err


@pytest.mark.slow
def test_the_board_tells_every_photograph_in_two_processes(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(scenario, tmp_path, "--jobs=2") == 0
    assert "100 on the board: all equal (integer reference)" in capsys.readouterr().out
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()[1:]
    assert sum(json.loads(line)["on_board"] for line in lines) == 100
    assert rows(tmp_path)["accuracy"].value >= LEAST_ACCURACY - MOST_DROP


@pytest.mark.slow
def test_a_scenario_with_a_dataset_is_held_to_it_in_suite_report_and_baseline(
    scenario: Path, pytester: pytest.Pytester
) -> None:
    suite = ["--pyargs", "hil.suite", f"--hil-scenario={scenario}"]
    first = pytester.runpytest_subprocess(*suite, "--hil-update-baseline", "--hil-why=first")
    assert first.ret == 0
    first.stdout.fnmatch_lines(["*accuracy lost*pass*"])
    baseline = (pytester.path / "baselines" / "stm32f439.csv").read_text()
    assert ",accuracy," in baseline
    assert ",accuracy.drop," in baseline
    assert "faces-accuracy.drop" in (pytester.path / "build/hil/junit.xml").read_text()
    assert cli.main(["report", f"--csv={pytester.path / 'build/hil/results.csv'}"]) == 0
    assert 'data-metric="accuracy.drop"' in (pytester.path / "build/hil/report.html").read_text()

    # Of a network that had told more of them rightly, this one would be worse.
    path = pytester.path / "baselines" / "stm32f439.csv"
    lines = [
        line.replace(f"accuracy,{line.split(',')[10]},", "accuracy,1,")
        if ",accuracy," in line
        else line
        for line in baseline.splitlines()
    ]
    path.write_text("\n".join(lines) + "\n")
    second = pytester.runpytest_subprocess(*suite, "--hil-baseline")
    assert second.ret == 1
    second.stdout.fnmatch_lines(["*regression*accuracy*"])
