"""`hil emulate`: any bare-metal program on the emulated board."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hil import numbers
from hil.commands.options import (
    Commands,
    command,
    fitted,
    flame_options,
    jobs_option,
    show_stacks,
    written,
)

if TYPE_CHECKING:
    from hil.studies.emulate import Outcome
    from hil.studies.programs.conditions import Conditions

_TABLE = "  TABLE"
_MOST_HZ = 10_000_000_000
_MOST_WAIT_STATES = 15
_EXAMPLES = """\
examples:
  hil emulate blinky.elf --max-seconds 10
  hil emulate firmware.elf --cycles    cycles and instructions on stderr at the end
  hil emulate firmware.elf --view      who called whom, with cycles
  hil emulate firmware.elf --wait-states 0 --no-art
  hil emulate shell.elf --uart usart3=stdio
  hil emulate tests.elf --until "Tests OK" --junit results.xml
  hil emulate boot.hex+app.bin@0x08010000 --gpio PA0=1 --for 2.5
  hil emulate a.elf b.elf c.hex --max-seconds 10 --junit results.xml

several programs: each runs on a board of its own, in a process of its own, as
many at once as there are cores. Each line of their output begins with the
program's name. A table on stderr says how each ended. --uart, --view and
--trace are for one program.

a program that is stopped: stderr says where it stands, what it polls, why it
faulted, and which registers it used that are not modelled.
docs/own-firmware.md shows the same from Python and from pytest.

what is modelled on an STM32F4:
  TABLE

exit status: what the program gives semihosting's SYS_EXIT; 0 where --until or
--for ended it; 1 where a test of its own failed (--junit); 124 where it was
stopped; of several programs, the highest
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "emulate",
        _run,
        "run a bare-metal STM32F4 program; its UARTs and semihosting go to stdout",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="PROGRAM",
        help="ELF, Intel HEX or binary; FILE.bin@ADDRESS; files of one program are joined with +",
    )
    parser.add_argument(
        "--board", default="stm32f439", help="whose memory map (default: %(default)s)"
    )
    parser.add_argument(
        "--base",
        type=numbers.address,
        metavar="ADDRESS",
        help="of a binary that does not say (default: the board's flash)",
    )
    jobs_option(parser, "programs at once")
    _add_ends(parser)
    _add_wires(parser)
    _add_flash(parser)
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
        "--strict",
        action="store_true",
        help="end with a fault at the first use of a register that is not modelled, and where "
        "clocks go past what silicon usually bears",
    )
    parser.add_argument(
        "--report-unmodelled",
        action="store_true",
        help="at the end, list the registers that it used and that are not modelled, on stderr",
    )
    parser.formatter_class = _WithTable
    flame_options(parser)


def _add_ends(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--until", metavar="TEXT", help="end once the program has said this")
    parser.add_argument(
        "--for", dest="seconds", type=numbers.seconds, metavar="S", help="end after its own seconds"
    )
    parser.add_argument(
        "--max-seconds",
        type=numbers.seconds,
        metavar="S",
        help="host seconds after which a program is stopped",
    )
    parser.add_argument(
        "--junit",
        type=written,
        metavar="FILE",
        help="write the tests that it prints, as TAP or as Unity, to a JUnit file",
    )


def _add_wires(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--uart",
        action="append",
        default=[],
        metavar="NAME=WHERE",
        help="connect a port: stdio (typed input too), pty, tcp:PORT or a file; repeats",
    )
    parser.add_argument(
        "--gpio",
        action="append",
        default=[],
        metavar="PIN=LEVEL",
        help="hold a pin at a level or, for an ADC, at a voltage: PA0=1, PA1=1.65V; repeats",
    )
    parser.add_argument(
        "--gpio-script", type=Path, metavar="FILE", help="lines such as: 0.5 PA0=1, at its seconds"
    )
    parser.add_argument(
        "--gpio-watch",
        action="append",
        default=[],
        metavar="PIN",
        help="tell each change of a pin, on stderr; repeats",
    )
    parser.add_argument("--trace-uart", action="store_true", help="tell each byte, on stderr")
    parser.add_argument(
        "--trace-events", action="store_true", help="tell resets, faults and sleep, on stderr"
    )


def _add_flash(parser: argparse.ArgumentParser) -> None:
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


def _run(options: argparse.Namespace) -> int:
    from hil.studies import emulate
    from hil.studies.programs import conditions, files

    terms = _conditions(options)
    if len(options.files) > 1:
        from hil.commands import emulate_several

        return emulate_several.run(options, terms)
    said = bytearray()
    result = conditions.run(
        files.joined(options.files[0]),
        terms,
        _both(emulate.write_to_stdout, said.extend),
        _warn,
        stdin=_keyboard(),
    )
    for line in conditions.last_words(result, terms):
        _warn(line)
    return _told(options, result, said)


def _conditions(options: argparse.Namespace) -> "Conditions":
    from hil.studies.programs.conditions import Conditions

    return Conditions(
        board=options.board,
        base=options.base,
        wait_states=options.wait_states,
        art=options.art,
        until=options.until,
        seconds=options.seconds,
        max_seconds=options.max_seconds,
        strict=options.strict,
        uart=tuple(options.uart),
        gpio=tuple(options.gpio),
        gpio_script=options.gpio_script,
        gpio_watch=tuple(options.gpio_watch),
        trace_uart=options.trace_uart,
        trace_events=options.trace_events,
        report_unmodelled=options.report_unmodelled,
    )


def _keyboard() -> int | None:
    """Return the descriptor of standard input, None where there is none."""
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return None


def _told(options: argparse.Namespace, result: "Outcome", said: bytearray) -> int:
    from hil.config import board
    from hil.studies.programs import files

    status = result.exit_status
    clock_hz = options.clock_hz or board.load(options.board).clock_hz
    seconds = result.cycles / clock_hz
    if options.cycles:
        print(
            f"{result.cycles:,} cycles, {result.instructions:,} instructions, "
            f"{seconds:.6f} s at {clock_hz:,} Hz",
            file=sys.stderr,
        )
    if options.junit is not None:
        status = _junit(options, result, said, seconds)
    elf = files.elf_of(files.joined(options.files[0]))
    if elf is not None:
        show_stacks(result.stacks, elf, elf.name, options)
    return status


def _junit(options: argparse.Namespace, result: "Outcome", said: bytearray, seconds: float) -> int:
    from hil import files
    from hil.studies.programs import verdicts

    found = list(verdicts.cases(said.decode("utf-8", "replace")))
    problem = "; ".join(result.stopped)
    if not problem and result.exit_status:
        problem = f"exit status {result.exit_status}"
    if not found and not problem:
        problem = "it printed no test, neither as TAP nor as Unity has them"
    name = Path(options.files[0]).stem
    files.replace(options.junit, verdicts.junit(name, found, problem, seconds))
    failed = sum(one.result == "failed" for one in found)
    _warn(f"{len(found)} tests of its own, {failed} failed: {options.junit}")
    return result.exit_status or int(bool(failed or problem))


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


def _both(*takers: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def take(data: bytes) -> None:
        for taker in takers:
            taker(data)

    return take


def _warn(text: str) -> None:
    sys.stdout.flush()
    print(f"hil emulate: {text}", file=sys.stderr)
