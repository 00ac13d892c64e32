"""`hil compare`: two runs, files or revisions beside each other."""

import argparse
import shutil
from pathlib import Path

from hil.commands.options import Commands, command, measuring_options

_EPILOG = """\
A and B are files (results.csv, a baseline), runs of the history (a name, last, last~1), or
revisions of git, which are built and run in a directory of their own.

exit status: 0 nothing fails, 1 --fail-on holds, 2 something could not be compared

examples:
  hil compare last~1 last
  hil compare baselines/stm32f439.csv build/hil/results.csv --format markdown
  hil compare main HEAD --scenario face_m4
  hil compare main HEAD --scenario face_m4 --format html > compare.html
  hil compare A.csv B.csv --fail-on 'cycles>0.5%,ram.total>256'
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "compare",
        _run,
        "show what became worse or better between two runs, files or revisions",
        _EPILOG,
    )
    parser.add_argument("before", metavar="A", help="file, run or revision")
    parser.add_argument("after", metavar="B", help="file, run or revision")
    parser.add_argument(
        "--fail-on",
        default="regression",
        metavar="EXPR",
        help="regression, improvement, change, unknown, or a metric's growth such as cycles>0.5%%; "
        "several with commas between (default: %(default)s)",
    )
    parser.add_argument(
        "--format",
        default="table",
        choices=("table", "markdown", "csv", "json", "html"),
        help="how it is printed (default: %(default)s)",
    )
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        metavar="NAME",
        help="compare these alone; may be repeated",
    )
    history_option(parser)
    measuring_options(parser)


def history_option(parser: argparse.ArgumentParser) -> None:
    """Take the folder of earlier runs."""
    parser.add_argument(
        "--history-dir",
        type=Path,
        default=Path("build/hil/history"),
        metavar="DIR",
        help="where runs are kept (default: %(default)s)",
    )


def _run(options: argparse.Namespace) -> int:
    from hil.results import compare, fail_on, render
    from hil.run import against, sources
    from hil.run.revisions import How

    fails = fail_on.parse(options.fail_on)
    how = How(options.board, options.target, options.toolchain)
    places = sources.Places(options.history_dir, options.scenario, how)
    before, after = sources.load(options.before, options.after, places)
    if options.scenario:
        names = {Path(name).stem for name in options.scenario}
        before, after = ([f for f in side if f.key.scenario in names] for side in (before, after))
    rules = against.rules_of_names({one.key.scenario for one in [*before, *after]})
    found = compare.compare(before, after, rules)
    print(render.render(found, options.format, shutil.get_terminal_size().columns))
    return fail_on.exit_status(found, fails)
