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
