"""The serial port of a physical board: found by USB identity, opened for one user alone."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

from serial import SerialBase

from hil.config.inventory import Unit
from hil.errors import PortError

_HINT = "name the port with --hil-port, or in hil-boards.toml: port = { device = ... }"
LATE_S = 5.0
"""How long a port may take to come: USB devices go and come again where a board is reset."""

_LOOK_EVERY_S = 0.1  # the kernel tells of devices only through udev, which not every system has
_PROC = Path("/proc")
_MODEM_MANAGER = "ModemManager"


def find(unit: Unit) -> str:
    """Return the device or URL of a board's serial port.

    It is the one that the inventory names, or belongs to the USB device that the probe is.

    Raises:
        PortError: there is none, or several; all that there are are listed.
    """
    if unit.port:
        return unit.port
    if unit.place:
        raise PortError(f"the place {unit.place} says it when it is acquired", hint=_HINT)
    from serial.tools.list_ports import comports  # type: ignore[attr-defined]

    ports = list(comports())
    wanted, is_it = _description(unit)
    found = [port for port in ports if is_it(port)]
    if len(found) == 1:
        return str(found[0].device)
    listed = "; ".join(map(_listed, ports)) or "none"
    number = "several serial ports have" if found else "no serial port has"
    raise PortError(f"{number} {wanted}; ports here: {listed}", hint=_HINT)


def open_exclusively(device: str, baud: int) -> SerialBase:
    """Open a serial port that nobody else may open meanwhile, and drop what has arrived.

    One that is not there is waited for, for a while.

    Args:
        device: a path, or one of pyserial's URLs.
        baud: bits a second.

    Raises:
        PortError: it is absent or busy; the error names who is known to use it.
    """
    import serial

    _wait_for(device)
    alone = {} if "://" in device else {"exclusive": True}
    try:
        with warnings.catch_warnings():  # pyserial's RFC 2217 ports name their threads the old way
            warnings.simplefilter("ignore", DeprecationWarning)
            port: Any = serial.serial_for_url(device, baudrate=baud, **alone)
        port.reset_input_buffer()
    except (serial.SerialException, OSError, ValueError) as error:
        users = ", ".join(holders(device))
        used = f"; in use by {users}" if users else ""
        raise PortError(f"{device} cannot be opened: {error}{used}", hint=hint()) from error
    opened: SerialBase = port
    return opened


def _wait_for(device: str) -> None:
    until = monotonic() + LATE_S
    while "://" not in device and not Path(device).exists() and monotonic() < until:
        Event().wait(_LOOK_EVERY_S)


def hint(processes: Path = _PROC) -> str:
    """Return what to do about a port that fails; ModemManager is named where it runs."""
    meddler = next((one for one in _processes(processes) if _name(one) == _MODEM_MANAGER), None)
    if meddler is None:
        return _HINT
    return (
        f"{_MODEM_MANAGER} (process {meddler.name}) runs here and writes to new serial ports: stop "
        'it, or give the probe\'s udev rule ENV{ID_MM_DEVICE_IGNORE}="1"'
    )


def holders(device: str, processes: Path = _PROC) -> list[str]:
    """Return the processes that have a device open, as far as this user may see them.

    Args:
        device: a path.
        processes: where the kernel lists processes.
    """
    if "://" in device:
        return []
    path = Path(device).resolve()
    return [
        f"{_name(one)} (process {one.name})" for one in _processes(processes) if _has(one, path)
    ]


def _description(unit: Unit) -> tuple[str, Callable[[Any], bool]]:
    """Say which USB device the port must belong to, in words and as a test."""
    if unit.port_location:
        return f"the USB location {unit.port_location}", (
            lambda port: port.location == unit.port_location
        )
    number = unit.port_serial or unit.probe
    return f"the USB serial number {number}", (
        lambda port: bool(port.serial_number) and port.serial_number.lower() == number.lower()
    )


def _listed(port: Any) -> str:
    return f"{port.device} (serial number {port.serial_number}, location {port.location})"


def _processes(root: Path) -> Sequence[Path]:
    return [one for one in root.glob("[0-9]*") if one.name.isdecimal()]


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # it has ended
        return ""


def _has(process: Path, path: Path) -> bool:
    try:
        return any(file.resolve() == path for file in (process / "fd").iterdir())
    except OSError:  # another user's, or ended
        return False
