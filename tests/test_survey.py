"""A folder's networks: which compile, which fit, at what cost, and why not."""

import csv
from pathlib import Path

import pytest

pytest.importorskip("tflite", reason="reads .tflite files: pip install 'rnnpool-hil[tflite]'")

from tflite_files import Writer, everything

from hil.cli import main


def large() -> Writer:
    w = Writer()
    w.conv(w.image(1, 1, 2048), 2048, 1)  # 4 MB of weights
    return w


def unknown() -> Writer:
    w = everything()
    w.operators[0].code, w.operators[0].options = "TRANSPOSE_CONV", ""
    return w


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "good.tflite").write_bytes(everything().write())
    (tmp_path / "cut.tflite").write_bytes(everything().write()[:900])
    (tmp_path / "large.tflite").write_bytes(large().write())
    (tmp_path / "unknown.tflite").write_bytes(unknown().write())
    (tmp_path / "own.toml").write_text('model = "nothing.py:net"\n')
    return tmp_path


def test_every_network_of_a_folder_is_a_row_with_its_verdict(
    zoo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["survey-models", str(zoo), "--csv", str(zoo / "rows.csv")]) == 1
    with (zoo / "rows.csv").open(encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "cut.tflite": "refused",
        "deep/good.tflite": "fits",
        "large.tflite": "too large",
        "own.toml": "refused",
        "unknown.tflite": "refused",
    }
    assert "TRANSPOSE_CONV" in rows["unknown.tflite"]["reason"]
    good = rows["deep/good.tflite"]
    assert all(int(good[name]) > 0 for name in ("macs", "cycles", "ram_bytes", "flash_bytes"))
    told = capsys.readouterr()
    assert "1 of 5 networks fit stm32f439" in told.out
    assert "[5/5]" in told.err


def test_a_folder_without_networks_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["survey-models", str(tmp_path)]) == 2
    assert "holds no network" in capsys.readouterr().err
    assert main(["survey-models", str(tmp_path / "none")]) == 2
    assert "is no folder" in capsys.readouterr().err
