"""The plan of a program: its steps, where its buffers stand, and which of its schedules to take."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import gcd
from typing import Literal, TypeAlias

from hil.compiler.plan_cost import estimate
from hil.compiler.plan_place import Budget, Buffer, Plan, check, flash_need, place
from hil.compiler.plan_schedule import schedule
from hil.compiler.plan_steps import Choices
from hil.compiler.program import Program, RnnPool
from hil.errors import MemoryLimitError

__all__ = ["Aim", "Budget", "Buffer", "Plan", "Point", "make_plan", "pareto", "table"]

Aim: TypeAlias = Literal["speed", "ram"] | int
"""What to plan for: the fewest cycles, the least memory, or the fewest cycles in so many bytes."""


@dataclass(frozen=True, eq=False)
class Point:
    """A plan, and the cycles that the cost model gives it."""

    plan: Plan
    cycles: int

    @property
    def ram_bytes(self) -> int:
        """Arena and working memory together."""
        return self.plan.ram_bytes


def make_plan(program: Program, budget: Budget, aim: Aim = "speed") -> Plan:
    """Schedule a program and place its buffers.

    Args:
        program: the quantised network.
        budget: memory of each region.
        aim: which of the schedules that fit to take.

    Raises:
        MemoryLimitError: none fits; says which region lacks how many bytes for the one that comes
            nearest.
        BuildError: an operator that no kernel computes.
    """
    points = _points(program, budget)
    if aim == "ram":
        return min(points, key=lambda p: (p.ram_bytes, p.cycles)).plan
    cap = aim if isinstance(aim, int) else max(p.ram_bytes for p in points)
    within = [p for p in points if p.ram_bytes <= cap]
    if not within:
        least = min(p.ram_bytes for p in points)
        raise MemoryLimitError(
            f"{program.name} needs {least:,} B of memory at least, {least - cap:,} B more than the "
            f"{cap:,} B asked for",
            stage="plan",
            lacking=least - cap,
        )
    return min(within, key=lambda p: (p.cycles, p.ram_bytes)).plan


def pareto(program: Program, budget: Budget) -> list[Point]:
    """The schedules of which no other takes both fewer cycles and less memory, fastest first."""
    frontier: list[Point] = []
    for point in sorted(_points(program, budget), key=lambda p: (p.cycles, p.ram_bytes)):
        if not frontier or point.ram_bytes < frontier[-1].ram_bytes:
            frontier.append(point)
    return frontier


def table(plan: Plan) -> tuple[list[str], list[list[str]]]:
    """Lay a plan out as buffers over steps.

    Returns:
        The column heads (buffer, region, offset, bytes, then the steps) and one row of cells for
        each buffer, by region and offset; a step's cell is "#" where the buffer is alive.
    """
    heads = ["buffer", "region", "offset", "bytes", *(step.name for step in plan.steps)]
    buffers = sorted(plan.buffers.values(), key=lambda b: (b.region != "sram", b.offset, b.first))
    rows = [
        [
            buffer.name,
            buffer.region,
            f"{buffer.offset:,}",
            f"{buffer.bytes:,}",
            *("#" if buffer.first <= i <= buffer.last else "" for i in range(len(plan.steps))),
        ]
        for buffer in buffers
    ]
    return heads, rows


def _points(program: Program, budget: Budget) -> list[Point]:
    """Every schedule that fits."""
    points: list[Point] = []
    misses: list[MemoryLimitError] = []
    tried = list(_choices(program, budget))
    images = [flash_need(schedule(program, choices), choices, budget) for choices in tried]
    if all(image.lacking for image in images):
        check(program, min(images, key=lambda image: image.lacking))
    for choices in tried:
        try:
            plan = place(program, budget, choices)
        except MemoryLimitError as error:
            misses.append(error)
        else:
            points.append(Point(plan, estimate(plan)))
    if not points:
        raise min(misses, key=lambda miss: miss.lacking)
    return points


def _choices(program: Program, budget: Budget) -> Iterator[Choices]:
    """What to try: every band with the fastest use of CCM, and one row at a time with less CCM."""
    for band, tables in product(_bands(program), (False, True)):
        yield from _ways_of_weights(program, Choices(band, tables), budget.ccm_bytes)
    for eighths, tables in product(range(3, 9), (False, True)):
        ccm_bytes = budget.ccm_bytes * eighths // 8
        yield from _ways_of_weights(program, Choices(1, tables, ccm_bytes=ccm_bytes), ccm_bytes)


def _ways_of_weights(program: Program, choices: Choices, panel_bytes: int) -> Iterator[Choices]:
    """Copied whole, read in flash, and, where some would not fit so much memory, by panels."""
    yield choices
    yield replace(choices, weights_in_flash=True)
    by_panels = replace(choices, panel_bytes=panel_bytes)
    if any(step.panel for step in schedule(program, by_panels)):
        yield by_panels


def _bands(program: Program) -> list[int]:
    common = 0
    for operator in program.operators:
        if isinstance(operator, RnnPool):
            common = gcd(common, operator.patch, operator.stride)
    return [band for band in range(1, max(common, 1) + 1) if max(common, 1) % band == 0]
