"""`hil reproduce`: the numbers printed in documents, made anew and compared."""

import argparse
from pathlib import Path

from hil.commands.options import Commands, command
from hil.errors import UsageError
from hil.paths import RESULTS

_EPILOG = """\
examples:
  hil reproduce                     what the last run measured, and what needs no run
  hil reproduce --csv baselines/stm32f439.csv   what the baseline says, without a run
  hil reproduce --all               run the commands too: minutes
  hil reproduce --trained face_m4=face_m4.pth   figures of trained weights too; a minute
  hil reproduce --write README.md   put right what is stale

Without files it reads README.md and docs/*.md. Exit status: 1 where something is stale.
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands, "reproduce", _run, "check the numbers printed in documents", epilog=_EPILOG
    )
    parser.add_argument("file", nargs="*", type=Path, help="documents (default: README.md, docs)")
    parser.add_argument(
        "--csv",
        type=Path,
        default=RESULTS,
        metavar="FILE",
        help="measured rows, or a baseline (default: %(default)s)",
    )
    parser.add_argument("--all", action="store_true", help="run commands that take minutes too")
    parser.add_argument(
        "--trained",
        action="append",
        default=[],
        metavar="SCENARIO=CHECKPOINT",
        help="measure it with these weights on the emulated board; without it, figures of "
        "SCENARIO.trained stay as they are printed",
    )
    parser.add_argument("--write", action="store_true", help="put right what is stale")


def _run(options: argparse.Namespace) -> int:
    from hil.run import sources
    from hil.studies import printed, reproduce
    from hil.studies.reproduce import State

    rows: printed.Measured = {}
    if options.csv.is_file():
        rows = printed.measured(sources.read(options.csv))
    for given in options.trained:
        rows = {**rows, **reproduce.trained(given)}
    paths = options.file or list(reproduce.documents(Path.cwd()))
    marks = [mark for path in paths for mark in reproduce.marks(path)]
    if not marks:
        named = ", ".join(map(str, options.file)) or f"README.md or docs/*.md in {Path.cwd()}"
        raise UsageError(f"no figure is marked in {named}", hint="name documents that have some")
    findings = []
    for mark in marks:
        found = reproduce.check(mark, rows, slow=options.all)
        findings.append(found)
        note = f" ({found.why})" if found.why else ""
        print(f"{found.state}: {mark.path}:{mark.line} {mark.source}{note}")
        if found.state is State.STALE:
            print(found.difference)
    stale = sum(found.state is State.STALE for found in findings)
    if options.write:
        print(f"put right: {sum(reproduce.rewrite(path, findings) for path in paths)}")
        return 0
    return 1 if stale else 0
