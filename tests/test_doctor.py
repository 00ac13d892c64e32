import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast

import pytest
from pyocd.core.exceptions import ProbeError
from pyocd.probe.stlink.constants import Commands
from pyocd.probe.stlink_probe import StlinkProbe

from hil import cli
from hil.studies import desk, doctor
from hil.studies.finding import Finding
from hil.targets import probes


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


class Usb:
    """An ST-LINK/V2-1's line as pyocd uses it; `jtag` is its firmware's version."""

    serial_number = "066DFF495177514867213407"
    vendor_name, product_name = "STMicroelectronics", "STM32 STLink"
    is_open = False

    def __init__(self, jtag: int, *, is_taken: bool = False) -> None:
        self.jtag, self.is_taken = jtag, is_taken

    def open(self) -> None:
        if self.is_taken:
            raise ProbeError("the USB device is in use")
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def transfer(self, words: list[int], readSize: int = 0, **_: object) -> bytes:  # noqa: N803
        if words[0] == Commands.GET_VERSION:
            return (2 << 12 | self.jtag << 6 | 26).to_bytes(2, "big") + bytes(readSize - 2)
        if words[0] == Commands.GET_TARGET_VOLTAGE:
            return (1000).to_bytes(4, "little") + (1375).to_bytes(4, "little")
        return bytes(readSize)


@pytest.mark.parametrize(
    ("usb", "told"),
    [
        (Usb(37), ", firmware V2J37M26"),
        (Usb(20), "; it cannot be opened: *V2J20M26, must be at least version v2J24*"),
        (Usb(37, is_taken=True), "; it cannot be opened: the USB device is in use"),
    ],
)
def test_an_st_link_is_named_with_its_firmware(
    usb: Usb, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "connected", lambda: [StlinkProbe(cast("Any", usb))])
    (found,) = (one for one in doctor.examine() if one.name == "debug probe")
    assert fnmatch(found.detail, f"*({usb.serial_number}){told}")


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
