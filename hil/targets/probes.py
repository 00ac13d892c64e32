"""Debug probes: those connected here, and those behind pyOCD's probe server."""

import socket
from collections.abc import Sequence
from dataclasses import replace
from threading import Event
from time import monotonic
from typing import Any

from hil.config.inventory import REMOTE, Unit, entry
from hil.errors import LockError, ProbeError
from hil.targets import labgrid

HINT = "check the cable, and that `pyocd list` shows the probe and nobody else uses it"
_EMULATED_BY = "rnnpool-hil"
_CONNECT_S = 10.0
_COMES_S, _LOOK_EVERY_S = 10.0, 0.2


def connected() -> list[Any]:
    """Return all probes connected here but the emulated ones; it waits for none."""
    from pyocd.probe.aggregator import PROBE_CLASSES

    from hil.targets.emulator.powered import PROBE_TYPE

    kinds = [kind for name, kind in PROBE_CLASSES.items() if name != PROBE_TYPE]
    return [probe for kind in kinds for probe in kind.get_all_connected_probes()]


def find(unit: Unit) -> Any:
    """Return the probe of a physical board.

    Raises:
        ProbeError: it is not connected; those that are are listed.
    """
    return _remote(unit.probe) if unit.is_remote else choose(connected(), unit.probe)


def only(kind: str) -> Unit:
    """Return the board behind the only connected probe.

    Args:
        kind: of board that is wanted, for what to write where there are several.

    Raises:
        ProbeError: there is none, or there are several.
    """
    return Unit(name="", kind=kind, probe=choose(connected(), "", kind).unique_id)


def choose(probes: Sequence[Any], unique_id: str, kind: str = "") -> Any:
    """Return the probe of a unique id, or the only one there is.

    Args:
        probes: pyOCD's probes.
        unique_id: whole, in any case; empty for the only probe.
        kind: of board that is wanted, for what to write where there are several.

    Raises:
        ProbeError: there is none, or several and no unique id chooses between them.
    """
    listed = ", ".join(f"{probe.unique_id} ({probe.description})" for probe in probes) or "none"
    if unique_id:
        for probe in probes:
            if probe.unique_id.lower() == unique_id.lower():
                return probe
        raise ProbeError(f"no probe {unique_id!r} is connected; connected: {listed}", hint=HINT)
    if not probes:
        raise ProbeError(
            "no debug probe is connected",
            hint="connect the board, or run on the emulated one with --hil-target=emulator",
        )
    if len(probes) > 1:
        example = "\n".join(
            entry(kind or "KIND", probe.unique_id, f"desk-{number}")
            for number, probe in enumerate(probes, 1)
        )
        raise ProbeError(
            f"several probes are connected: {listed}",
            hint=f"choose one with --hil-probe, or write hil-boards.toml:\n{example}",
        )
    return probes[0]


def is_emulated(unit: Unit) -> bool:
    """Whether a remote probe is an emulated board's; False where it cannot be asked."""
    from pyocd.core import exceptions

    if not unit.is_remote:
        return False
    if unit.place:
        try:
            with labgrid.acquired(unit, wait_s=0.0, tell=lambda _said: None) as found:
                return is_emulated(replace(found, place=""))
        except (LockError, ProbeError):
            return False
    try:
        probe = _remote(unit.probe)
        probe.open()
        try:
            return is_emulated_probe(probe)
        finally:
            probe.close()
    except (ProbeError, exceptions.Error, OSError):
        return False


def is_emulated_probe(probe: Any) -> bool:
    """Whether an open probe is an emulated board's."""
    return bool(probe.vendor_name == _EMULATED_BY)


def is_there(unit: Unit, here: Sequence[Any]) -> bool:
    """Whether a board's probe can be reached.

    Args:
        unit: the board.
        here: the probes that are connected to this machine.
    """
    if unit.place:
        return labgrid.is_free(unit)
    if not unit.is_remote:
        return any(probe.unique_id.lower() == unit.probe.lower() for probe in here)
    try:
        socket.create_connection(_address(unit.probe), timeout=_CONNECT_S).close()
    except OSError:
        return False
    return True


def wait_for(unit: Unit) -> None:
    """Wait for a board's probe, that may have lost its power too, for a while."""
    until = monotonic() + _COMES_S
    while not is_there(unit, [] if unit.is_remote else connected()) and monotonic() < until:
        Event().wait(_LOOK_EVERY_S)


def _address(remote: str) -> tuple[str, int]:
    host, _, port = remote[len(REMOTE) :].rpartition(":")
    return host, int(port)


def _remote(unique_id: str) -> Any:
    """Return the client of a probe server. Raises ProbeError where none answers."""
    from hil.targets.remote_probe import RemoteProbe

    host, port = _address(unique_id)
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError as error:
        raise ProbeError(
            f"no probe server answers at {host}:{port}: {error}",
            hint="is `hil boards serve` or `pyocd server` running there?",
        ) from error
    return RemoteProbe(host, port)
