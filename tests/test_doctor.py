import subprocess
from pathlib import Path

import pytest

from hil import cli
from hil.studies import desk, doctor
from hil.studies.finding import Finding


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


def test_the_emulated_board_is_no_debug_probe() -> None:
    found = doctor.examine()
    assert not any("emulated" in one.detail for one in found if one.name == "debug probe")
    assert [one.found for one in found if one.name == "emulated board"] == [True]


def test_the_cache_is_named_with_its_size_or_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware/some.elf").write_bytes(bytes(3_000_000))
    monkeypatch.setenv("HIL_CACHE", str(tmp_path))
    assert desk.cache().detail.startswith(f"{tmp_path}, 3 MB")
    monkeypatch.setattr("os.access", lambda *_: False)
    lost = desk.cache()
    assert not lost.found
    assert not lost.optional
    assert "HIL_CACHE=" in lost.remedy


def test_a_probe_without_rights_comes_with_lines_for_udev(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, bus = tmp_path / "devices/1-2", tmp_path / "bus"
    device.mkdir(parents=True)
    files = {"idVendor": "0483", "devnum": "7", "busnum": "1", "product": "STM32"}
    for name, text in files.items():
        (device / name).write_text(f"{text}\n")
    (bus / "001").mkdir(parents=True)
    (bus / "001/007").write_text("")
    assert not [*desk.usb_rights(tmp_path / "devices", bus)]
    monkeypatch.setattr("os.access", lambda *_: False)
    (lost,) = desk.usb_rights(tmp_path / "devices", bus)
    assert f"STMicroelectronics STM32: no right to {bus}/001/007" in lost.detail
    assert 'ATTR{idVendor}=="0483"' in lost.remedy
    assert max(len(line) for line in lost.remedy.splitlines()) <= 74  # behind six spaces
    said = subprocess.run(
        ["sh", "-c", lost.remedy.partition("| sudo")[0].rstrip().removesuffix("\\")],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert said.stdout == " ".join(desk.rule("0483")) + "\n"  # one rule, as a shell reads it
    assert "udevadm trigger" in lost.remedy


def test_a_serial_port_without_rights_names_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "ttyACM0"
    device.write_text("")
    assert desk.port_rights(device, "STLINK").found
    monkeypatch.setattr("os.access", lambda *_: False)
    lost = desk.port_rights(device, "STLINK")
    assert lost.remedy.startswith("sudo usermod -aG ")


def test_a_board_of_the_inventory_that_is_not_there_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hil-boards.toml").write_text(
        '[[board]]\nname = "mine"\nkind = "stm32f439"\nprobe = "066AFF"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIL_CONFIG", str(tmp_path / "none"))
    (lost,) = [one for one in desk.examine() if one.name == "board mine"]
    assert lost.detail == "its probe 066AFF is not connected"


def test_what_is_found_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert not [one for one in lines if len(one) > 80]


def test_what_is_missing_comes_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert cli.main(["doctor"]) == 0
    assert "to have it: apt-get install gcc-arm-none-eabi" in capsys.readouterr().out


def test_a_missing_requirement_sets_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Finding("torch", found=False, detail="not installed", optional=False)
    monkeypatch.setattr(doctor, "examine", lambda: [lost])
    assert cli.main(["doctor"]) == 1
