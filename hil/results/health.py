"""How often each board's set-up failed, from the rows that runs left since it was checked."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from hil.errors import Verdict
from hil.results.rows import Context, Row

QUARANTINE_AFTER = 3
"""Set-up errors without a result between after which a board should be checked first."""

_OF_NO_BOARD = Verdict.BUILD, Verdict.LOCK, Verdict.ERROR
_PROBE = "probe"
_RESENDS, _RECOVERY = "link.resends", "setup.recovery."
CHECKED = ".checked"  # beside the runs, whose names begin with no dot
_WELL = Verdict.PASS  # among outcomes: behind here the board was found well
_NEVER: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Health:
    """A board's record.

    Attributes:
        board: its kind. uid: its chip's unique id; empty for errors before it was read.
        measured: scenarios that came to a result, whatever the verdict.
        failures: set-up errors by verdict.
        latest: set-up errors since the last result, oldest first.
        resends: frames sent again, of all results.
        recovered: how often each rung of the recovery ladder was tried on the way to a result.
    """

    board: str
    uid: str
    measured: int
    failures: dict[Verdict, int]
    latest: tuple[Verdict, ...]
    resends: int = 0
    recovered: Mapping[str, int] = field(default_factory=dict)

    @property
    def in_quarantine(self) -> bool:
        """Whether it failed so often that it should be checked first."""
        return len(self.latest) >= QUARANTINE_AFTER


def of(rows: Iterable[Row], checked: Mapping[str, str] = _NEVER) -> list[Health]:
    """Return the record of each board that runs met through a probe.

    Args:
        rows: oldest first.
        checked: when each board, by its unique id, was last found well; what was before counts no
            more towards a quarantine.
    """
    outcomes: dict[tuple[str, str], list[Verdict | None]] = {}
    counts: dict[tuple[str, str], Counter[str]] = {}
    seen: set[tuple[str, str]] = set()
    for row in rows:
        context, verdict = row.context, row.metric.verdict
        if context.target != _PROBE or verdict in _OF_NO_BOARD:
            continue
        name = row.metric.name
        if name == _RESENDS or name.startswith(_RECOVERY):
            counted = counts.setdefault((context.board, context.board_uid), Counter())
            counted[name] += round(row.metric.value)
        if verdict.is_setup_error:
            well_at = checked.get(context.board_uid)
            found_well = well_at is not None and context.when <= well_at
            _of(outcomes, context).extend([verdict, _WELL] if found_well else [verdict])
        elif (context.run, context.scenario) not in seen:
            seen.add((context.run, context.scenario))
            _of(outcomes, context).append(None)
    return [
        _health(*board, said, counts.get(board, Counter()))
        for board, said in sorted(outcomes.items())
    ]


def note_checked(history: Path, uid: str, when: str) -> None:
    """Keep that a board was found well, so that its quarantine ends.

    Args:
        history: the folder of runs.
        uid: the chip's unique id, in hexadecimal.
        when: in UTC, as ISO 8601 has it.
    """
    history.mkdir(parents=True, exist_ok=True)
    with (history / CHECKED).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"uid": uid, "when": when}) + "\n")


def checked(history: Path) -> dict[str, str]:
    """Return when each board, by its unique id, was last found well."""
    try:
        lines = (history / CHECKED).read_bytes().splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        try:
            one = json.loads(line)
            found[str(one["uid"])] = str(one["when"])
        except (
            ValueError,
            KeyError,
            TypeError,
            RecursionError,
        ):  # half a line of a process that was killed
            continue
    return found


def _of(
    outcomes: dict[tuple[str, str], list[Verdict | None]], context: Context
) -> list[Verdict | None]:
    return outcomes.setdefault((context.board, context.board_uid), [])


def _health(
    board: str, uid: str, said: Sequence[Verdict | None], counts: Mapping[str, int]
) -> Health:
    failed = [one for one in said if one not in {None, _WELL}]
    latest: list[Verdict] = []
    for one in said:
        latest = [] if one in {None, _WELL} else [*latest, one]
    return Health(
        board=board,
        uid=uid,
        measured=said.count(None),
        failures={verdict: failed.count(verdict) for verdict in Verdict if verdict in failed},
        latest=tuple(latest),
        resends=counts.get(_RESENDS, 0),
        recovered={
            name.removeprefix(_RECOVERY): count
            for name, count in counts.items()
            if name.startswith(_RECOVERY)
        },
    )
