"""The rungs by which a set-up that failed is tried again, the gentlest first."""

import shlex
import subprocess
from enum import StrEnum

from hil.config.inventory import Unit
from hil.errors import ProbeError

SLOWEST = 115_200
"""Baud that a line bears which damages every frame at the board's."""

_CYCLES_S = 60.0


class Rung(StrEnum):
    """One way to have a board again, as `setup.recovery.<rung>` spells it."""

    RESYNC = "resync"
    SLOWER = "slower"
    PIN_RESET = "pin-reset"
    UNDER_RESET = "under-reset"
    REFLASH = "reflash"
    POWER_CYCLE = "power-cycle"
    MASS_ERASE = "mass-erase"

    @property
    def means(self) -> str:
        """What is done, for a person."""
        return _MEANS[self]


GREETING = (Rung.RESYNC, Rung.SLOWER, Rung.PIN_RESET, Rung.UNDER_RESET)
"""Those for a board that holds the image and does not answer."""

_MEANS = {
    Rung.RESYNC: "greeting it again",
    Rung.SLOWER: f"greeting it at {SLOWEST:,} baud, which its debugger sets",
    Rung.PIN_RESET: "resetting it by its pin",
    Rung.UNDER_RESET: "connecting again while it is held in reset",
    Rung.REFLASH: "taking and flashing it anew",
    Rung.POWER_CYCLE: "switching its power off and on",
    Rung.MASS_ERASE: "erasing all of its flash",
}


def of_board(unit: Unit) -> tuple[Rung, ...]:
    """Return the last rungs that a board's entry of the inventory has."""
    power = (Rung.POWER_CYCLE,) if unit.power_cycle else ()
    erase = (Rung.MASS_ERASE,) if unit.mass_erase else ()
    return power + erase


def cycle_power(unit: Unit) -> None:
    """Run the command of a board's entry that switches its power off and on.

    Raises:
        ProbeError: it fails, or does not end.
    """
    try:
        done = subprocess.run(
            shlex.split(unit.power_cycle),
            capture_output=True,
            text=True,
            timeout=_CYCLES_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise _failed(unit, str(error)) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        last = f": {said[-1]}" if said else ""
        raise _failed(unit, f"it ended with status {done.returncode}{last}")


def _failed(unit: Unit, why: str) -> ProbeError:
    return ProbeError(
        f"the power of {unit} was not cycled: {why}",
        hint=f"run it by hand: {unit.power_cycle}",
        stage="power-cycle",
    )
