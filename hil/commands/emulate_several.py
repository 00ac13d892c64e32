"""`hil emulate` of several programs: whose words they are, and how each ended."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TextIO

from hil.commands.options import show
from hil.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from hil.studies.programs.conditions import Conditions
    from hil.studies.programs.several import Row

_TITLES = ("program", "result", "status", "instructions", "cycles", "own\ntime, s", "memory,\nMiB")
_OF_ONE = ("uart", "view", "trace")


def run(options: argparse.Namespace, conditions: "Conditions") -> int:
    """Run programs beside each other; return the highest exit status.

    Args:
        options: of the command line.
        conditions: the same for each program.

    Raises:
        UsageError: an option is for one program, or there is no such file or board.
    """
    from hil import files
    from hil.studies.programs import several

    _refuse_options_of_one(options)
    programs = several.programs(options.files)
    several.check(programs, conditions)
    for line in several.apart(programs, conditions):
        print(f"hil emulate: {line}", file=sys.stderr)
    screen = _Screen([one.name for one in programs])
    rows = several.run(
        programs, conditions, options.jobs, screen.hear, tests=options.junit is not None
    )
    if options.junit is not None:
        files.replace(options.junit, several.junit(rows))
        print(f"hil emulate: {several.tests_in_words(rows)}: {options.junit}", file=sys.stderr)
    show(_table(rows, options.clock_hz), stderr=True)
    return several.worst(rows)


def _refuse_options_of_one(options: argparse.Namespace) -> None:
    for name in _OF_ONE:
        if getattr(options, name):
            raise UsageError(
                f"--{name} is for one program; {len(options.files)} are named",
                hint="run that program alone; files of one program are joined: boot.hex+app.hex",
            )


class _Screen:
    """Prints whole lines, each behind the name of the program whose line it is."""

    def __init__(self, names: Sequence[str]) -> None:
        from hil.studies.programs.console import Console

        label = f"{{:<{max(map(len, names))}}} | ".format
        self._says = Console(_writer(sys.stdout), label, always=True)
        self._told = Console(_writer(sys.stderr), label, always=True)

    def hear(self, name: str, kind: str, data: bytes) -> None:
        from hil.studies.programs import several

        match kind:
            case several.SAYS:
                self._says.take(name, data)
            case several.TOLD:
                self._told.take(name, data)
            case several.ENDS:
                self._says.finish(name)


def _writer(stream: TextIO) -> Callable[[bytes], None]:
    def write(line: bytes) -> None:
        stream.write(line.decode("utf-8", "replace"))
        stream.flush()

    return write


def _table(rows: "Sequence[Row]", clock_hz: int | None) -> "Table":
    from rich import box
    from rich.table import Table

    cells = [
        (
            row.program,
            row.result,
            str(row.exit_status),
            f"{row.instructions:,}",
            f"{row.cycles:,}",
            f"{row.cycles / clock_hz if clock_hz else row.seconds:.6f}",
            f"{row.memory_bytes / (1 << 20):.0f}",
        )
        for row in rows
    ]
    out = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, column in zip(_TITLES, zip(*cells, strict=True), strict=True):
        justify: Literal["left", "right"] = "left" if title in _TITLES[:2] else "right"
        widest = max(map(len, (*title.splitlines(), *column)))
        out.add_column(title, justify=justify, min_width=widest, no_wrap=True)
    for row_of_cells in cells:
        out.add_row(*row_of_cells)
    return out
