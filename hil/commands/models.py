"""`hil models`: every network's counts beside the paper's."""

import argparse
import textwrap

from hil.commands.options import Commands, command, csv_option, show

_FAMILIES = ("face", "vww", "mnv2", "mnv1", "densenet121", "layer")
_EXAMPLES = """\
examples:
  hil models                           every network: a minute or two once, then seconds
  hil models face_m4 vww_rnnpool       these two
  hil models face                      a family: face, vww, mnv2, mnv1, densenet121
  hil models --no-plan --csv models.csv
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "models",
        _run,
        "list the networks: parameters, MACs, memory, each beside the paper's figure",
        epilog=_EXAMPLES,
    )
    parser.add_argument("model", nargs="*", help="networks to list (default: all)")
    parser.add_argument(
        "--board", default="stm32f439", help="whose memory to plan for (default: %(default)s)"
    )
    parser.add_argument("--no-plan", action="store_true", help="plan no memory: quicker")
    csv_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--markdown", action="store_true", help="print a table for a document")


def _named(asked: list[str], known: list[str]) -> list[str]:
    """Return the networks that are asked for by name or by family, family by family."""
    from hil.studies.counts.table import family

    there = list(dict.fromkeys(family(name) for name in known))
    order = sorted(there, key=lambda one: (_FAMILIES.index(one) if one in _FAMILIES else 99, one))
    by_family = {one: [name for name in known if family(name) == one] for one in order}
    if not asked:
        return [name for names in by_family.values() for name in names]
    found = [name for one in asked for name in by_family.get(one, [one])]  # unknown: told later
    return list(dict.fromkeys(found))


def _run(options: argparse.Namespace) -> int:
    from hil import models
    from hil.commands import progress
    from hil.config import board
    from hil.studies.counts import kept
    from hil.studies.counts import table as counts_table

    chip = None if options.no_plan else board.load(options.board)
    names = _named(options.model, models.names())
    found = []
    with progress.over(len(names)) as bar:
        for name in names:
            bar.begin(name)
            found.append(kept.counts(name, chip))
    if options.csv:
        counts_table.write_csv(found, options.csv)
    if options.json:
        print(counts_table.as_json(found))
        return 0
    if options.markdown:
        print(counts_table.markdown(found))
        return 0
    if len(names) > 1:
        print("\n".join(counts_table.families(found)))
    for table in counts_table.tables(found):
        show(table)
    for note in (*counts_table.disagreements(found), *counts_table.obstacles(found)):
        print(textwrap.fill(note, width=79, subsequent_indent="  "))
    return 0
