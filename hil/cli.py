"""The `hil` command: each subcommand asks another module for facts and prints them."""

import argparse
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hil import __version__
from hil.errors import HilError

if TYPE_CHECKING:
    from rich.table import Table

    from hil.compiler.plan import Point
    from hil.flame import Chain

_EPILOG = """\
examples:
  hil doctor                           what this machine has, and what to do about what it lacks
  hil plan face_m4                     where every buffer of the model lies, step by step
  hil profile face_m4                  cycles per layer on the emulated board
  hil crosscheck face_m4               the emulated board against Renode
  hil models                           every network: its counts beside the paper's
  hil detect photos/                   faces, as the board and the float model find them
  hil emulate firmware.elf --cycles    run any bare-metal STM32F4 program
  pytest hil/ --board=stm32f439        the main job: build, flash, run, judge
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except HilError as error:
        print(f"hil {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"hil {options.command}: interrupted", file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hil",
        description="Hardware-in-the-loop tests for RNNPool vision models on Cortex-M4.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_doctor(commands)
    _add_plan(commands)
    _add_profile(commands)
    _add_crosscheck(commands)
    _add_models(commands)
    _add_detect(commands)
    _add_emulate(commands)
    _add_bench(commands)
    _add_validate_timing(commands)
    return parser


_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def _command(
    commands: _Commands, name: str, run: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + "."
    )
    parser.set_defaults(run=run)
    return parser


def _scenario_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", help="a file of scenarios/, or the path of one")
    parser.add_argument(
        "--board", default="stm32f439", help="a file of boards/ (default: %(default)s)"
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="trained weights instead of the scenario's"
    )


def _toolchain_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--toolchain",
        default="zig",
        choices=("zig", "gcc"),
        help="cross compiler (default: %(default)s)",
    )


def _print(table: "Table") -> None:
    from rich.console import Console

    Console().print(table)


# doctor


def _add_doctor(commands: _Commands) -> None:
    _command(
        commands,
        "doctor",
        _doctor,
        "list what is found on this machine and what to do about what is missing",
    )


def _doctor(options: argparse.Namespace) -> int:
    from hil import doctor

    del options
    findings = doctor.examine()
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{'ok' if finding.found else '--'}  {finding.name:{width}}  {finding.detail}")
        if finding.remedy:
            print(f"    {'':{width}}  to have it: {finding.remedy}")
    return 0 if all(finding.found or finding.optional for finding in findings) else 1


# plan


def _add_plan(commands: _Commands) -> None:
    parser = _command(
        commands, "plan", _plan, "show the buffers of a model's schedule over its steps"
    )
    _scenario_options(parser)
    parser.add_argument(
        "--optimise",
        type=_aim,
        metavar="AIM",
        help="speed, ram, or the fastest schedule within so many bytes (default: the scenario's)",
    )
    parser.add_argument(
        "--pareto", action="store_true", help="list the schedules that no other beats in both"
    )


def _aim(text: str) -> str | int:
    if text in {"speed", "ram"}:
        return text
    digits = text.replace("_", "").replace(",", "")
    if not digits.isdecimal():
        raise argparse.ArgumentTypeError("speed, ram, or a number of bytes")
    return int(digits)


def _plan(options: argparse.Namespace) -> int:
    from rich.table import Table

    from hil import board, scenario
    from hil.compiler import plan
    from hil.measurement import compile_scenario

    chosen = scenario.load(options.scenario).override(
        checkpoint=options.checkpoint, optimise=options.optimise
    )
    chip = board.load(options.board)
    compiled = compile_scenario(chosen, chip)
    planned = compiled.plan
    if options.pareto:
        points = plan.pareto(compiled.program, plan.Budget.of(chip), streams=chosen.stream)
        return _pareto(points, chip.clock_hz)
    heads, rows = plan.table(planned)
    fixed = len(heads) - len(planned.steps)
    lifetimes = "".join(str(number % 10) for number in range(len(planned.steps)))
    buffers = Table(*heads[:fixed], f"step {lifetimes}", box=None, title=f"{chosen.model}: buffers")
    for heading in buffers.columns[2:fixed]:
        heading.justify = "right"
    for row in rows:
        alive = "".join("█" if cell else "·" for cell in row[fixed:])
        buffers.add_row(*row[:fixed], f"     {alive}")
    for number, name in enumerate(heads[fixed:]):
        print(f"step {number:2}  {name}")
    _print(buffers)
    print(f"arena {planned.arena_bytes:,} B in SRAM, working memory {planned.ccm_bytes:,} B in CCM")
    return 0


def _pareto(points: "Sequence[Point]", clock_hz: int) -> int:
    print("   memory     cycles, as the cost model has them")
    for point in points:
        seconds = point.cycles / clock_hz
        print(f"{point.ram_bytes:9,} B  {point.cycles:11,}  {seconds:.3f} s")
    return 0


# profile


def _add_profile(commands: _Commands) -> None:
    parser = _command(
        commands,
        "profile",
        _profile,
        "run a model on the emulated board and show its cycles by layer",
    )
    _scenario_options(parser)
    _toolchain_option(parser)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there as well")
    _flame_options(parser)


def _flame_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--view", action="store_true", help="print who called whom, with cycles")
    parser.add_argument(
        "--trace", type=Path, metavar="FILE", help="write call stacks, for www.speedscope.app"
    )


def _flame(
    stacks: "Mapping[Chain, int]", elf: Path, title: str, options: argparse.Namespace
) -> None:
    """Show and write call stacks as the options ask."""
    if not (options.view or options.trace):
        return
    from hil import flame

    functions = flame.Functions.of(elf)
    if options.view:
        print("   with    own         cycles  function; with: with what it calls")
        print("\n".join(flame.tree(stacks, functions)))
    if options.trace:
        flame.write_speedscope(stacks, functions, options.trace, title)


def _profile(options: argparse.Namespace) -> int:
    from hil import profile

    result = profile.run(
        options.scenario, options.board, options.toolchain, checkpoint=options.checkpoint
    )
    _print(profile.table(result))
    _flame(result.stacks, result.elf, result.title, options)
    if options.csv:
        profile.write_csv(result, options.csv)
    return 0


# crosscheck


def _add_crosscheck(commands: _Commands) -> None:
    parser = _command(
        commands,
        "crosscheck",
        _crosscheck,
        "run a model on the emulated board and in Renode, and show where they part",
    )
    _scenario_options(parser)
    _toolchain_option(parser)
    parser.add_argument(
        "--renode",
        metavar="PATH",
        help="Renode's executable or folder (default: $HIL_RENODE, renode-run, renode on PATH)",
    )


def _crosscheck(options: argparse.Namespace) -> int:
    from hil import crosscheck

    result = crosscheck.run(
        options.scenario,
        options.board,
        options.toolchain,
        checkpoint=options.checkpoint,
        renode=options.renode,
    )
    _print(crosscheck.table(result))
    print(crosscheck.timings(result))
    disagreements = result.disagreements()
    for line in disagreements:
        print(line)
    if not disagreements:
        print(f"outputs: {result.expected.size:,}, equal to the bit")
    return 1 if disagreements else 0


# models


def _add_models(commands: _Commands) -> None:
    parser = _command(
        commands,
        "models",
        _models,
        "list the networks: parameters, MACs, memory, each beside the paper's figure",
    )
    parser.add_argument("model", nargs="*", help="networks to list (default: all)")
    parser.add_argument(
        "--board", default="stm32f439", help="whose memory to plan for (default: %(default)s)"
    )
    parser.add_argument("--no-plan", action="store_true", help="plan no memory: quicker")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there as well")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _models(options: argparse.Namespace) -> int:
    from hil import board, counts, counts_table, models, progress

    chip = None if options.no_plan else board.load(options.board)
    names = options.model or models.names()
    found = []
    with progress.over(len(names)) as bar:
        for name in names:
            bar.begin(name)
            found.append(counts.of_model(name, chip))
    if options.csv:
        counts_table.write_csv(found, options.csv)
    if options.json:
        print(counts_table.as_json(found))
        return 0
    for table in counts_table.tables(found):
        _print(table)
    for note in (*counts_table.disagreements(found), *counts_table.obstacles(found)):
        print(textwrap.fill(note, width=100, subsequent_indent="  "))
    return 0


# detect


def _add_detect(commands: _Commands) -> None:
    parser = _command(
        commands,
        "detect",
        _detect,
        "find faces in photographs, on a board and in float; draw both",
    )
    parser.add_argument(
        "image", nargs="+", metavar="IMAGE", help="files (PNG, JPEG, PPM, PGM), folders or globs"
    )
    parser.add_argument(
        "--scenario", default="face_m4", help="a file of scenarios/ (default: %(default)s)"
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="trained weights instead of the scenario's"
    )
    parser.add_argument(
        "--board", default="stm32f439", help="a file of boards/ (default: %(default)s)"
    )
    parser.add_argument(
        "--target",
        default="emulator",
        choices=("emulator", "probe"),
        help="what stands for the board (default: %(default)s)",
    )
    parser.add_argument("--probe", metavar="ID", help="unique id of the debug probe")
    parser.add_argument("--port", help="serial port of a real board's link")
    _toolchain_option(parser)
    parser.add_argument(
        "--float-only", action="store_true", help="run the float model alone; needs no board"
    )
    parser.add_argument(
        "--score",
        type=float,
        default=0.3,
        metavar="S",
        help="that a face must exceed, 0 to 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/hil/detect"),
        metavar="DIR",
        help="for the pictures and boxes.json (default: %(default)s)",
    )


def _detect(options: argparse.Namespace) -> int:
    from hil import detect, detect_report, progress, scenario

    chosen = scenario.load(options.scenario).override(checkpoint=options.checkpoint)
    names = detect.images(options.image)
    on_board = None
    if not options.float_only:
        on_board = detect.BoardOptions(
            options.board, options.target, options.toolchain, options.probe, options.port
        )
    with (
        progress.over(len(names)) as bar,
        detect.finder(chosen, on_board, least_score=options.score, progress=bar.tell) as find,
    ):
        entries = detect_report.run(
            names, find, options.out, detect.about(chosen, on_board), bar.begin
        )
    _print(detect_report.table(entries))
    if chosen.checkpoint is None:
        print("without a checkpoint the boxes mean nothing: only that both find the same does")
    print(f"pictures and boxes.json: {options.out}")
    return 1 if any(entry.error for entry in entries) else 0


# emulate


def _add_emulate(commands: _Commands) -> None:
    parser = _command(
        commands,
        "emulate",
        _emulate,
        "run a bare-metal STM32F4 program; its UART and semihosting go to stdout",
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
        type=int,
        metavar="HZ",
        help="clock for the seconds printed (default: the board's)",
    )
    parser.add_argument(
        "--wait-states", type=int, metavar="N", help="flash wait states, whatever the program sets"
    )
    parser.add_argument(
        "--art",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="flash caches and prefetch, likewise",
    )
    parser.add_argument(
        "--max-seconds",
        type=float,
        metavar="S",
        help="host seconds after which the program is stopped",
    )
    _flame_options(parser)


def _emulate(options: argparse.Namespace) -> int:
    from hil import board, emulate

    result = emulate.run(
        options.elf,
        board.load(options.board),
        wait_states=options.wait_states,
        art=options.art,
        max_seconds=options.max_seconds,
    )
    if options.cycles:
        clock_hz = options.clock_hz or board.load(options.board).clock_hz
        seconds = result.cycles / clock_hz
        print(
            f"{result.cycles:,} cycles, {result.instructions:,} instructions, "
            f"{seconds:.6f} s at {clock_hz:,} Hz",
            file=sys.stderr,
        )
    _flame(result.stacks, options.elf, options.elf.name, options)
    return result.exit_status


# bench


def _add_bench(commands: _Commands) -> None:
    parser = _command(commands, "bench", _bench, "measure the emulated board, or the kernels on it")
    parser.add_argument(
        "what",
        choices=("emulator", "kernels", "face_m4"),
        help="emulator: emulated instructions per second of host time; kernels: cycles of every "
        "operator; face_m4: cycles by layer, with sparse and with dense RNN weights",
    )
    parser.add_argument("--board", default="stm32f439", help="whose (default: %(default)s)")
    parser.add_argument(
        "--toolchain",
        choices=("zig", "gcc", "both"),
        default="both",
        help="cross compiler of kernels and face_m4 (default: both, where gcc is found)",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there as well")


def _bench(options: argparse.Namespace) -> int:
    if options.what == "emulator":
        from hil import bench

        return bench.emulator(board=options.board)

    from hil import bench_kernels, board, toolchain

    compilers = toolchain.find_all() if options.toolchain == "both" else []
    measure = bench_kernels.kernels if options.what == "kernels" else bench_kernels.face_m4
    rows = measure(
        board.load(options.board),
        compilers or [toolchain.find_toolchain(options.toolchain)],
        lambda stage: print(stage, file=sys.stderr),
    )
    _print(bench_kernels.table(rows))
    if options.csv:
        bench_kernels.write_csv(rows, options.csv)
    return 0


# validate-timing


def _add_validate_timing(commands: _Commands) -> None:
    parser = _command(
        commands,
        "validate-timing",
        _validate_timing,
        "hold the timing model against cycles published for real chips, on checkouts of yours",
    )
    parser.add_argument("--embench", type=Path, metavar="DIR", help="embench-iot, embench-2.0rc1")
    parser.add_argument("--pqm4", type=Path, metavar="DIR", help="pqm4 Round3, with submodules")
    parser.add_argument("--coremark", type=Path, metavar="DIR", help="coremark, any version")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--board", default="stm32f439", help="whose memory (default: %(default)s)")


def _validate_timing(options: argparse.Namespace) -> int:
    from hil import validate_timing

    return validate_timing.run(
        embench=options.embench,
        pqm4=options.pqm4,
        coremark=options.coremark,
        csv=options.csv,
        board=options.board,
    )
