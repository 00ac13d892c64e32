"""What there is to run: each scenario with its limits, its memory on a board, its last result."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil import extras
from hil.config.scenario import Limits, Scenario
from hil.errors import UsageError, Verdict
from hil.results import store

if TYPE_CHECKING:
    from hil.config.board import Board

_RUNS = 50  # of the history that are looked at, the latest


@dataclass(frozen=True)
class Fit:
    """Whether a scenario's network fits a board.

    Attributes:
        fits: None where that is not known: it was not planned before, and torch is not installed.
        sram_bytes, flash_bytes: as planned; None where there is no plan. Flash is an estimate.
        obstacle: why there is none.
    """

    fits: bool | None
    sram_bytes: int | None
    flash_bytes: int | None
    obstacle: str


@dataclass(frozen=True)
class Listed:
    """A scenario as `hil scenarios` lists it.

    Attributes:
        limits: as they hold on the board, or on any where none is named.
        fit: None where no board is named.
        last: verdict and day of the last measurement in the history; empty for none.
    """

    name: str
    model: str
    tags: list[str]
    default: bool
    limits: Limits
    fit: Fit | None
    last: str


def listed(
    scenarios: Sequence[Scenario],
    history: Path,
    board: "Board | None" = None,
    begin: Callable[[str], object] = str,
) -> list[Listed]:
    """Look at scenarios.

    Args:
        scenarios: in the order in which they are listed.
        history: the folder of earlier runs.
        board: that memory is planned for; None to plan for none, which is quicker.
        begin: told each scenario's name.
    """
    last = _last(history, board.name if board else "")
    found = []
    for one in scenarios:
        begin(one.name)
        found.append(
            Listed(
                one.name,
                one.model,
                one.tags,
                one.is_default_on(board.name) if board else bool(one.default),
                one.limits_on(board.name) if board else one.limits,
                _fit(one, board) if board else None,
                last.get(one.name, ""),
            )
        )
    return found


def as_json(listed: Sequence[Listed]) -> str:
    """Write them for a program; a limit that there is not is left out."""
    return json.dumps([_entry(one) for one in listed], indent=2)


def _entry(one: Listed) -> dict[str, Any]:
    limits = {name: value for name, value in asdict(one.limits).items() if value is not None}
    return {**asdict(one), "limits": limits}


def _fit(scenario: Scenario, board: "Board") -> Fit:
    from hil.studies.counts import kept

    try:
        memory = kept.fit(scenario, board)
    except ModuleNotFoundError as error:
        if error.name != extras.TORCH or extras.is_there(extras.TORCH):
            raise
        missing = extras.missing(extras.TORCH, use="planning a network's memory")
        return Fit(None, None, None, f"{missing.what}: {extras.remedy(extras.TORCH)}")
    except UsageError as error:
        return Fit(False, None, None, error.what)
    fits = not memory.obstacle
    return Fit(fits, memory.sram_bytes, memory.flash_bytes, memory.obstacle)


def _last(history: Path, board: str) -> dict[str, str]:
    """Return by scenario how the last run that measured it ended; a board's name, or any."""
    found: dict[str, str] = {}
    for run in store.runs(history)[-_RUNS:]:
        verdicts: dict[str, list[Verdict]] = {}
        when = ""
        for row in store.load_run(history, run):
            if board in {"", row.context.board}:
                verdicts.setdefault(row.context.scenario, []).append(row.metric.verdict)
                when = row.context.when
        for name, all_of in verdicts.items():
            worst = next((one for one in all_of if one is not Verdict.PASS), Verdict.PASS)
            found[name] = f"{worst}, {when.partition('T')[0]}"
    return found
