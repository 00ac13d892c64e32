"""The emulated boards of this process that have power.

pyOCD finds probes and pyserial finds ports by a string alone, in classes that they create
themselves. This registry is where those strings meet the boards.
"""

import atexit
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from hil.errors import UsageError

if TYPE_CHECKING:
    from hil.targets.emulator.board import EmulatedBoard

PROBE_TYPE = "hil-emulator"
"""What pyOCD calls the probes of these boards, as in `pyocd gdbserver -u hil-emulator:ID`."""

_kept: "list[EmulatedBoard]" = []
_boards: "WeakValueDictionary[str, EmulatedBoard]" = WeakValueDictionary()


def add(board: "EmulatedBoard") -> None:
    """Make a board findable until it is removed or gone.

    Raises:
        UsageError: there is one of that unique id already.
    """
    if board.unique_id in _boards:
        raise UsageError(
            f"an emulated board {board.unique_id!r} has power already",
            hint="close the target that uses it, or choose another unique id",
        )
    _boards[board.unique_id] = board


def keep(board: "EmulatedBoard") -> None:
    """Keep a board under power until the process ends, as one on a desk keeps it.

    For a board that nobody owns: a debugger may come and go, and the core runs on between.
    """
    if not _kept:
        atexit.register(_power_off_kept)
    add(board)
    _kept.append(board)


def _power_off_kept() -> None:
    for board in _kept:
        board.power_off()


def remove(board: "EmulatedBoard") -> None:
    """Take a board out; harmless when it is not in."""
    if _boards.get(board.unique_id) is board:
        del _boards[board.unique_id]


def find(unique_id: str) -> "EmulatedBoard | None":
    """Return the powered board of that unique id, in whatever case it is written."""
    return next((b for b in _boards.values() if b.unique_id.lower() == unique_id.lower()), None)


def unique_ids() -> list[str]:
    """Return the unique ids of all powered boards."""
    return sorted(_boards)
