"""`hil cache`: what builds have left on this machine, and what may go."""

import argparse
import time
from typing import TYPE_CHECKING

from hil.commands.options import Commands, command
from hil.errors import UsageError
from hil.numbers import decimal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.build.kept import Kept

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_DAY_S = 86_400.0
_EXAMPLES = """\
examples:
  hil cache                            what is there
  hil cache prune --older-than 30      delete what was not used for a month
  hil cache prune --max-size 500M      delete what is longest unused
  hil cache clear                      delete all of it; the next build takes longer
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "cache",
        _run,
        "list what builds have left on this machine, or delete it",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=("list", "prune", "clear"),
        help="list it (default), delete what prune's options name, or all of it",
    )
    parser.add_argument(
        "--older-than", type=_days, metavar="DAYS", help="prune what was not used for so long"
    )
    parser.add_argument(
        "--max-size",
        type=_size,
        metavar="SIZE",
        help="prune what is longest unused until so much is left, such as 500M or 2G",
    )


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days, 0 or more")
    return days


def _size(text: str) -> int:
    unit = _UNITS.get(text[-1:].upper(), 0)
    number = decimal(text[:-1] if unit else text)
    if number is None or number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 500M or 2G")
    return number * (unit or 1)


def _run(options: argparse.Namespace) -> int:
    from hil.build import kept
    from hil.paths import cache

    root = cache()
    found = kept.files(root)
    asked = options.older_than is not None or options.max_size is not None
    if options.action != "prune" and asked:
        raise UsageError("--older-than and --max-size belong to prune", hint="hil cache prune ...")
    if options.action == "list":
        _show(str(root), found)
        return 0
    if options.action == "prune" and not asked:
        raise UsageError(
            "nothing says what may go", hint="add --older-than DAYS or --max-size SIZE"
        )
    now_s = time.time()
    chosen = (
        found
        if options.action == "clear"
        else kept.to_prune(
            found, now_s, older_than_days=options.older_than, max_bytes=options.max_size
        )
    )
    kept.delete(root, chosen)
    print(f"{len(chosen):,} files deleted, {_bytes(chosen):,} B")
    return 0


def _show(root: str, found: "Sequence[Kept]") -> None:
    from hil.build.kept import KINDS, ZIG

    now = time.time()
    print(root)
    for kind in (*KINDS, ZIG):
        of_kind = [one for one in found if one.kind == kind]
        if of_kind:
            days = (now - of_kind[0].used_s) / _DAY_S
            print(
                f"  {kind:14} {len(of_kind):6,} files {_bytes(of_kind):15,} B, "
                f"longest unused: {max(days, 0.0):.1f} days"
            )
    print(f"  {'all':14} {len(found):6,} files {_bytes(found):15,} B")


def _bytes(found: "Sequence[Kept]") -> int:
    return sum(one.bytes for one in found)
