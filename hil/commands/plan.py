"""`hil plan`: where every buffer lies, and which schedules there are."""

import argparse
from typing import TYPE_CHECKING

from hil.commands.options import Commands, command, scenario_options, show, written
from hil.errors import UsageError
from hil.numbers import decimal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hil.compiler.plan import Plan, Point
    from hil.compiler.program import Program
    from hil.config.board import Board

_PICTURE_PIXELS = 640
_EXAMPLES = """\
examples:
  hil plan face_m4                     where every buffer lies, step by step
  hil plan face_m4 --pareto            memory against cycles; a scenario picks by `optimise`
  hil plan face_m4 --pareto --svg schedules.svg
  hil plan face_m4 --optimise 100_000  the fastest schedule within so many bytes
  hil plan face_quant --stream         the image comes in row by row
needs no board and no compiler
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "plan",
        _run,
        "show the buffers of a model's schedule over its steps",
        epilog=_EXAMPLES,
    )
    scenario_options(parser)
    parser.add_argument(
        "--optimise",
        type=_aim,
        metavar="AIM",
        help="speed, ram, or the fastest schedule within so many bytes (default: the scenario's)",
    )
    parser.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        help="let the image come in row by row, or not (default: where it does not fit otherwise)",
    )
    parser.add_argument(
        "--pareto",
        action="store_true",
        help="list the schedules that no other beats in memory and cycles",
    )
    parser.add_argument(
        "--svg", type=written, metavar="FILE", help="with --pareto: draw them there as well"
    )


def _aim(text: str) -> str | int:
    if text in {"speed", "ram"}:
        return text
    count = decimal(text.replace("_", "").replace(",", "")) or 0
    if count <= 0:
        raise argparse.ArgumentTypeError(
            f"speed, ram, or a number of bytes is expected, not {text!r}"
        )
    return count


def _run(options: argparse.Namespace) -> int:
    from rich.table import Table

    from hil import files
    from hil.compiler import plan
    from hil.config import board, scenario
    from hil.run.compiled import compile_scenario

    if options.svg is not None and not options.pareto:
        raise UsageError("--svg draws schedules: name --pareto as well")
    chosen = scenario.load(options.scenario).override(
        checkpoint=options.checkpoint, optimise=options.optimise, stream=options.stream
    )
    chip = board.load(options.board)
    compiled = compile_scenario(chosen, chip)
    planned = compiled.plan
    if options.pareto:
        points = plan.pareto(
            compiled.program, plan.Budget.of(compiled.board), streams=chosen.stream
        )
        if options.svg is not None:
            files.replace(options.svg, _drawn(points, chip, chosen.name))
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
    show(buffers)
    for note in notes(planned, compiled.program):
        print(note)
    arena = f"{planned.arena_bytes:,} B in {'SDRAM' if compiled.board.arena_outside else 'SRAM'}"
    print(f"arena {arena}, working memory {planned.ccm_bytes:,} B in CCM")
    return 0


def notes(planned: "Plan", program: "Program") -> "Iterator[str]":
    """Say what of a plan its table does not show.

    Args:
        planned: the plan.
        program: that it is of.
    """
    if planned.streams:
        rows_kept = planned.strips[program.input.name]
        yield (
            f"steps 0 to {planned.choices.streamed - 1} run row by row as the image comes in, of "
            f"which {rows_kept} rows are kept; results go out as they are computed"
        )
    if planned.choices.coded:
        yield (
            "no other schedule fits the flash: weights that go by panels stand there in an entropy "
            f"code, and the image takes {planned.flash_bytes:,} B"
        )


def _drawn(points: "Sequence[Point]", chip: "Board", scenario: str) -> str:
    """Return a picture of schedules: seconds across, memory upwards."""
    from hil.results.report import charts, picture

    dots = [
        charts.Dot(f"{p.cycles / 1e6:.1f} M", p.cycles / chip.clock_hz, p.all_in_bytes, "")
        for p in points
    ]
    return picture.alone(
        charts.pareto(dots, _PICTURE_PIXELS),
        f"Schedules of {scenario}: memory against time",
        f"{chip.name} at {chip.clock_hz / 1e6:g} MHz; labels: cycles, as the cost model has them",
    )


def _pareto(points: "Sequence[Point]", clock_hz: int) -> int:
    print("   memory   all-in, at most    cycles, as the cost model has them")
    for point in points:
        seconds = point.cycles / clock_hz
        memory = f"{point.ram_bytes:9,} B  {point.all_in_bytes:14,} B"
        print(f"{memory}  {point.cycles:11,}  {seconds:.3f} s")
    return 0
