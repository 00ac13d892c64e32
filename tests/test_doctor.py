import pytest

from hil import cli
from hil.studies import doctor


def test_what_the_main_job_needs_is_found_here() -> None:
    needed = [finding for finding in doctor.examine() if not finding.optional]
    assert {finding.name for finding in needed} >= {
        "Python",
        "torch",
        "ziglang",
        "pyocd",
        "unicorn",
    }
    assert all(finding.found for finding in needed)


def test_the_emulated_board_is_among_the_probes() -> None:
    probes = [finding for finding in doctor.examine() if finding.name == "debug probe"]
    assert any("emulated" in probe.detail for probe in probes)


def test_what_is_missing_comes_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert cli.main(["doctor"]) == 0
    assert "to have it: apt-get install gcc-arm-none-eabi" in capsys.readouterr().out


def test_a_missing_requirement_sets_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = doctor.Finding("torch", found=False, detail="not installed", optional=False)
    monkeypatch.setattr(doctor, "examine", lambda: [lost])
    assert cli.main(["doctor"]) == 1
