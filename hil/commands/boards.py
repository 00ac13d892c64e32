"""`hil boards`: the physical boards of this desk, who uses them, and how they are."""

import argparse
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hil import numbers
from hil.commands.compare import history_option
from hil.commands.options import Commands, command, show
from hil.errors import UsageError

if TYPE_CHECKING:
    from hil.config.inventory import Unit
    from hil.studies.boards.found import Found
    from hil.studies.boards.silicon_report import Report

_MOST_PORT = 65_535
_COLUMNS = 79
_EXAMPLES = """\
examples:
  hil boards list                      what is there, and who uses it
  hil boards identify desk-1           what the chip says it is; its light blinks
  hil boards check desk-1              test it, no firmware needed; fills in docs/silicon.md
  hil boards lock desk-1 --why solder  keep it to yourself until Ctrl-C, or unlock
  hil boards unlock desk-1             end that hold, from another shell
  hil boards health                    how often each board's set-up failed
  hil boards serve desk-1 > hil-boards.toml
                                     an emulated board as on a desk, to Ctrl-C
"""


def add(commands: Commands) -> None:
    """Declare the command and those within it."""
    parser = command(
        commands,
        "boards",
        _list,
        "list, check, lock and serve physical boards",
        epilog=_EXAMPLES,
    )
    _inventory_option(parser)
    within = parser.add_subparsers(dest="action", metavar="ACTION")
    _inventory_option(command(within, "list", _list, "list boards and connected probes"))
    for name, run, summary in (
        ("identify", _identify, "read what a board's chip says it is"),
        ("unlock", _unlock, "end a hold by `hil boards lock`"),
    ):
        _board_argument(command(within, name, run, summary))
    check = command(within, "check", _check, "test a board without its firmware")
    _board_argument(check)
    history_option(check)
    check.add_argument(
        "--report",
        type=Path,
        default=Path("build/hil/silicon-report.csv"),
        metavar="FILE",
        help="all of it as a table, to send back (default: %(default)s)",
    )
    lock = command(within, "lock", _lock, "hold a board until interrupted")
    _board_argument(lock)
    lock.add_argument("--why", default="held by hand", help="for those who wait meanwhile")
    health = command(within, "health", _health, "count how often each board's set-up failed")
    history_option(health)
    serve = command(
        within, "serve", _serve, "serve an emulated board; prints its entry of an inventory"
    )
    serve.add_argument("name", help="what it is called")
    serve.add_argument(
        "--board", default="stm32f439", help="its kind, a file of boards/ (default: %(default)s)"
    )
    serve.add_argument(
        "--probe-port",
        type=numbers.whole(0, _MOST_PORT),
        default=0,
        metavar="PORT",
        help="TCP port (default: a free one)",
    )
    serve.add_argument(
        "--tty",
        type=Path,
        metavar="PATH",
        help="link to the serial port (default: build/hil/NAME.tty)",
    )
    serve.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="plant a fault: serial-loss=0.001, swd-fault=0.01, erase-s=4; may be repeated",
    )


def _board_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("board", help="a board of the inventory, by its name or its probe's id")
    _inventory_option(parser)


def _inventory_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--inventory",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="boards beside those of hil-boards.toml here and in the user's configuration",
    )


def _units(options: argparse.Namespace) -> "tuple[Unit, ...]":
    from hil.config import inventory

    return inventory.load(getattr(options, "inventory", None))


def _unit(options: argparse.Namespace) -> "Unit":
    from hil.config import inventory

    return inventory.called(_units(options), options.board)


def _list(options: argparse.Namespace) -> int:
    from rich import box
    from rich.table import Table

    from hil.config import inventory
    from hil.studies.boards import found

    boards = found.boards(_units(options))
    if not boards:
        print("no inventory names a board, and no debug probe is connected")
        return 0
    out = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for head in ("name", "kind", "probe", "connected", "serial port", "used by"):
        out.add_column(head)
    for one in boards:
        out.add_row(*_cells(one))
    show(out)
    unnamed = [one.unit for one in boards if not one.unit.name]
    if unnamed:
        print(f"to use a probe without a name, write it into {inventory.FILE}:\n")
    for number, unit in enumerate(unnamed, 1):
        print(inventory.entry("stm32f439", unit.probe, f"desk-{number}"), end="\n\n")
    return 0


def _cells(one: "Found") -> tuple[str, ...]:
    unit = one.unit
    connected = "yes" if one.connected else "no"
    return (unit.name, unit.kind, unit.probe, connected, one.port, str(one.holder or ""))


def _identify(options: argparse.Namespace) -> int:
    from threading import Event

    from hil.studies.boards import blink, check

    unit = _unit(options)
    with check.opened(unit, _tell) as target:
        found = target.debugger.identity()
        if target.board.led:
            _tell(f"the light at {target.board.led} blinks")
            blink.blink(target.board, target.debugger, Event().wait)
    if found is None:
        raise UsageError(f"{unit.kind} is of a family whose identity is not known")
    print(f"{unit}: a {unit.kind}")
    print(f"  DEV_ID {found.dev_id:#05x}, revision {found.rev_id:#06x}")
    print(f"  flash  {found.flash_bytes:,} B")
    print(f"  uid    {found.uid}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from hil.results import health, store
    from hil.results.rows import RunIdentity
    from hil.studies.boards import check, runs, silicon_report

    unit = _unit(options)
    checked = check.check(unit, _tell)
    rows = store.load_history(options.history_dir)
    found = list(runs.of(rows, checked.uid))
    report = silicon_report.gathered(checked, found, runs.layers(rows, checked.uid))
    _print_findings(report)
    _print_ledger(report)
    if report.layers:
        _print_layers(report)
    silicon_report.write(report, options.report)
    print(f"\nall of it: {options.report}")
    if checked.good and checked.uid:
        health.note_checked(options.history_dir, checked.uid, RunIdentity.now(None).when)
    return 0 if checked.good else 1


def _print_findings(report: "Report") -> None:
    for one in report.findings:
        wrong = "BAD" if one.modelled is None else "DIFFERS"
        state = {True: "ok", False: wrong, None: "-"}[one.good]
        _print_wrapped(f"{state:9}{one.name:23}", one.detail)


def _print_wrapped(head: str, detail: str) -> None:
    """Print a line of two columns, the second one on as many lines as it takes."""
    behind = " " * len(head)
    lines = textwrap.wrap(
        detail, _COLUMNS - len(head), break_long_words=False, break_on_hyphens=False
    )
    print(head + f"\n{behind}".join(lines or [""]))


def _print_ledger(report: "Report") -> None:
    from hil.studies.boards.ledger import State

    if report.checked.timing == "silicon":
        print("\nthe ledger of docs/silicon.md on this board:\n")
    else:
        print("\nthe ledger of docs/silicon.md; an emulated board proves nothing of silicon:\n")
    marks = {State.HOLDS: "[x]", State.FAILS: "[!]", State.OPEN: "[ ]"}
    for entry in report.entries:
        _print_wrapped(f"{marks[entry.state]} {entry.assumption.name:19}", entry.detail)


def _print_layers(report: "Report") -> None:
    from rich import box
    from rich.table import Table

    print("\ncycles of each layer, silicon less the model, of equal images:")
    out = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("scenario", "layer", "silicon", "modelled", "silicon - modelled", ""):
        out.add_column(head, justify="left" if head in {"scenario", "layer"} else "right")
    for one in report.layers:
        counts = (f"{count:,.0f}" for count in (one.silicon, one.modelled))
        out.add_row(one.scenario, one.name, *counts, f"{one.difference:+,.0f}", f"{one.part:+.2%}")
    show(out)


def _lock(options: argparse.Namespace) -> int:
    from hil.targets import lock

    unit = _unit(options)
    with (
        _until_told() as wait,
        lock.held(unit.probe, name=unit.name, why=options.why, wait_s=0, tell=_tell, by_hand=True),
    ):
        print(f"{unit} is yours until Ctrl-C, or `hil boards unlock {unit.name}`", flush=True)
        wait()
    return 0


def _unlock(options: argparse.Namespace) -> int:
    from hil.targets import lock

    unit = _unit(options)
    ended = lock.end_hold(unit.probe, unit.name)
    print(f"{unit} is free" if ended is None else f"{unit} is free again; it was held by {ended}")
    return 0


def _health(options: argparse.Namespace) -> int:
    from rich import box
    from rich.table import Table

    from hil.results import health, store

    history = options.history_dir
    found = health.of(store.load_history(history), health.checked(history))
    if not found:
        raise UsageError(f"no run in {options.history_dir} met a board through a probe")
    out = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    heads = "board", "uid", "measured", "resent", "recovered by", "set-up errors"
    for head in (*heads, "since the last result"):
        out.add_column(head)
    for one in found:
        failures = ", ".join(f"{count} {verdict}" for verdict, count in one.failures.items())
        recovered = ", ".join(f"{count} {rung}" for rung, count in one.recovered.items())
        latest = ", ".join(map(str, one.latest))
        uid, resends = one.uid or "not read", f"{one.resends:,}"
        out.add_row(one.board, uid, str(one.measured), resends, recovered, failures, latest)
    show(out)
    shut = [one for one in found if one.in_quarantine]
    for one in shut:
        print(f"QUARANTINE: {one.board}, uid {one.uid or 'not read'}: `hil boards check` it first")
    return 1 if shut else 0


def _serve(options: argparse.Namespace) -> int:
    from hil.config import board, inventory
    from hil.targets.emulator import serve
    from hil.targets.emulator.faults import Faults

    faults = Faults.parse(options.fault)
    kind = board.load(options.board)
    link = (options.tty or Path("build/hil") / f"{options.name}.tty").absolute()
    link.parent.mkdir(parents=True, exist_ok=True)
    with (
        _until_told() as wait,
        serve.served(
            kind, options.name, port=options.probe_port, link=link, faults=faults
        ) as served,
    ):
        print(inventory.text(served.unit), flush=True)
        _tell(f"{options.name} is served until Ctrl-C")
        wait()
    return 0


@contextmanager
def _until_told() -> Iterator[Callable[[], object]]:
    """Give a function that waits for SIGINT or SIGTERM, which end nothing meanwhile."""
    told = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, told)
    try:
        yield lambda: signal.sigwait(told)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
