"""What a board makes of a folder's networks: which compile, which fit, and at what cost.

Quantised files compile as they are, scenarios on their own weights. Nothing is built or run: cycles
are the planner's estimate.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from hil.config import scenario
from hil.config.board import Board
from hil.config.scenario import Scenario
from hil.errors import HilError, MemoryLimitError, UsageError
from hil.run.compiled import CompiledScenario, compile_scenario

if TYPE_CHECKING:
    from rich.table import Table

_ENDINGS = (".tflite", ".toml")
_SHOWN = 100  # characters of a reason
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """A network's costs; None where it does not compile or does not fit.

    Attributes:
        file: below the folder.
        verdict: "fits", "too large" or "refused".
        cycles: of an inference, as the planner estimates them.
        ram_bytes: of maps and working memory, without stack and static data.
        reason: why it is refused or too large.
    """

    file: str
    verdict: str
    macs: int | None = None
    cycles: int | None = None
    seconds: float | None = None
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    reason: str = ""


def survey(folder: Path, board: Board, progress: Progress) -> Iterator[Row]:
    """Compile every network below a folder: .tflite files, and scenarios (.toml) with theirs.

    Args:
        folder: of them, folders in it included.
        board: whose memories they are to fit.
        progress: told before each.

    Raises:
        UsageError: the folder cannot be read, or holds none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix in _ENDINGS)
    if not found:
        raise UsageError(
            f"{folder} holds no network",
            hint=f"files that end in {' or '.join(_ENDINGS)} are looked at",
        )
    for number, path in enumerate(found, start=1):
        progress(f"[{number}/{len(found)}] {path}")
        yield _row(str(path.relative_to(folder)), path, board)


def _row(name: str, path: Path, board: Board) -> Row:
    try:
        compiled = compile_scenario(_scenario(path), board)
    except MemoryLimitError as error:
        return Row(name, "too large", reason=error.what)
    except HilError as error:
        return Row(name, "refused", reason=error.what)
    return _costs(name, compiled, board)


def _scenario(path: Path) -> Scenario:
    if path.suffix == ".toml":
        return scenario.load(str(path))
    return Scenario(name=path.stem, model=str(path.resolve()))


def _costs(name: str, compiled: CompiledScenario, board: Board) -> Row:
    from hil.compiler.plan.cost import estimate

    plan = compiled.plan
    cycles = round(estimate(plan))
    return Row(
        name,
        "fits",
        compiled.program.macs,
        cycles,
        cycles / board.clock_hz,
        plan.ram_bytes,
        plan.flash_bytes,
    )


def table(rows: list[Row], board: Board) -> "Table":
    """Return the rows for a person.

    Args:
        rows: one of each network.
        board: whose memory they were planned for.
    """
    from rich.table import Table

    fit = sum(row.verdict == "fits" for row in rows)
    result = Table(title=f"{fit} of {len(rows)} networks fit {board.name}; cycles are estimated")
    heads = ("network", "verdict", "MACs, M", "cycles, M", "s", "RAM, B", "flash, B", "reason")
    for head in heads:
        result.add_column(head, justify="left" if head in {"network", "reason"} else "right")
    for row in rows:
        result.add_row(
            row.file, row.verdict, _millions(row.macs), _millions(row.cycles),
            "" if row.seconds is None else f"{row.seconds:.4f}",
            _count(row.ram_bytes), _count(row.flash_bytes), row.reason[:_SHOWN],
        )  # fmt: skip
    return result


def write_csv(rows: list[Row], path: Path) -> None:
    """Write the rows.

    Args:
        rows: one of each network.
        path: of the file.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [one.name for one in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def _millions(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:.2f}"


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
