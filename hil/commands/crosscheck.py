"""`hil crosscheck`: the emulated board against Renode."""

import argparse

from hil.commands.options import Commands, command, scenario_options, show, toolchain_option

_EXAMPLES = """\
examples:
  hil crosscheck face_m4               outputs to the bit, instructions by layer
  hil crosscheck face_m4 --renode ~/renode_portable
needs Renode: `hil doctor` says whether it is found
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "crosscheck",
        _run,
        "run a model on the emulated board and in Renode, and show where they part",
        epilog=_EXAMPLES,
    )
    scenario_options(parser)
    toolchain_option(parser)
    parser.add_argument(
        "--renode",
        metavar="PATH",
        help="Renode's executable or folder (default: $HIL_RENODE, renode-run, renode on PATH)",
    )


def _run(options: argparse.Namespace) -> int:
    from hil.studies import crosscheck

    result = crosscheck.run(
        options.scenario,
        options.board,
        options.toolchain,
        checkpoint=options.checkpoint,
        renode=options.renode,
    )
    show(crosscheck.table(result))
    print(crosscheck.timings(result))
    disagreements = result.disagreements()
    for line in disagreements:
        print(line)
    if not disagreements:
        print(f"outputs: {result.expected.size:,}, equal to the bit")
    return 1 if disagreements else 0
