"""`hil profile`: cycles by layer on the emulated board."""

import argparse

from hil.commands.options import (
    Commands,
    command,
    csv_option,
    flame_options,
    scenario_options,
    show,
    show_stacks,
    toolchain_option,
)

_EXAMPLES = """\
examples:
  hil profile face_m4                  cycles, cycles per MAC and stalls by layer
  hil profile face_m4 --view           who called whom, with cycles
  hil profile face_m4 --trace trace.json --csv layers.csv
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "profile",
        _run,
        "run a model on the emulated board and show its cycles by layer",
        epilog=_EXAMPLES,
    )
    scenario_options(parser)
    toolchain_option(parser)
    csv_option(parser)
    flame_options(parser)


def _run(options: argparse.Namespace) -> int:
    from hil.studies.profile import layers as profile

    result = profile.run(
        options.scenario, options.board, options.toolchain, checkpoint=options.checkpoint
    )
    show(profile.table(result))
    show_stacks(result.stacks, result.elf, result.title, options)
    if options.csv:
        profile.write_csv(result, options.csv)
    return 0
