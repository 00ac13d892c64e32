"""What stands for a board: what is asked for by name, or for `named` and `auto` what is there."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil import targets

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.targets.base import Target

_PROBE, _EMULATOR = "probe", "emulator"


@dataclass(frozen=True)
class Choice:
    """A target and why it was taken."""

    kind: "type[Target]"
    why: str

    @property
    def name(self) -> str:
        """The target's name."""
        return self.kind.name


def choose(name: str, board: "Board") -> Choice:
    """Return the target of a name.

    `named` takes a physical board only where somebody has named it, by `--hil-probe`, in the
    board's file or in an inventory: what merely is connected may be another's, and flashing erases.
    `auto` takes that one too, if its chip is the board's and no board is named.

    Args:
        name: of a target, or `named` or `auto`.
        board: its kind, with the physical boards that are named.

    Raises:
        UsageError: there is no such target.
        ProbeError: `auto`, and several probes are connected of which nobody named one.
    """
    if name in (targets.AUTO, targets.NAMED):
        return _by_itself(board, connected=name == targets.AUTO)
    if name == _PROBE:
        return _probe(board, "as asked for")
    return Choice(targets.find(name), "as asked for")


def _by_itself(board: "Board", *, connected: bool) -> Choice:
    from hil.targets import probe, probes

    named = probe.units(board)
    if not named and connected:
        return _only(board)
    if not named:
        why = f"no inventory and no --hil-probe names a {board.name}"
        return Choice(targets.find(_EMULATOR), why)
    if board.probe_id:
        return _probe(board, f"{named[0]} is named")
    here = probes.connected() if any(not unit.is_remote for unit in named) else []
    there = [unit for unit in named if probes.is_there(unit, here)]
    if there:
        return _probe(board, f"{there[0]} is connected")
    listed = ", ".join(map(str, named))
    return Choice(targets.find(_EMULATOR), f"not connected: {listed}")


def _only(board: "Board") -> Choice:
    """Return the only board connected, where its chip is the board's, else the emulated one."""
    from hil.errors import ProbeError
    from hil.targets import probe, probes

    if not probes.connected():
        return Choice(targets.find(_EMULATOR), "no debug probe is connected")
    unit = probes.only(board.name)
    try:
        probe.look(board, unit)
    except ProbeError as error:
        return Choice(targets.find(_EMULATOR), f"{unit} is connected, but {error.what}")
    return _probe(board, f"{unit} is connected")


def _probe(board: "Board", why: str) -> Choice:
    """Return the target of physical boards; one with another pedigree where they are emulated."""
    from hil.targets import probe, probes

    if any(probes.is_emulated(unit) for unit in probe.units(board)):
        return Choice(probe.ServedTarget, f"{why}; it is an emulated board in another process")
    return Choice(probe.ProbeTarget, why)
