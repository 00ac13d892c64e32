import subprocess
import sys

import pytest

from hil import cli


def test_help_teaches_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for command in ("doctor", "plan", "profile", "models", "detect", "emulate", "bench"):
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
