"""What this machine has of boards on a desk: probes, serial ports, rights; and of the cache."""

import grp
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hil import paths
from hil.build import kept
from hil.config import inventory
from hil.errors import HilError
from hil.studies.finding import Finding

_USB = Path("/sys/bus/usb/devices")
_BUS = Path("/dev/bus/usb")
_RULES = "/etc/udev/rules.d/60-rnnpool-hil.rules"
_VENDORS = {
    "0483": "STMicroelectronics",
    "0d28": "Arm DAPLink",
    "1366": "SEGGER",
    "2e8a": "Raspberry Pi",
    "c251": "Keil",
}
"""Vendors of debug probes, by the USB-IF's number."""


def examine() -> Iterator[Finding]:
    """Look at probes, at serial ports and at the boards of the inventory."""
    yield from _probes()
    yield from usb_rights(_USB, _BUS)
    yield from _ports()
    yield from _inventory()


def cache() -> Finding:
    """Say where builds are kept, how much that is, and whether it can be written to."""
    place = paths.cache()
    there = next((one for one in (place, *place.parents) if one.exists()), Path("/"))
    if not os.access(there, os.W_OK | os.X_OK):
        remedy = "export HIL_CACHE=/a/folder/that/can/be/written"
        return Finding("cache", False, f"no right to write to {place}", remedy, optional=False)
    size = sum(one.bytes for one in kept.files(place)) / 1e6
    return Finding("cache", True, f"{place}, {size:,.0f} MB ($HIL_CACHE moves it)")


def _probes() -> Iterator[Finding]:
    if importlib.util.find_spec("pyocd") is None:
        return
    from hil.targets import probes

    found = probes.connected()
    for probe in found:
        detail = f"{probe.description} ({probe.unique_id}){_firmware(probe)}"
        yield Finding("debug probe", True, detail)
    if not found:
        remedy = "connect a board; the emulated one needs none"
        yield Finding("debug probe", False, "none connected", remedy)


def _firmware(probe: Any) -> str:
    """Say the firmware of an ST-LINK, which old ones need renewed; nothing where it is in use."""
    from pyocd.core.exceptions import Error
    from pyocd.probe.stlink_probe import StlinkProbe

    if not isinstance(probe, StlinkProbe):
        return ""
    link = probe._link  # noqa: SLF001  # the probe itself opens within a session alone
    try:
        link.open()
        try:
            version = getattr(link, "_version_str", "")  # said nowhere else
            return f", firmware {version}" if version else ""
        finally:
            link.close()
    except (Error, OSError) as error:
        return f"; it cannot be opened: {error}"


def usb_rights(devices: Path, bus: Path) -> Iterator[Finding]:
    """Find probes that this user may not open, and say what lets everybody at the desk do so.

    Args:
        devices: where the kernel lists USB devices.
        bus: where their files are.
    """
    for device in sorted(devices.glob("*")) if devices.is_dir() else []:
        vendor = _text(device / "idVendor")
        number, place = _text(device / "devnum"), _text(device / "busnum")
        if vendor not in _VENDORS or not number.isdecimal() or not place.isdecimal():
            continue
        file = bus / f"{int(place):03}" / f"{int(number):03}"
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            match, grant = rule(vendor)
            yield Finding(
                "right to a probe",
                False,
                f"{_VENDORS[vendor]} {_text(device / 'product')}: no right to {file}",
                "\n".join(
                    (
                        f"echo '{match}' \\",
                        f"  '{grant}' \\",
                        f"  | sudo tee -a {_RULES}",
                        "sudo udevadm control --reload && sudo udevadm trigger",
                    )
                ),
            )


def rule(vendor: str) -> tuple[str, str]:
    """Return udev's rule that gives who is logged in the right to a vendor's devices.

    Returns:
        which devices it is about, and what it gives. A space between makes them one line.
    """
    match = f'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{vendor}",'
    return match, 'MODE="0660", TAG+="uaccess"'


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _ports() -> Iterator[Finding]:
    if importlib.util.find_spec("serial") is None:
        return
    from serial.tools.list_ports import comports  # type: ignore[attr-defined]

    found = [port for port in comports() if port.vid is not None]
    for port in found:
        yield port_rights(Path(port.device), f"{port.description or ''}".strip())
    if not found:
        yield Finding("serial port", False, "none on USB", "connect a board with a virtual port")


def port_rights(device: Path, description: str) -> Finding:
    """Say whether this user may open a serial port, and what gives the right.

    Args:
        device: its file, such as /dev/ttyACM0.
        description: as the system names it.
    """
    name = f"{device}, {description}" if description else str(device)
    if os.access(device, os.R_OK | os.W_OK):
        return Finding("serial port", True, name)
    try:
        group = grp.getgrgid(device.stat().st_gid).gr_name
    except (KeyError, OSError):
        group = "dialout"
    remedy = f"sudo usermod -aG {group} $USER, then log in again"
    return Finding("serial port", False, f"{name}: no right to open it", remedy)


def _inventory() -> Iterator[Finding]:
    """Say of each board of the inventory what of it is missing."""
    try:
        units = inventory.load()
    except HilError as error:
        yield Finding("inventory", False, error.what, error.hint)
        return
    for unit in units:
        missing = list(_missing(unit))
        if missing:
            remedy = f"hil boards check {unit.name} says more"
            yield Finding(f"board {unit.name}", False, "; ".join(missing), remedy)
        else:
            yield Finding(f"board {unit.name}", True, f"a {unit.kind}, probe and port are there")


def _missing(unit: inventory.Unit) -> Iterator[str]:
    from hil.targets import ports, probes

    if unit.is_remote or unit.place:
        return
    if not probes.is_there(unit, probes.connected()):
        yield f"its probe {unit.probe} is not connected"
        return
    try:
        device = ports.find(unit)
    except HilError as error:
        yield error.what
        return
    if "://" not in device and not Path(device).exists():
        yield f"its serial port {device} is not there"


def python_can(modules: Sequence[str]) -> bool:
    """Whether this Python has all of some modules."""
    return all(importlib.util.find_spec(name) for name in modules) and sys.version_info >= (3, 11)
