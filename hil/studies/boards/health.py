"""How often each board's set-up failed, from the rows that runs left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hil.errors import Verdict
from hil.results.rows import Context, Row

QUARANTINE_AFTER = 3
"""Set-up errors without a result between after which a board should be checked first."""

_OF_NO_BOARD = Verdict.BUILD, Verdict.LOCK
_PROBE = "probe"


@dataclass(frozen=True)
class Health:
    """A board's record.

    Attributes:
        board: its kind. uid: its chip's unique id; empty for errors before it was read.
        measured: scenarios that came to a result, whatever the verdict.
        failures: set-up errors by verdict.
        latest: set-up errors since the last result, oldest first.
    """

    board: str
    uid: str
    measured: int
    failures: dict[Verdict, int]
    latest: tuple[Verdict, ...]

    @property
    def in_quarantine(self) -> bool:
        """Whether it failed so often that it should be checked first."""
        return len(self.latest) >= QUARANTINE_AFTER


def of(rows: Iterable[Row]) -> list[Health]:
    """Return the record of each board that runs met through a probe.

    Args:
        rows: oldest first.
    """
    outcomes: dict[tuple[str, str], list[Verdict | None]] = {}
    seen: set[tuple[str, str]] = set()
    for row in rows:
        context, verdict = row.context, row.metric.verdict
        if context.target != _PROBE or verdict in _OF_NO_BOARD:
            continue
        if verdict.is_setup_error:
            _of(outcomes, context).append(verdict)
        elif (context.run, context.scenario) not in seen:
            seen.add((context.run, context.scenario))
            _of(outcomes, context).append(None)
    return [_health(board, uid, said) for (board, uid), said in sorted(outcomes.items())]


def _of(
    outcomes: dict[tuple[str, str], list[Verdict | None]], context: Context
) -> list[Verdict | None]:
    return outcomes.setdefault((context.board, context.board_uid), [])


def _health(board: str, uid: str, said: Sequence[Verdict | None]) -> Health:
    failed = [one for one in said if one is not None]
    latest: list[Verdict] = []
    for one in said:
        latest = [] if one is None else [*latest, one]
    return Health(
        board=board,
        uid=uid,
        measured=len(said) - len(failed),
        failures={verdict: failed.count(verdict) for verdict in Verdict if verdict in failed},
        latest=tuple(latest),
    )
