"""Which of a program's schedules to take: the fastest, the smallest, or the fastest that fits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product, takewhile
from math import gcd
from typing import Literal, TypeAlias

from hil.compiler.kernels.kernel import Choices
from hil.compiler.plan.budget import Budget, check
from hil.compiler.plan.cost import estimate
from hil.compiler.plan.flash import flash_need
from hil.compiler.plan.place import Plan, place
from hil.compiler.plan.schedule import schedule
from hil.compiler.plan.stack import all_in_bytes
from hil.compiler.plan.stream import can_stream
from hil.compiler.plan.thrift import frugal
from hil.compiler.program import Program
from hil.config.board import Board
from hil.errors import MemoryLimitError, UsageError

_UNBOUNDED = 1 << 30  # bytes
_ALIKE = 1.01  # cycles that the cost model cannot tell apart: then the least memory decides
_ALIGNING = 64  # bytes of a region that nothing but alignment takes
_MOST_DEPTHS = 2  # of streaming, that are looked at closely

Aim: TypeAlias = Literal["speed", "ram"] | int
"""What to plan for: the fewest cycles, the least memory, or the fewest cycles in so many bytes.

Bytes are all-in: the stack and static data count too.
Of schedules that take equally few cycles as far as the cost model can tell, the smallest is taken.
"""


@dataclass(frozen=True, eq=False)
class Point:
    """A plan, and the cycles that the cost model gives it."""

    plan: Plan
    cycles: int

    @property
    def ram_bytes(self) -> int:
        """Arena and working memory together."""
        return self.plan.ram_bytes

    @property
    def all_in_bytes(self) -> int:
        """The most bytes that a plan takes with stack and static data."""
        return all_in_bytes(self.plan)


def make_plan(
    program: Program, budget: Budget, aim: Aim = "speed", *, streams: bool | None = None
) -> Plan:
    """Schedule a program and place its buffers.

    Args:
        program: the quantised network.
        budget: memory of each region.
        aim: which of the schedules that fit to take.
        streams: whether the image comes in row by row while the first steps run; None where it is
            to be in memory if it fits there.

    Raises:
        MemoryLimitError: none fits; says which region lacks how many bytes for the one that comes
            nearest.
        BuildError: an operator that no kernel computes.
    """
    points = _points(program, budget, streams, thrifty=aim != "speed")
    if aim == "ram":
        smallest = min(points, key=lambda p: (p.ram_bytes, p.cycles))
        return _relieved(program, budget, smallest, smallest.ram_bytes)
    cap = aim if isinstance(aim, int) else max(p.all_in_bytes for p in points) + _ALIGNING
    within = [p for p in points if p.all_in_bytes <= cap]
    if not within:
        least = min(p.all_in_bytes for p in points)
        raise MemoryLimitError(
            f"{program.name} needs {least:,} B of memory at least, {least - cap:,} B more than the "
            f"{cap:,} B asked for",
            stage="plan",
            lacking=least - cap,
        )
    fastest = min(p.cycles for p in within)
    alike = [p for p in within if p.cycles <= _ALIKE * fastest]
    point = min(alike, key=lambda p: (p.ram_bytes, p.cycles))
    room = cap - point.all_in_bytes
    return _relieved(program, budget, point, point.ram_bytes + min(room, _ALIGNING))


def _relieved(program: Program, budget: Budget, point: Point, cap: int) -> Plan:
    """Return the plan with a smaller arena, if streamed steps can work in CCM at no cost."""
    choices = replace(point.plan.choices, streams_in_ccm=True)
    if not choices.streamed:
        return point.plan
    try:
        plan = place(program, budget, choices)
    except MemoryLimitError:
        return point.plan
    is_better = plan.ram_bytes <= cap and plan.arena_bytes < point.plan.arena_bytes
    return plan if is_better and estimate(plan) <= point.cycles else point.plan


def plan_on(
    program: Program, board: Board, aim: Aim = "speed", *, streams: bool | None = None
) -> tuple[Plan, Board]:
    """Plan for a board: in its chip's own RAM, else in the memory outside the chip, if it has some.

    Args:
        program: the quantised network.
        board: whose memories and flash hold it.
        aim: what is made small among the plans that fit.
        streams: whether the image comes in row by row; None for that only where nothing else fits.

    Returns:
        the plan, and the board with its activations there.

    Raises:
        MemoryLimitError, BuildError: as `make_plan` does.
    """
    try:
        return make_plan(program, Budget.of(board), aim, streams=streams), board
    except MemoryLimitError as error:
        if board.external is None or board.arena_outside or error.region == "flash":
            raise
    outside = replace(board, arena_outside=True)
    return make_plan(program, Budget.of(outside), aim, streams=streams), outside


def pareto(program: Program, budget: Budget, *, streams: bool | None = None) -> list[Point]:
    """The schedules of which no other takes both fewer cycles and less memory, fastest first.

    Args:
        program: the quantised network.
        budget: bytes of each memory and of flash.
        streams: whether the image comes in row by row; None for that only where nothing else fits.
    """
    frontier: list[Point] = []
    points = _points(program, budget, streams, thrifty=True)
    for point in sorted(points, key=lambda p: (p.cycles, p.ram_bytes)):
        if not frontier or point.ram_bytes < frontier[-1].ram_bytes:
            frontier.append(point)
    return frontier


def _points(
    program: Program, budget: Budget, streams: bool | None, *, thrifty: bool
) -> list[Point]:
    """Every schedule that fits; `thrifty`: with those in which single steps give up cycles."""
    points: list[Point] = []
    failures: list[MemoryLimitError] = []
    if not streams:
        points = _at_depth(program, budget, 0, failures)
        if thrifty or not points:
            points += _placed(program, budget, list(frugal(program, budget)), failures)
    if not points and streams is not False:
        points = _streaming(program, budget, failures)
    if not points and streams:
        _check_streams(program)
    if not points:
        least = min(failures, key=lambda failure: failure.lacking)
        if streams is False:
            _say_whether_streaming_fits(least, program, budget)
        raise least
    return points


def _streaming(program: Program, budget: Budget, failures: list[MemoryLimitError]) -> list[Point]:
    """Return the plans in which the image comes in row by row."""
    points: list[Point] = []
    for depth in _depths(program, budget):
        points += _at_depth(program, budget, depth, failures)
    return points


def _at_depth(
    program: Program, budget: Budget, streamed: int, failures: list[MemoryLimitError]
) -> list[Point]:
    """Return the plans that stream so many steps. Weights are coded if the flash needs it."""
    tried = list(_choices(program, budget, streamed))
    before = len(failures)
    points = _placed(program, budget, tried, failures)
    if points or any(failure.region != "flash" for failure in failures[before:]):
        return points
    coded = [replace(choices, coded=True) for choices in tried if choices.panel_bytes]
    return _placed(program, budget, coded, failures) if coded else []


def _check_streams(program: Program) -> None:
    """Refuse to stream into what takes its image whole. Raises UsageError."""
    first = schedule(program, Choices())[0]
    if not can_stream(first):
        raise UsageError(
            f"{program.name} cannot take its image row by row: its first step, {first.name} "
            f"({first.kernel.name}), reads it whole",
            hint="leave `stream = true` out; convolutions and RNNPool at the front can stream",
        )


def _say_whether_streaming_fits(
    failure: MemoryLimitError, program: Program, budget: Budget
) -> None:
    """Where the image was not to stream, add what it would need if it did."""
    points = _streaming(program, budget, [])
    if points:
        needed = min(point.ram_bytes for point in points)
        failure.hint = (
            f"without `stream = false` the image comes in row by row, and {needed:,} B are enough"
        )


def _placed(
    program: Program, budget: Budget, tried: Sequence[Choices], failures: list[MemoryLimitError]
) -> list[Point]:
    """Return the plans that fit. If none fits the flash, no memory is planned."""
    images = [flash_need(schedule(program, choices), choices, budget) for choices in tried]
    points: list[Point] = []
    if all(image.lacking for image in images):
        try:
            check(program, min(images, key=lambda image: image.lacking))
        except MemoryLimitError as error:
            failures.append(error)
        return points
    for choices in tried:
        try:
            plan = place(program, budget, choices)
        except MemoryLimitError as error:
            failures.append(error)
        else:
            points.append(Point(plan, estimate(plan)))
    return points


def _depths(program: Program, budget: Budget) -> list[int]:
    """How many steps to stream: the depths that take the least memory at first guess."""
    unbounded = replace(budget, sram_bytes=_UNBOUNDED, flash_bytes=_UNBOUNDED)
    steps = takewhile(can_stream, schedule(program, Choices()))
    by_panels = Choices(panel_bytes=budget.ccm_bytes)  # of the steps behind the streamed ones
    guesses = [
        place(program, unbounded, replace(by_panels, streamed=depth), patience=0)
        for depth, _ in enumerate(steps, start=1)
    ]
    guesses.sort(key=lambda plan: plan.ram_bytes)
    return [plan.choices.streamed for plan in guesses[:_MOST_DEPTHS]]


def _choices(program: Program, budget: Budget, streamed: int) -> Iterator[Choices]:
    """What to try: every band with the fastest use of CCM, and one row at a time with less CCM."""
    for band, tables in product(_bands(program), (False, True)):
        choices = Choices(band, tables, streamed=streamed)
        yield from _ways_of_weights(program, choices, budget.ccm_bytes)
    for eighths, tables in product(range(3, 9), (False, True)):
        ccm_bytes = budget.ccm_bytes * eighths // 8
        choices = Choices(1, tables, streamed=streamed, ccm_bytes=ccm_bytes)
        yield from _ways_of_weights(program, choices, ccm_bytes)


def _ways_of_weights(program: Program, choices: Choices, panel_bytes: int) -> Iterator[Choices]:
    """Copied whole, transformed, read in flash, and, where some would not fit, by panels."""
    yield from _with_transforms(program, choices)
    yield from _with_transforms(program, replace(choices, weights_in_flash=True))
    by_panels = replace(choices, panel_bytes=panel_bytes)
    if any(step.panel for step in schedule(program, by_panels)):
        yield from _with_transforms(program, by_panels)


def _with_transforms(program: Program, choices: Choices) -> Iterator[Choices]:
    """Yield the choices, and the same with Winograd's transform if that changes a kernel."""
    yield choices
    transformed = replace(choices, transforms=True)
    kernels = [[step.kernel for step in schedule(program, c)] for c in (choices, transformed)]
    if kernels[0] != kernels[1]:
        yield transformed


def _bands(program: Program) -> list[int]:
    common = 0
    for step in schedule(program, Choices()):
        common = gcd(common, step.kernel.bands(step))
    return [band for band in range(1, max(common, 1) + 1) if max(common, 1) % band == 0]
