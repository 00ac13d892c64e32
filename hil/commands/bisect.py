"""`hil bisect`: the commit at which a metric became worse."""

import argparse
import sys

from hil.commands.options import Commands, board_option, command, toolchain_option

_EPILOG = """\
Commits are built and run on the emulated board in directories of their own: no board is needed, and
this checkout stays as it is. A commit that cannot be built is passed over.

examples:
  hil bisect --metric cycles --scenario face_m4 v1.0 HEAD
  hil bisect --metric cycles.layer.pool --scenario face_m4 HEAD~20 HEAD
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands, "bisect", _run, "find the commit at which a metric became worse", _EPILOG
    )
    parser.add_argument("good", metavar="GOOD", help="revision where it was well")
    parser.add_argument("bad", metavar="BAD", help="later revision where it is not")
    parser.add_argument("--metric", default="cycles", help="default: %(default)s")
    parser.add_argument("--scenario", required=True, help="a file of scenarios/")
    board_option(parser)
    toolchain_option(parser)


def _run(options: argparse.Namespace) -> int:
    from hil.results import metrics, words
    from hil.run import revisions
    from hil.run.revisions import How
    from hil.studies import bisect

    def tell(stage: str) -> None:
        print(f"  {stage}", file=sys.stderr)

    how = How(options.board, "emulator", options.toolchain)
    found = bisect.run(
        options.metric, options.scenario, options.good, options.bad, how=how, progress=tell
    )
    unit = metrics.find(options.metric).unit
    moved = words.signed(found.after - found.before, unit)
    print(
        f"{options.metric} of {options.scenario}: {words.amount(found.before, unit)} -> "
        f"{words.amount(found.after, unit)} ({moved}), {found.measured} commits measured"
    )
    if len(found.commits) > 1:
        print("one of these, of which only the last could be measured:")
    for commit in found.commits:
        print(revisions.subject(commit))
    return 0
