"""`hil emulate`: any bare-metal STM32F4 program on the emulated board."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from hil import numbers
from hil.commands.options import Commands, command, fitted, flame_options, show_stacks

_TABLE = "  TABLE"
_MOST_HZ = 10_000_000_000
_MOST_WAIT_STATES = 15
_EXAMPLES = """\
examples:
  hil emulate blinky.elf --max-seconds 10
  hil emulate firmware.elf --cycles    cycles and instructions on stderr at the end
  hil emulate firmware.elf --view      who called whom, with cycles
  hil emulate firmware.elf --wait-states 0 --no-art
a program that is stopped: stderr says where it stands, what it polls, why it faulted, and which
registers it used that are not modelled

what is modelled on an STM32F4:
  TABLE
exit status: what the program gives semihosting's SYS_EXIT; 124 where it was stopped
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "emulate",
        _run,
        "run a bare-metal STM32F4 program; its UART and semihosting go to stdout",
        epilog=_EXAMPLES,
    )
    parser.add_argument("elf", type=Path, metavar="FILE.elf")
    parser.add_argument(
        "--board", default="stm32f439", help="whose memory map (default: %(default)s)"
    )
    parser.add_argument(
        "--cycles", action="store_true", help="print cycles and instructions at the end, on stderr"
    )
    parser.add_argument(
        "--clock-hz",
        type=numbers.whole(1, _MOST_HZ),
        metavar="HZ",
        help="clock for the seconds printed (default: the board's)",
    )
    parser.add_argument(
        "--wait-states",
        type=numbers.whole(0, _MOST_WAIT_STATES),
        metavar="N",
        help="flash wait states, 0 to 15, whatever the program sets",
    )
    parser.add_argument(
        "--art",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="flash caches and prefetch, likewise",
    )
    parser.add_argument(
        "--max-seconds",
        type=numbers.seconds,
        metavar="S",
        help="host seconds after which the program is stopped",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="end with a fault at the first use of a register that is not modelled, and where a "
        "bus is too fast",
    )
    parser.add_argument(
        "--report-unmodelled",
        action="store_true",
        help="at the end, list the registers that it used and that are not modelled, on stderr",
    )
    parser.formatter_class = _WithTable
    flame_options(parser)


def _run(options: argparse.Namespace) -> int:
    from hil.config import board
    from hil.studies import emulate

    result = emulate.run(
        options.elf,
        board.load(options.board),
        wait_states=options.wait_states,
        art=options.art,
        max_seconds=options.max_seconds,
        strict=options.strict,
        warn=_warn,
    )
    if result.stopped:
        _warn(f"stopped after {options.max_seconds:g} s; " + "\n  ".join(result.stopped))
    if options.report_unmodelled:
        _report(result.unmodelled)
    if options.cycles:
        clock_hz = options.clock_hz or board.load(options.board).clock_hz
        seconds = result.cycles / clock_hz
        print(
            f"{result.cycles:,} cycles, {result.instructions:,} instructions, "
            f"{seconds:.6f} s at {clock_hz:,} Hz",
            file=sys.stderr,
        )
    show_stacks(result.stacks, options.elf, options.elf.name, options)
    return result.exit_status


class _WithTable(argparse.RawDescriptionHelpFormatter):
    """Puts the table of what is modelled into the help, made from the code when it is asked for."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if _TABLE in text:
            text = text.replace(_TABLE, _table())
        return super()._fill_text(text, width, indent)


def _table() -> str:
    """Return what is modelled of the default board's chip."""
    try:
        from hil.config import board
        from hil.targets.emulator import modelled

        return fitted(modelled.plain(modelled.of_board(board.load("stm32f439"))))
    except ImportError as error:
        return f"  (cannot be told: {error})"


def _report(unmodelled: Mapping[str, tuple[str, ...]]) -> None:
    """Say which registers that are not modelled a program used."""
    if not unmodelled:
        _warn("it used no register that is not modelled")
        return
    lines = [f"{name}: {', '.join(registers)}" for name, registers in unmodelled.items()]
    _warn("it used registers that are not modelled:\n  " + "\n  ".join(lines))


def _warn(text: str) -> None:
    sys.stdout.flush()
    print(f"hil emulate: {text}", file=sys.stderr)
