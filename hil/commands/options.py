"""What several subcommands share: options, and ways to print."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hil import targets

if TYPE_CHECKING:
    from rich.table import Table

    from hil.studies.profile.flame import Chain

_WIDE = 160
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
        epilog: examples, shown as they stand.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter if epilog else argparse.HelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


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


def measuring_options(parser: argparse.ArgumentParser) -> None:
    """Take a board, what stands for it, and the compiler of its firmware."""
    board_option(parser)
    parser.add_argument(
        "--target",
        default="emulator",
        choices=targets.Names(),
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


def csv_option(parser: argparse.ArgumentParser) -> None:
    """Take a file for the table that is printed."""
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there as well")


def show(table: "Table") -> None:
    """Print a table: within a terminal's width, but whole into a file or a pipe."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, _WIDE))
    console.print(table)


def flame_options(parser: argparse.ArgumentParser) -> None:
    """Take ways to see call stacks."""
    parser.add_argument("--view", action="store_true", help="print who called whom, with cycles")
    parser.add_argument(
        "--trace", type=Path, metavar="FILE", help="write call stacks, for www.speedscope.app"
    )


def show_stacks(
    stacks: "Mapping[Chain, int]", elf: Path, title: str, options: argparse.Namespace
) -> None:
    """Show and write call stacks as the options ask."""
    if not (options.view or options.trace):
        return
    from hil.studies.profile import flame

    functions = flame.Functions.of(elf)
    if options.view:
        print("   with    own         cycles  function; with: with what it calls")
        print("\n".join(flame.tree(stacks, functions)))
    if options.trace:
        flame.write_speedscope(stacks, functions, options.trace, title)
