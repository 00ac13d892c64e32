"""`hil scenarios`: what can be run, what it is held to, and how it last ended."""

import argparse
import textwrap
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from hil.commands.options import Commands, command, show
from hil.paths import RESULTS

if TYPE_CHECKING:
    from rich.table import Table

    from hil.config.scenario import Limits
    from hil.studies.scenarios import Listed

_COLUMNS = 79
_FITS = {True: "yes", False: "no", None: "?"}
_EXAMPLES = """\
examples:
  hil scenarios                        names, tags, limits, last results
  hil scenarios --board nucleo_l4r5zi  which of them fit this board
  hil scenarios --hil-tag face --json  those with a tag, for a program
  hil scenarios mine.toml other.toml   these files
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "scenarios",
        _run,
        "list scenarios: what they are held to, how they last ended, which fit a board",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "scenario", nargs="*", help="names or TOML files (default: those of the package)"
    )
    parser.add_argument(
        "--board",
        metavar="NAME",
        help="plan the memory of each for this board; what was planned before is kept",
    )
    parser.add_argument(
        "--hil-tag",
        "--tag",
        dest="tag",
        action="append",
        default=[],
        metavar="TAG",
        help="those with this tag; may be repeated",
    )
    parser.add_argument(
        "--hil-csv",
        type=Path,
        default=RESULTS,
        metavar="FILE",
        help="beside it stands the history of results (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _run(options: argparse.Namespace) -> int:
    from hil.commands import progress
    from hil.config import board, scenario
    from hil.results.store import HISTORY
    from hil.run.chosen import Scenarios
    from hil.studies import scenarios

    chip = board.load(options.board) if options.board else None
    named = chip.name if chip else None
    names = scenario.tagged(options.tag, board=named, among=options.scenario)
    known = Scenarios()
    chosen = [known.load(name) for name in names]
    history = options.hil_csv.parent / HISTORY
    with progress.over(len(chosen)) if chip else nullcontext() as bar:
        listed = scenarios.listed(chosen, history, chip, bar.begin if bar else str)
    if options.json:
        print(scenarios.as_json(listed))
        return 0
    show(_table(listed))
    for line in (*_tags(listed), *_obstacles(listed)):
        print(textwrap.fill(line, _COLUMNS, subsequent_indent="  ", break_on_hyphens=False))
    return 0


def _tags(listed: "list[Listed]") -> list[str]:
    """Say what each tag stands for."""
    known = sorted({tag for one in listed for tag in one.tags})
    return [
        f"tag {tag}: {', '.join(one.name for one in listed if tag in one.tags)}" for tag in known
    ]


def _obstacles(listed: "list[Listed]") -> list[str]:
    """Say what keeps each from a board, and once why it is not known of some."""
    fits = [(one.name, one.fit) for one in listed if one.fit is not None]
    unknown = dict.fromkeys(fit.obstacle for _, fit in fits if fit.fits is None)
    return [
        *(f"{name} does not fit: {fit.obstacle}" for name, fit in fits if fit.fits is False),
        *(f"whether it fits is not known (?): {why}" for why in unknown),
    ]


def _table(listed: "list[Listed]") -> "Table":
    from rich import box
    from rich.table import Table

    fits = any(one.fit is not None for one in listed)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.caption_justify = "left"
    table.caption = (
        "at most so much time, RAM and flash, at least such a cosine. *: runs when named"
    )
    for heading in ("scenario", *(["fits"] if fits else [])):
        table.add_column(heading, no_wrap=True)
    for heading in ("s", "RAM, B", "flash, B", "cosine"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("last result")
    for one in listed:
        name = one.name if one.default else f"{one.name}*"
        fit = [_FITS[one.fit.fits] if one.fit else ""] if fits else []
        table.add_row(name, *fit, *_limits(one.limits), one.last)
    return table


def _limits(limits: "Limits") -> list[str]:
    figures = (limits.latency_s, limits.ram_bytes, limits.flash_bytes, limits.cosine)
    return ["" if one is None else f"{one:,}" for one in figures]
