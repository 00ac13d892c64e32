"""`hil mlperf-run`: an MLPerf Tiny image timed without EEMBC's runner."""

import argparse
from pathlib import Path

from hil import numbers
from hil.commands.options import Commands, command
from hil.errors import UsageError

_MOST_BAUD = 12_000_000
_BOARD = "nucleo_l4r5zi"
_EXAMPLES = """\
examples:
  hil mlperf-run VWW01-Performance.bin                on the emulated NUCLEO-L4R5ZI
  hil mlperf-run l4r5_vww.bin --banks 2               with the flash in two banks
  hil mlperf-run --port /dev/ttyACM0 --baud 921600    what the flash of a real board holds
on the emulated board two short windows are enough, as each repeats; on a port the window has ten
seconds, as that of the runner
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "mlperf-run",
        _run,
        "time an MLPerf Tiny image, on the emulated board or on a real one's port",
        epilog=_EXAMPLES,
    )
    parser.add_argument("image", nargs="?", type=Path, help="an ELF, or the flash's bytes")
    parser.add_argument(
        "--board", default=_BOARD, help="the emulated board, of an STM32L4+ (default: %(default)s)"
    )
    parser.add_argument(
        "--banks", type=int, choices=(1, 2), help="of its flash (default: as its file says)"
    )
    parser.add_argument("--port", help="serial port of a real board that holds an image already")
    parser.add_argument(
        "--baud",
        type=numbers.whole(300, _MOST_BAUD),
        default=115_200,
        help="the port's speed (default: %(default)s)",
    )
    parser.add_argument(
        "--input", type=Path, metavar="FILE", help="the network's input (default: zeros)"
    )


def _run(options: argparse.Namespace) -> int:
    if (options.image is None) == (options.port is None):
        raise UsageError("name an image for the emulated board, or --port of a real one")
    from hil.studies.mlperf import run

    data = _read(options.input) if options.input else None
    if options.port:
        timed = run.on_port(options.port, options.baud, data)
    else:
        timed = run.on_emulator(options.image, options.board, options.banks, data)
    for line in timed.said:
        print(line)
    for window in timed.windows:
        print(f"{window.inferences} inferences in {window.us:,} us: {window.results}")
    print(f"{timed.us:,.1f} us an inference, {1e6 / timed.us:.3f} a second")
    if timed.clock_hz:
        print(f"{timed.us * timed.clock_hz / 1e6:,.0f} cycles at {timed.clock_hz / 1e6:g} MHz")
    return 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
