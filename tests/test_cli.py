import subprocess
import sys
from pathlib import Path

import pytest

from hil import cli


def test_help_teaches_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for command in (
        "new",
        "doctor",
        "plan",
        "quantise",
        "profile",
        "models",
        "poolings",
        "detect",
        "emulate",
        "bench",
        "cache",
    ):
        assert f"\n    {command} " in text
    assert "pytest hil/ --board=stm32f439" in text


def test_help_imports_none_of_the_heavy_packages() -> None:
    script = (
        "import sys; from hil import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'pandas', 'pyocd', 'unicorn', 'rich', 'skimage'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.splitlines()[-1] == "heavy: []"


def test_an_unknown_scenario_is_told_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["plan", "face_m5"]) == 2
    assert "unknown scenario 'face_m5'\n  known: " in capsys.readouterr().err


def test_the_plan_shows_every_buffer_and_its_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "face_m4"]) == 0
    text = capsys.readouterr().out
    assert "pool" in text
    assert "76,800" in text
    assert "B in SRAM" in text


def test_the_frontier_trades_memory_for_cycles(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "face_m4", "--pareto"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    ram = [int(line.split()[0].replace(",", "")) for line in lines]
    cycles = [int(line.split()[2].replace(",", "")) for line in lines]
    assert len(lines) > 2
    assert ram == sorted(ram, reverse=True)
    assert cycles == sorted(cycles)


def test_a_cap_that_no_schedule_meets_is_told_by_how_much(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["plan", "face_m4", "--optimise", "100_000"]) == 2
    assert "[memory at plan]" in capsys.readouterr().err


def test_an_aim_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["plan", "face_m4", "--optimise", "size"])
    assert "speed, ram, or a number of bytes" in capsys.readouterr().err


LAYER = """
model = "rnnpool_layer"

[variant]
rows = 24
columns = 24
channels = 4
patch = 6
stride = 4
hidden_row = 4
hidden_summary = 4
"""


def test_quantise_reports_what_each_choice_buys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, figures, whole = (tmp_path / n for n in ("layer.toml", "f.csv", "f.json"))
    scenario.write_text(LAYER)
    command = ["quantise", str(scenario), "--report", "--photographs", "2"]
    assert cli.main([*command, "--csv", str(figures), "--json", str(whole)]) == 0
    text = capsys.readouterr().out
    assert "states of the cells in 8 bits" in text
    assert "astronaut" in text
    assert "chelsea" not in text
    assert figures.read_text().startswith("variant,metric,of,value\n")
    assert whole.read_text().startswith("{")


def test_quantise_without_report_is_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = tmp_path / "layer.toml"
    scenario.write_text(LAYER)
    assert cli.main(["quantise", str(scenario), "--photographs", "1"]) == 0
    text = capsys.readouterr().out
    assert "cosine of all outputs" in text
    assert "instead" not in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["face_m5"], "hil quantise: unknown scenario 'face_m5'\n  known: "),
        (["face_m4", "--checkpoint", "none.pth"], "hil quantise: there is no checkpoint none.pth"),
    ],
)
def test_quantise_says_what_is_not_there(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["quantise", *arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_no_photographs_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["quantise", "face_m4", "--photographs", "0"])
    assert "a whole number from 1 to" in capsys.readouterr().err
