"""`hil bench`: how fast the emulated board is, and the kernels on it; what a bad line costs."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hil import numbers
from hil.commands.options import Commands, command, csv_option, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.studies.bench.kernels import Row

_MOST_RUNS = 10_000_000
_EXAMPLES = """\
examples:
  hil bench emulator                   emulated instructions per second of host time
  hil bench kernels --toolchain zig    cycles of every operator: some minutes
  hil bench kernels --flash            flash of each kernel's C, stated and as compilers make it
  hil bench kernels --fit              the cost model's cycles, from measurements of small layers
  hil bench link --rate 1e-3 --runs 50  face_m4 over a line that damages one byte in a thousand
  hil bench soak --runs 10000 --seconds 600   inferences one after another: cycles, outputs, memory
  hil bench face_m4 --csv layers.csv   cycles by layer, RNN weights sparse and dense
  hil bench mlperf                     MLPerf Tiny's networks beside the certified figures
  hil bench mlperf --network vww=vww_96_int8.toml   with weights that hil import made a scenario of
  hil bench peers --cmsis-nn CMSIS-NN --tinyengine tinyengine   kernels of others beside ours
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "bench",
        _run,
        "measure the emulated board, the kernels on it, or the link to it",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "what",
        choices=("emulator", "kernels", "link", "soak", "face_m4", "mlperf", "peers"),
        help="emulator: emulated instructions per second of host time; kernels: cycles of every "
        "operator; link: runs over a line that damages bytes; soak: inferences one after another; "
        "face_m4: cycles by layer, with sparse and with dense RNN weights; mlperf: MLPerf Tiny's "
        "networks on a NUCLEO-L4R5ZI, beside the best that were certified on one; peers: kernels "
        "of others from your checkouts, layer by layer beside ours",
    )
    parser.add_argument("--board", help="whose (default: stm32f439; of mlperf nucleo_l4r5zi)")
    parser.add_argument(
        "--network",
        action="append",
        default=[],
        metavar="TASK=FILE",
        help="mlperf: the scenario of a task (vww, ic, kws, ad) in place of the seeded network; "
        "may be given several times",
    )
    parser.add_argument(
        "--cmsis-nn",
        type=Path,
        metavar="DIR",
        help="peers: a checkout of github.com/ARM-software/CMSIS-NN",
    )
    parser.add_argument(
        "--tinyengine",
        type=Path,
        metavar="DIR",
        help="peers: a checkout of github.com/mit-han-lab/tinyengine with its submodules; its "
        "generator, a Python program, is run",
    )
    parser.add_argument(
        "--toolchain",
        choices=("zig", "gcc", "both"),
        default="both",
        help="cross compiler of kernels, face_m4 and peers (default: both, where gcc is found)",
    )
    parser.add_argument(
        "--fit",
        action="store_true",
        help="kernels: fit the cost model's cycles to small layers; print old, new and errors",
    )
    parser.add_argument(
        "--flash",
        action="store_true",
        help="kernels: compile the C of kernels, steps and streaming; print stated and most bytes",
    )
    parser.add_argument(
        "--scenario", default="face_m4", help="link, soak: whose firmware (default: %(default)s)"
    )
    parser.add_argument(
        "--runs",
        type=numbers.whole(1, _MOST_RUNS),
        help="link: at each rate (default: 10); soak: in all (default: 10,000)",
    )
    parser.add_argument(
        "--seconds",
        type=numbers.seconds,
        default=300.0,
        help="soak: at most (default: %(default)s)",
    )
    parser.add_argument(
        "--rate",
        type=numbers.share,
        action="append",
        help="link: damaged bytes among all; may be given several times (default: 0 to 1e-2)",
    )
    parser.add_argument(
        "--markdown",
        nargs="?",
        const="sparse",
        choices=("sparse", "dense"),
        help="print the table as a document has it; of face_m4 with sparse or with dense weights",
    )
    csv_option(parser)


def _run(options: argparse.Namespace) -> int:
    if options.what == "mlperf":
        return _mlperf(options)
    options.board = options.board or "stm32f439"
    if options.what == "emulator":
        from hil.studies.bench import emulator as bench

        return bench.emulator(board=options.board)
    if options.what == "link":
        return _link(options)
    if options.what == "soak":
        return _soak(options)
    if options.what == "peers":
        return _peers(options)

    from hil.build import toolchain
    from hil.config import board
    from hil.studies.bench import kernels as bench_kernels

    if options.flash and options.what == "kernels":
        return _flash(options)
    if options.fit and options.what == "kernels":
        return _fit(options)
    compilers = toolchain.find_all() if options.toolchain == "both" else []
    measure = bench_kernels.kernels if options.what == "kernels" else bench_kernels.face_m4
    rows = measure(
        board.load(options.board),
        compilers or [toolchain.find_toolchain(options.toolchain)],
        lambda stage: print(stage, file=sys.stderr),
    )
    if options.markdown:
        print(_markdown(rows, options))
    else:
        show(bench_kernels.table(rows))
    if options.csv:
        bench_kernels.write_csv(rows, options.csv)
    return 0


def _mlperf(options: argparse.Namespace) -> int:
    from hil.errors import UsageError
    from hil.studies.mlperf import bench

    networks = {task: bench.scenarios(task) for task in bench.TASKS}
    for told in options.network:
        task, _, name = told.partition("=")
        if task not in networks or not name:
            raise UsageError(
                f"--network {told} names no task and file",
                hint=f"write TASK=FILE.toml; tasks are {', '.join(networks)}",
            )
        networks[task] = name
    board = options.board or bench.BOARD
    results = list(bench.run(networks, board, lambda stage: print(stage, file=sys.stderr)))
    if options.markdown:
        print(bench.markdown(results))
    else:
        show(bench.table(results))
    if options.csv:
        bench.write_csv(results, options.csv)
    return 0


def _peers(options: argparse.Namespace) -> int:
    from hil.build import toolchain
    from hil.errors import UsageError
    from hil.studies.bench.peers import bench, report
    from hil.studies.bench.peers.checkouts import cmsis_nn, tinyengine

    found = [
        find(folder)
        for find, folder in ((cmsis_nn, options.cmsis_nn), (tinyengine, options.tinyengine))
        if folder is not None
    ]
    if not found:
        raise UsageError(
            "no checkout of a peer is named",
            hint="name one or both: --cmsis-nn DIR --tinyengine DIR",
        )
    both = options.toolchain == "both"
    compilers = toolchain.find_all() if both else [toolchain.find_toolchain(options.toolchain)]
    lines = list(
        bench.run(found, compilers, options.board, lambda stage: print(stage, file=sys.stderr))
    )
    if options.markdown:
        print(report.markdown(lines, found))
    else:
        show(report.table(lines, found))
    if options.csv:
        bench.write_csv(lines, options.csv)
    return 0


def _link(options: argparse.Namespace) -> int:
    from hil.errors import UsageError
    from hil.studies.bench import link

    rates = options.rate or link.RATES
    runs = 10 if options.runs is None else options.runs
    if runs < 1 or not all(0 <= rate <= 1 for rate in rates):
        raise UsageError("--runs is at least 1, and --rate from 0 to 1")
    outcomes = link.measure(
        options.scenario,
        options.board,
        rates,
        runs,
        lambda stage: print(stage, file=sys.stderr),
    )
    show(link.table(outcomes))
    wrong = any(run.verdict == "wrong" for runs in outcomes.values() for run in runs)
    return 1 if wrong else 0


def _markdown(rows: "Sequence[Row]", options: argparse.Namespace) -> str:
    from hil.studies.bench import markdown

    if options.what == "kernels":
        return markdown.kernels(rows)
    return markdown.face_m4(rows, dense=options.markdown == "dense")


def _soak(options: argparse.Namespace) -> int:
    from hil.errors import UsageError
    from hil.studies.bench import soak

    runs = 10_000 if options.runs is None else options.runs
    if runs < 1 or not options.seconds > 0:
        raise UsageError("--runs is at least 1, and --seconds more than 0")
    told = soak.soak(
        options.scenario,
        options.board,
        runs,
        options.seconds,
        lambda stage: print(stage, file=sys.stderr),
    )
    print(told)
    if options.csv:
        told.write(options.csv)
    return 0


def _fit(options: argparse.Namespace) -> int:
    from hil.build import toolchain
    from hil.compiler.kernels.registry import KEPT
    from hil.config import board
    from hil.studies.bench import fit, fit_cases

    compiler = toolchain.find_toolchain("zig" if options.toolchain == "both" else options.toolchain)
    measured = fit.layers(
        fit_cases.cases(),
        board.load(options.board),
        compiler,
        lambda stage: print(stage, file=sys.stderr),
    )
    others = {name: cycles for name, cycles in fit.fit(measured).items() if name in KEPT}
    fitted = fit.fit(measured, KEPT) | others
    show(fit.table(measured, fitted))
    show(fit.error_table(measured, fitted))
    if options.csv:
        fit.write_csv(measured, options.csv)
    return 0


def _flash(options: argparse.Namespace) -> int:
    from hil.build import toolchain
    from hil.config import board
    from hil.studies.bench import flash_table

    found = toolchain.find_all() if options.toolchain == "both" else []
    compilers = found or [toolchain.find_toolchain(options.toolchain)]
    show(flash_table.table(board.load(options.board), compilers))
    return 0
