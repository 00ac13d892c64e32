"""What several subcommands share: options, and ways to print."""

import argparse
import os
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from hil import files, numbers, targets

if TYPE_CHECKING:
    from rich.table import Table

    from hil.studies.profile.flame import Chain

_NARROW = 79  # of a terminal's 80 columns
_MOST_JOBS = 256
_ANY = 10_000  # characters: wider than any table
_BELOW: Any = dict.fromkeys(("initial_indent", "subsequent_indent"), " " * 6)
_STATUS = (
    "exit status: 0 done; 1 it found what fails or is missing; 2 it was called wrongly or could "
    "not go on; 130 it was interrupted"
)
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    """Declare a subcommand.

    Args:
        commands: those of `hil`.
        name: as it is typed.
        run: does it, given the parsed options; returns the exit status.
        summary: for the help, beginning with a verb.
        epilog: examples, and what the exit status says where it is not the usual.
    """
    told = epilog or ""
    if "exit status:" not in told.lower():
        told = f"{told.rstrip()}\n{_STATUS}"
    parser = commands.add_parser(
        name,
        help=summary,
        description=fitted(summary[0].upper() + summary[1:] + "."),
        epilog=fitted(told),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def fitted(text: str) -> str:
    """Lay a help's text out in 80 columns.

    Prose is filled. An indented line, such as an example, stays as it is; where it is too long, the
    words behind a gap of two spaces go below it.
    """
    lines, prose = [], []
    for line in [*text.splitlines(), ""]:
        if line and not line.startswith(" "):
            prose.append(line)
            continue
        lines += _filled(prose)
        prose.clear()
        lines += _split(line)
    return "\n".join(lines[:-1])


def _filled(prose: list[str]) -> list[str]:
    """Fill paragraphs; a line that ends in a colon is a heading of its own."""
    lines, paragraph = [], []
    for line in prose:
        paragraph.append(line)
        if line.endswith(":"):
            lines += textwrap.wrap(" ".join(paragraph), _NARROW)
            paragraph.clear()
    return [*lines, *textwrap.wrap(" ".join(paragraph), _NARROW)]


def _split(line: str) -> list[str]:
    """Break an indented line that is too long: a command as a shell reads it, else at its gap."""
    before, gap, after = line.strip().partition("  ")
    if len(line) <= _NARROW:
        return [line.rstrip()]
    if not gap:
        first, *rest = textwrap.wrap(before, _NARROW - 4, break_on_hyphens=False)
        return [f"  {first} \\", *(f"      {one}" for one in rest)]
    return [f"  {before}", *textwrap.wrap(after.strip(), _NARROW, **_BELOW)]


def scenario_options(parser: argparse.ArgumentParser) -> None:
    """Take a scenario, a board and a checkpoint."""
    parser.add_argument("scenario", help="a file of scenarios/, or the path of one")
    board_option(parser)
    checkpoint_option(parser)


def board_option(parser: argparse.ArgumentParser) -> None:
    """Take a board."""
    parser.add_argument(
        "--board",
        default="stm32f439",
        help="a file of boards/, or a path of one's own (default: %(default)s)",
    )


def measuring_options(parser: argparse.ArgumentParser, target: str = "emulator") -> None:
    """Take a board, what stands for it, and the compiler of its firmware.

    Args:
        parser: of the command.
        target: that is taken where none is named; "named" is as pytest's --hil-target has it.
    """
    board_option(parser)
    parser.add_argument(
        "--target",
        default=target,
        choices=targets.Names(*([targets.NAMED, targets.AUTO] if target == targets.NAMED else [])),
        metavar="NAME",
        help="what stands for the board, one of: %(choices)s (default: %(default)s)",
    )
    parser.add_argument("--probe", metavar="ID", help="unique id of the debug probe")
    parser.add_argument("--port", help="serial port of a real board's link")
    toolchain_option(parser)


def checkpoint_option(parser: argparse.ArgumentParser) -> None:
    """Take trained weights."""
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="trained weights instead of the scenario's"
    )


def toolchain_option(parser: argparse.ArgumentParser) -> None:
    """Take a cross compiler."""
    parser.add_argument(
        "--toolchain",
        default="zig",
        choices=("zig", "gcc"),
        help="cross compiler (default: %(default)s)",
    )


def written(text: str) -> Path:
    """Take the path of a file that a command writes at its end; refused at once if it cannot be.

    Args:
        text: as it was typed.

    Raises:
        argparse.ArgumentTypeError: it is a folder, or its folder is none or not to be written to.
    """
    path = Path(text)
    why = files.why_not_writable(path)
    if why:
        raise argparse.ArgumentTypeError(f"it cannot be written: {why}")
    return path


def folder(text: str) -> Path:
    """Take the path of a folder that a command fills; refused at once if it cannot be.

    Args:
        text: as it was typed.

    Raises:
        argparse.ArgumentTypeError: it is a file, or it cannot be made or written to.
    """
    path = Path(text)
    why = files.why_not_writable(path / "any")
    if why:
        raise argparse.ArgumentTypeError(f"it cannot be written to: {why}")
    return path


def jobs_option(parser: argparse.ArgumentParser, what: str) -> None:
    """Take how many processes work at once.

    Args:
        parser: of the command.
        what: each of them does, for the help.
    """
    parser.add_argument(
        "--jobs",
        type=numbers.whole(1, _MOST_JOBS),
        default=len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        metavar="N",
        help=f"{what} (default: the cores, %(default)s)",
    )


def csv_option(parser: argparse.ArgumentParser) -> None:
    """Take a file for the table that is printed."""
    parser.add_argument("--csv", type=written, metavar="FILE", help="write the table there as well")


def show(table: "Table", *, stderr: bool = False) -> None:
    """Print a table: as wide as the terminal, 80 columns into a pipe, wider if it needs to be.

    Args:
        table: what is printed.
        stderr: where stdout is for something else.
    """
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(stderr=stderr)
    least = Measurement.get(console, console.options.update(max_width=_ANY), table).minimum
    Console(width=max(console.width, least), stderr=stderr).print(table)


def flame_options(parser: argparse.ArgumentParser) -> None:
    """Take ways to see call stacks."""
    parser.add_argument("--view", action="store_true", help="print who called whom, with cycles")
    parser.add_argument(
        "--trace", type=written, metavar="FILE", help="write call stacks, for www.speedscope.app"
    )


def show_stacks(
    stacks: "Mapping[Chain, int]", elf: Path, title: str, options: argparse.Namespace
) -> None:
    """Show and write call stacks as the options ask.

    Args:
        stacks: cycles by chain of callers.
        elf: the program, which names its functions.
        title: of the trace.
        options: of the command line, with those of `flame_options`.
    """
    if not (options.view or options.trace):
        return
    from hil.studies.profile import flame

    functions = flame.Functions.of(elf)
    if options.view:
        print("   with    own         cycles  function; with: with what it calls")
        print("\n".join(flame.tree(stacks, functions)))
    if options.trace:
        flame.write_speedscope(stacks, functions, options.trace, title)
