"""`hil run SCENARIO` and `hil test`: the suite of `pytest --pyargs hil.suite`, in fewer words."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hil import numbers, targets
from hil.commands.options import Commands, command, measuring_options, written
from hil.paths import RESULTS

RUN, TEST = "run", "test"
OF_PYTEST = "--hil-"
"""How options begin that `hil run` hands on."""

_SUITE = ("--pyargs", "hil.suite")
_RUN = """\
examples:
  hil run face_m4                      compile, build, flash, run and judge it
  hil run mine.toml --board nucleo_f439zi --target probe
  hil run face_m4 --input photo.jpg --checkpoint trained.pth
  hil run face_m4 --csv elsewhere/results.csv --hil-retries=0
results and files of the run stand beside the table; options that begin with --hil-
and say their value after = are handed on to pytest
exit status: 0 every limit is kept; 1 one is not, or nothing could be measured; 2 interrupted; 4
called wrongly
"""
_TEST = """\
examples:
  hil test --board=stm32f439           the default scenarios, on the emulated board
  hil test --hil-scenario=mine.toml -k latency
  hil test --hil-all --hil-baseline
takes what pytest takes; `pytest --help` lists the options, under "hardware in the loop"
exit status: pytest's: 0 all pass; 1 some fail; 2 interrupted; 4 usage error; 5 no tests
"""


def add(commands: Commands) -> None:
    """Declare both commands."""
    parser = command(
        commands, RUN, _run, "compile, build, flash, run and judge scenarios", epilog=_RUN
    )
    parser.add_argument(
        "scenario", nargs="+", help="a name of `hil scenarios`, or the path of a TOML file"
    )
    measuring_options(parser, target=targets.NAMED)
    parser.add_argument("--input", metavar="IMAGE", help="photograph to run on")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="trained weights")
    parser.add_argument(
        "--iterations", type=numbers.iterations, metavar="N", help="inferences of each"
    )
    parser.add_argument(
        "--csv",
        default=RESULTS,
        type=written,
        metavar="FILE",
        help="the results; the files of the run go beside them (default: %(default)s)",
    )
    tests = command(
        commands,
        TEST,
        lambda options: test(options.argument),
        "run the suite: pytest --pyargs hil.suite, with pytest's options",
        epilog=_TEST,
    )
    tests.add_argument(
        "argument", nargs="*", metavar="OPTION", help="of pytest, such as --board=stm32f439"
    )


def test(arguments: Sequence[str]) -> NoReturn:
    """Become the suite's process, with further arguments of pytest."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *_SUITE, *arguments])  # noqa: S606


def _run(options: argparse.Namespace) -> NoReturn:
    given = {
        "--hil-board": options.board,
        "--hil-target": options.target,
        "--hil-toolchain": options.toolchain,
        "--hil-probe": options.probe,
        "--hil-port": options.port,
        "--hil-input": options.input,
        "--hil-checkpoint": options.checkpoint,
        "--hil-iterations": options.iterations,
        "--hil-csv": options.csv,
    }
    arguments = [f"{name}={value}" for name, value in given.items() if value is not None]
    arguments += [f"--hil-scenario={name}" for name in options.scenario]
    # A project's own settings of pytest are not for this.
    alone = ("-c", os.devnull, "--rootdir=.", "-q", "-p", "no:cacheprovider")
    test([*alone, *arguments, *options.handed_on])
