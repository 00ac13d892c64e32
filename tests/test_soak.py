"""`hil bench soak`: inferences one after another, held to the first of them."""

from pathlib import Path

import pytest
from test_extending_run import block

from hil import cli
from hil.errors import MismatchError
from hil.link.client import Device, Run
from hil.studies.bench import soak


@pytest.fixture
def thumbs(tmp_path: Path) -> str:
    (tmp_path / "nets.py").write_text(block("nets.py"))
    text = block("thumbs.toml").replace(" = 32 ", " = 16 ").replace("= 32\n", "= 16\n")
    (tmp_path / "thumbs.toml").write_text(text)
    return str(tmp_path / "thumbs.toml")


def test_inferences_are_counted_and_memory_is_told(
    thumbs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "new" / "soak.csv"
    words = ["bench", "soak", f"--scenario={thumbs}", "--runs=30", f"--csv={table}"]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert table.read_text() == "inference,cycles,resident_bytes\n"
    assert said.startswith("30 inferences in")
    assert "all outputs right" in said.replace("\n", " ")
    assert "MB at the end" in said


def test_an_inference_that_takes_longer_than_the_first_is_told_by_its_number(
    thumbs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, count = Device.run, 0

    def drifts(self: Device, iterations: int = 1, *, per_layer: bool = True) -> Run:
        nonlocal count
        count += 1
        made = run(self, iterations, per_layer=per_layer)
        later = count == 4
        return Run(made.cycles + later, 0, 0, 0, ())

    monkeypatch.setattr(Device, "run", drifts)
    with pytest.raises(MismatchError, match="inference 4 took"):
        soak.soak(thumbs, "stm32f439", 10, 60.0, lambda _: None)


def test_memory_that_grows_is_told_by_the_second_half_alone() -> None:
    fills = [400_000_000 + 800 * min(at, 2_000) for at in range(10_000)]
    grows = [size + 16 * at for at, size in enumerate(fills)]
    flat, leaking = (soak.Soak(10_000, 1, 1.0, sizes, 0) for sizes in (fills, grows))
    assert flat.growth_bytes == pytest.approx(0, abs=1e-6)
    assert leaking.growth_bytes == pytest.approx(16)
    assert "16 B more with each inference of the second half" in str(leaking)


def test_every_hundredth_inference_is_a_row_of_the_table(tmp_path: Path) -> None:
    soak.Soak(250, 7, 1.0, range(1, 251), 0).write(tmp_path / "soak.csv")
    assert (tmp_path / "soak.csv").read_text().splitlines()[1:] == ["100,7,100", "200,7,200"]


@pytest.mark.parametrize("wrong", ["--runs=0", "--seconds=0", "--seconds=nan"])
def test_nothing_to_do_is_a_usage_error(wrong: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["bench", "soak", wrong])
