"""Which physical boards there are, connected or not, and who uses them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hil.config.inventory import Unit
from hil.errors import HilError
from hil.targets import lock, ports, probes
from hil.targets.lock import Holder


@dataclass(frozen=True)
class Found:
    """A physical board as it is met now.

    Attributes:
        unit: as an inventory names it; without a name where none does.
        connected: whether its probe can be reached.
        port: its serial port, or why there is none.
        holder: who uses it.
    """

    unit: Unit
    connected: bool
    port: str
    holder: Holder | None


def boards(units: Sequence[Unit]) -> list[Found]:
    """Return the boards of the inventory, and the connected probes that it does not name."""
    here = probes.connected()
    named = {unit.probe.lower() for unit in units}
    others = [_unnamed(probe) for probe in here if probe.unique_id.lower() not in named]
    return [_found(unit, here) for unit in (*units, *others)]


def _unnamed(probe: Any) -> Unit:
    return Unit(name="", kind="", probe=probe.unique_id)


def _found(unit: Unit, here: Sequence[Any]) -> Found:
    return Found(unit, probes.is_there(unit, here), _port(unit), lock.holder(unit.probe))


def _port(unit: Unit) -> str:
    try:
        return ports.find(unit)
    except HilError as error:
        return error.what.partition(";")[0]
