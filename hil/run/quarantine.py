"""Leaves boards out of runs whose set-up failed several times, until a check finds them well."""

from dataclasses import replace
from pathlib import Path

from hil.config.board import Board
from hil.config.inventory import Unit
from hil.errors import UsageError
from hil.results import health, store
from hil.results.health import Health
from hil.run.measurement import Progress


def leave_out(board: Board, history: Path, progress: Progress) -> Board:
    """Return the board without its physical boards in quarantine; each is told.

    One that the command line names is told and kept. A board of the inventory is known by its
    `uid`.

    Args:
        board: with the physical boards of its kind.
        history: folder of the runs.
        progress: told each board that is left out.

    Raises:
        UsageError: all of them are in quarantine.
    """
    if not any(unit.uid for unit in board.units):
        return board
    records = health.of(store.load_history(history), health.checked(history))
    shut = {one.uid: one for one in records if one.board == board.name and one.in_quarantine}
    left = []
    for unit in board.units:
        record = shut.get(unit.uid)
        if record is not None:
            progress(_told(unit, record))
        if record is None or (board.probe_id and unit.is_called(board.probe_id)):
            left.append(unit)
    if board.units and not left:
        unit = board.units[0]
        raise UsageError(
            _told(unit, shut[unit.uid]),
            hint=f"`hil boards check {unit.name}` ends it where the board is well; "
            f"--hil-probe={unit.name} takes it all the same",
        )
    return replace(board, units=tuple(left))


def _told(unit: Unit, record: Health) -> str:
    failures = ", ".join(record.latest)
    return f"{unit} is in quarantine: {failures} since its last result"
