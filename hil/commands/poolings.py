"""`hil poolings`: what each pooling of the paper's table 2 costs on a board."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hil.commands.options import Commands, command, measuring_options, show, written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.run.session import Session
    from hil.studies.poolings.costs import Row

_TITLES = {
    "vww": "MobileNetV2-0.35x, Visual Wake Words",
    "mnv2": "MobileNetV2, ImageNet-10",
    "mnv1": "MobileNetV1, ImageNet-1K",
    "densenet121": "DenseNet121, ImageNet-10",
}
_RESULTS = Path("build/hil/poolings-results.csv")
_HISTORY = Path("build/hil/poolings-history")
_TIMEOUT_S = 120.0
_EPILOG = f"""\
examples:
  hil poolings                                    Visual Wake Words, on the emulated board
  hil poolings --csv poolings.csv --svg poolings.svg
  hil poolings --target probe --toolchain gcc     on a real board, compiled by GCC

needs what `pytest hil/` does (`hil doctor` says what is missing) and takes 10 to 20 seconds of
host time per pooling. A network that the board cannot run keeps a row that says why; Ctrl-C keeps
the rows so far. {_RESULTS} holds every figure, layer by layer.
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "poolings",
        _run,
        "measure every pooling of the paper's table 2 on a board, beside the paper's accuracy",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--family",
        default="vww",
        metavar="NAME",
        help="whose poolings: vww, mnv1, mnv2, densenet121 (default: %(default)s)",
    )
    measuring_options(parser)
    parser.add_argument(
        "--csv",
        type=written,
        metavar="FILE",
        help="write the table there, the paper's figures beside",
    )
    parser.add_argument(
        "--svg", type=written, metavar="FILE", help="draw accuracy against seconds per image there"
    )
    parser.add_argument("--markdown", action="store_true", help="print a table for a document")


def _run(options: argparse.Namespace) -> int:
    from hil.commands import progress
    from hil.studies.poolings import costs as poolings
    from hil.studies.poolings import table as poolings_table

    chosen = poolings.scenarios(options.family)
    session = _session(options)
    session.check_can_compile(chosen)
    rows: list[Row] = []
    interrupted = False
    try:
        with progress.over(len(chosen)) as bar:
            for one in chosen:
                bar.begin(one.name)
                session.progress = bar.tell
                rows.append(poolings.measure(session, one))
                if options.csv:
                    poolings_table.write_csv(rows, options.csv)
    except KeyboardInterrupt:
        if not rows:
            raise
        interrupted = True
    _tell(rows, session, options)
    return 130 if interrupted else poolings.exit_status(rows)


def _session(options: argparse.Namespace) -> "Session":
    from hil.build import firmware
    from hil.config import board, inventory
    from hil.results.rows import RunIdentity
    from hil.results.store import Store
    from hil.run.session import Session
    from hil.targets import choice

    chip = board.load(options.board).on_desk(
        probe_id=options.probe, port=options.port, units=inventory.load()
    )
    identity = RunIdentity.now(Path.cwd())
    return Session(
        board=chip,
        scenarios=(),
        target=choice.choose(options.target, chip).kind,
        toolchain=firmware.find_toolchain(options.toolchain),
        identity=identity,
        store=Store.beside(_RESULTS, identity.run, history=_HISTORY),
        timeout_s=_TIMEOUT_S,
        retries=1,
    )


def _tell(rows: "Sequence[Row]", session: "Session", options: argparse.Namespace) -> None:
    from hil.studies.poolings import chart as poolings_chart
    from hil.studies.poolings import table as poolings_table

    title, how = _TITLES.get(options.family, options.family), poolings_table.how(session)
    if options.markdown:
        print(poolings_table.markdown(rows, how))
    else:
        show(poolings_table.table(rows, f"{title}; {how}"))
        for note in poolings_table.notes(rows):
            print(note)
    if options.svg:
        poolings_chart.write(rows, options.svg, f"What poolings cost: {title}", how)
