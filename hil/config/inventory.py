"""Which physical boards there are: `hil-boards.toml`, one `[[board]]` each; see docs/boards.md."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta, field

from hil.config.toml import Entries, read
from hil.errors import UsageError
from hil.paths import configuration

FILE = "hil-boards.toml"
REMOTE = "remote:"
_Text = Annotated[str, Meta(min_length=1)]


@dataclass(frozen=True)
class Unit:
    """A physical board.

    Attributes:
        name: how people call it; empty where no inventory names it.
        kind: the name of its file in boards/.
        probe: the full unique id of its debug probe, or `remote:HOST:PORT` of pyOCD's probe server.
        port: the serial port's device, or a URL of pyserial; empty to look for it.
        port_serial, port_location: the USB serial number or location of the port; empty where the
            port is the probe's own.
        uid: the chip's unique id in hexadecimal; empty to take any.
        source: the file that says so.
        place: of a labgrid coordinator, which says where probe and port are; empty for none.
        coordinator: its address; empty for labgrid's own default.
        power_cycle: a command that switches the board's power off and on; empty for none.
        mass_erase: whether all of its flash may be erased where nothing else helps.
    """

    name: str
    kind: str
    probe: str
    port: str = ""
    port_serial: str = ""
    port_location: str = ""
    uid: str = ""
    source: str = ""
    place: str = ""
    coordinator: str = ""
    power_cycle: str = ""
    mass_erase: bool = False

    @property
    def is_remote(self) -> bool:
        """Whether its probe is on a server."""
        return bool(self.place) or self.probe.lower().startswith(REMOTE)

    def is_called(self, name: str) -> bool:
        """Whether that is its name or its probe's id, in any case."""
        return name.lower() in {self.name.lower(), self.probe.lower()} - {""}

    def __str__(self) -> str:
        where = f"place {self.place}" if self.place else f"probe {self.probe}"
        return f"{self.name} ({where})" if self.name else where


class _Port(Entries, frozen=True):
    """How a serial port is found."""

    usb_serial: str = ""
    usb_location: str = ""
    device: str = ""

    def __post_init__(self) -> None:
        """Hold it to one way."""
        if sum(map(bool, (self.usb_serial, self.usb_location, self.device))) != 1:
            raise ValueError("a port has one of usb_serial, usb_location and device")


class _Place(Entries, frozen=True):
    """A place of a labgrid coordinator."""

    place: _Text
    coordinator: str = ""


class _Unit(Entries, frozen=True):
    """A table of `[[board]]`."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    kind: _Text
    probe: str = ""
    port: _Port | None = None
    labgrid: _Place | None = None
    uid: Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{24})?$")] = ""
    power_cycle: str = ""
    mass_erase: bool = False

    def __post_init__(self) -> None:
        """Hold what belongs together against each other."""
        if bool(self.probe) == bool(self.labgrid):
            raise ValueError("a board has either a probe or a place of labgrid")
        if self.labgrid and self.port:
            raise ValueError("a place of labgrid says itself where the port is")
        if not self.probe.lower().startswith(REMOTE):
            return
        if not re.fullmatch(r"(?i)remote:[^:]+:\d{1,5}", self.probe):
            raise ValueError("a remote probe is written remote:HOST:PORT")
        if self.port is None or not self.port.device:
            raise ValueError("a board behind a remote probe needs port = { device = ... }")

    def made(self, source: str) -> Unit:
        """Return what the rest of the harness reads."""
        port, place = self.port, self.labgrid
        return Unit(
            name=self.name,
            kind=self.kind,
            probe=f"labgrid:{place.place}@{place.coordinator}" if place else self.probe,
            port=port.device if port else "",
            port_serial=port.usb_serial if port else "",
            port_location=port.usb_location if port else "",
            uid=self.uid.lower(),
            source=source,
            place=place.place if place else "",
            coordinator=place.coordinator if place else "",
            power_cycle=self.power_cycle,
            mass_erase=self.mass_erase,
        )


class _File(Entries, frozen=True):
    """A file of physical boards."""

    board: list[_Unit] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Hold the boards against each other."""
        for what in ("name", "probe"):
            said = [getattr(one, what).lower() for one in self.board if getattr(one, what)]
            twice = next((one for one in said if said.count(one) > 1), None)
            if twice:
                raise ValueError(f"two of [[board]] have the {what} {twice!r}")


def load(given: Path | None = None, project: Path | None = None) -> tuple[Unit, ...]:
    """Read the inventories; a later one's board replaces an earlier one's of the same name.

    Args:
        given: the file of `--hil-inventory`, read last; None for none.
        project: whose `hil-boards.toml` is read first; None for the current directory.

    Raises:
        UsageError: the given file does not exist, one says something wrong, or two boards have one
            probe.
    """
    found: dict[str, Unit] = {}
    for path in (*files(project), *([given] if given else [])):
        for one in read(path, _File).board:
            found[one.name.lower()] = one.made(str(path))
    units = tuple(found.values())
    for at, unit in enumerate(units):
        for other in units[:at]:
            if unit.probe.lower() == other.probe.lower():
                raise UsageError(
                    f"{other.name} of {other.source} and {unit.name} of {unit.source} have one "
                    f"probe, {unit.probe}",
                    hint="a board has one name: take one out, or call both the same",
                )
    return units


def files(project: Path | None = None) -> list[Path]:
    """Return the inventories that are read without being asked for, in the order of reading."""
    places = (project or Path(), configuration())
    return [place / FILE for place in places if (place / FILE).is_file()]


def called(units: Sequence[Unit], name: str) -> Unit:
    """Return the board of a name or a probe's id. Raises UsageError.

    Args:
        units: of the inventory.
        name: of a board, or its probe's unique id.
    """
    for unit in units:
        if unit.is_called(name):
            return unit
    if not units:
        raise UsageError(
            f"no inventory names a board, so there is none called {name!r}",
            hint=f"`hil boards list` shows what is connected, and the entry to write in {FILE}",
        )
    raise UsageError.unknown("board of the inventory", name, [unit.name for unit in units])


def entry(kind: str, probe: str, name: str = "desk-1") -> str:
    """Return what to write in an inventory for a board that is connected.

    Args:
        kind: of board, as `boards/` names it.
        probe: its unique id.
        name: that people call the board by.
    """
    return text(Unit(name=name, kind=kind, probe=probe))


def text(unit: Unit) -> str:
    """Return a board's entry as it stands in an inventory."""
    lines = ["[[board]]"]
    known = ("name", "kind") if unit.place else ("name", "kind", "probe")
    lines += [f"{key} = {_quoted(getattr(unit, key))}" for key in known]
    if unit.place:
        at = f", coordinator = {_quoted(unit.coordinator)}" if unit.coordinator else ""
        lines.append(f"labgrid = {{ place = {_quoted(unit.place)}{at} }}")
    ways = {
        "device": unit.port,
        "usb_serial": unit.port_serial,
        "usb_location": unit.port_location,
    }
    lines += [f"port = {{ {way} = {_quoted(said)} }}" for way, said in ways.items() if said]
    lines += [f"uid = {_quoted(unit.uid)}"] if unit.uid else []
    lines += [f"power_cycle = {_quoted(unit.power_cycle)}"] if unit.power_cycle else []
    lines += ["mass_erase = true"] if unit.mass_erase else []
    return "\n".join(lines)


def _quoted(said: str) -> str:
    return json.dumps(said)  # a string of JSON is one of TOML
