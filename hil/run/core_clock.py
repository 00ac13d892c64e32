"""The core's clock on silicon: measured against the host's, since a board's file only wishes it.

Seconds of silicon are cycles over the measured clock. An internal oscillator is good to 1 %.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from hil.targets import clock_tree
from hil.targets.ram_program import CYCCNT

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.targets.debugger import Debugger

LEAST_S = 2.0
"""How long the counter runs between two looks: a probe answers within milliseconds."""

_COUNTER = 1 << 32
_LOOKS = 5
FALLBACK = (
    "the crystal never swings: the core runs from the internal oscillator, within 1 % of its clock"
)


@dataclass(frozen=True)
class Look:
    """The cycle counter at a moment.

    Attributes:
        cycles: of CYCCNT.
        at_s: by the host's clock; uncertain_s: by how much that may be wrong.
    """

    cycles: int
    at_s: float
    uncertain_s: float


@dataclass(frozen=True)
class CoreClock:
    """What is known of the core's clock.

    Attributes:
        hz: as measured.
        uncertainty_hz: of it.
    """

    hz: float
    uncertainty_hz: float


def look(debugger: "Debugger", clock: Callable[[], float] = time.monotonic) -> Look:
    """Read the counter of a running core, as quickly as the probe does it. Raises ProbeError.

    Args:
        debugger: of the board.
        clock: seconds of the host that only grow.
    """
    looks = []
    for _ in range(_LOOKS):
        asked = clock()
        cycles = debugger.read_word(CYCCNT)
        answered = clock()
        looks.append(Look(cycles, (asked + answered) / 2, (answered - asked) / 2))
    return min(looks, key=lambda one: one.uncertain_s)


def measure(
    debugger: "Debugger", since: Look, nominal_hz: int, clock: Callable[[], float] = time.monotonic
) -> CoreClock:
    """Measure the clock from an earlier look until now, or until it is long enough ago.

    Args:
        debugger: of the board, which has run since.
        since: the earlier look.
        nominal_hz: of the board's file, which tells how often the 32-bit counter came round.
        clock: seconds that only grow.

    Raises:
        ProbeError: the board is lost.
    """
    short_s = since.at_s + LEAST_S - clock()
    if short_s > 0:
        Event().wait(short_s)
    now = look(debugger, clock)
    passed = now.at_s - since.at_s
    counted = now.cycles - since.cycles & _COUNTER - 1
    counted += round((passed * nominal_hz - counted) / _COUNTER) * _COUNTER
    hz = counted / passed
    return CoreClock(hz, hz * (since.uncertain_s + now.uncertain_s) / passed)


def falls_back(board: "Board", debugger: "Debugger | None") -> bool:
    """Whether firmware that should run from a crystal runs from the internal oscillator.

    Args:
        board: its kind, with its clock source.
        debugger: of the board; None where the target has none.

    Raises:
        ProbeError: the board is lost.
    """
    if debugger is None or board.clock_source == "hsi":
        return False
    return clock_tree.is_internal(board, debugger.read_word)
