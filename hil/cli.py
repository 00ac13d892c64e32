"""The `hil` command: each subcommand asks another module for facts and prints them."""

import argparse
import os
import select
import sys
from collections.abc import Sequence
from typing import TextIO

from hil import __version__, extras
from hil.commands import (
    bench,
    bisect,
    boards,
    cache,
    compare,
    crosscheck,
    detect,
    doctor,
    emulate,
    evaluate,
    history,
    import_,
    mlperf_run,
    models,
    new,
    plan,
    poolings,
    profile,
    quantise,
    report,
    reproduce,
    run,
    scenarios,
    survey,
    survey_models,
    train,
    validate_timing,
)
from hil.commands.options import fitted
from hil.errors import HilError

_COMMANDS = (
    new,
    doctor,
    run,
    scenarios,
    boards,
    plan,
    quantise,
    profile,
    report,
    reproduce,
    crosscheck,
    models,
    poolings,
    detect,
    emulate,
    survey,
    evaluate,
    train,
    import_,
    compare,
    history,
    bisect,
    bench,
    validate_timing,
    mlperf_run,
    survey_models,
    cache,
)
_INTERRUPTED, _UNREAD = 130, 141  # 128 and the number of SIGINT, of SIGPIPE
_EPILOG = """\
examples:
  hil new my_project                   a project of your own: a network, a scenario, tests, CI
  hil doctor                           what this machine has, and what to do about what it lacks
  hil run face_m4                      compile, build, flash, run and judge a scenario
  hil test --board=stm32f439           the suite, with pytest's options
  hil scenarios --board stm32f439      what can be run, its limits, what fits
  hil boards list                      physical boards, and who uses them
  hil plan face_m4                     where every buffer of the model lies, step by step
  hil quantise face_m4 --report        what each of the quantiser's choices buys
  hil profile face_m4                  cycles per layer on the emulated board
  hil report --open                    the last run as a page
  hil reproduce                        are the numbers printed in documents still true
  hil crosscheck face_m4               the emulated board against Renode
  hil import model.tflite              an int8 network of TensorFlow Lite, as a scenario
  hil survey-models FOLDER             which networks of a folder compile, fit, at what cost
  hil train face_or_not --data DIR     teach a network, then judge its weights
  hil evaluate DATASET                 what the integers lose on annotated photographs
  hil models                           every network: its counts beside the paper's
  hil poolings                         what each pooling of the paper costs on the chip
  hil detect photos/                   faces, as the board and the float model find them
  hil emulate firmware.elf --cycles    run any bare-metal STM32F4 program
  hil compare last~1 last              what became worse or better since the run before
  hil bisect --scenario face_m4 A B    the commit between A and B that made it slower
  hil cache prune --older-than 30      delete builds that were not used for a month
  pytest hil/ --board=stm32f439        the main job: build, flash, run, judge

`hil COMMAND --help` has more. Exit status of every command: 0 done; 1 it found what fails or is
missing; 2 it was called wrongly or could not go on; 130 it was interrupted.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    130 tells that it was interrupted, 141 that who read its output went away, as shells have it.
    """
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _is_unread(sys.stdout):
            raise
        _silence(sys.stdout)
        return _UNREAD


def _run(arguments: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == [run.TEST] and not {"-h", "--help"} & {*words[1:]}:
        run.test(words[1:])
    options = _parsed(words)
    if options.command is None:
        _parser().print_help()
        return 0
    try:
        with extras.said():
            status: int = options.run(options)
    except HilError as error:
        print(f"hil {options.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"hil {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"hil {options.command}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    return status


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line; `hil run` gains what it hands on to pytest."""
    parser = _parser()
    options, unknown = parser.parse_known_args(words)
    if options.command == run.RUN:
        options.handed_on = [one for one in unknown if one.startswith(run.OF_PYTEST)]
        unknown = [one for one in unknown if one not in options.handed_on]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def _is_unread(stream: TextIO) -> bool:
    """Whether nobody reads any more what is written to a stream."""
    poll = select.poll()
    poll.register(stream.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _silence(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere: the interpreter writes it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hil",
        description="Hardware-in-the-loop tests for RNNPool vision models on Cortex-M4.",
        epilog=fitted(_EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return parser
