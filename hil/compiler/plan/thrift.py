"""Schedules between the fast ones and the smallest: each step as fast as a cap lets it be.

All of a network's steps use the same memory in turn, so that only the steps that need most decide
how much it is. Those give up cycles, each in the way that costs it least; the others give up
nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from hil.compiler.kernels.cycles import cycles_of
from hil.compiler.kernels.kernel import Choices, Memory, Site, Step
from hil.compiler.kernels.registry import CYCLES
from hil.compiler.plan.budget import Budget
from hil.compiler.plan.place import occupied
from hil.compiler.plan.schedule import schedule
from hil.compiler.program import Program

_WAYS = tuple(
    Choices(
        tables_in_flash=tables == "all",
        summary_table_in_flash=tables == "summary",
        weights_in_flash=weights == "in flash",
        weights_by_row=weights == "by row",
        keeps_summaries=summaries,
        transforms=transforms,
    )
    for tables, weights, summaries, transforms in product(
        ("none", "summary", "all"), ("copied", "by row", "in flash"), (False, True), (False, True)
    )
)
"""In which a step gives up cycles for memory, and all combinations; the first gives up nothing."""


@dataclass(frozen=True)
class _Way:
    """A step as some choices make it: its maps and working memory, and its estimated cycles."""

    choices: Choices
    bytes: int
    cycles: float


def frugal(program: Program, budget: Budget) -> Iterator[Choices]:
    """Yield choices for smaller and smaller caps. In each, every step is as fast as the cap allows.

    Args:
        program: the quantised network; its image is in memory whole.
        budget: whose CCM holds working memory, and whose flash makes a read wait.
    """
    plain = schedule(program, Choices())
    maps = occupied(program, plain)
    every = [_ways(program, way, maps, budget) for way in _WAYS]
    by_step = list(zip(*every, strict=True))
    found: set[tuple[Choices, ...]] = set()
    for cap in sorted({way.bytes for ways in by_step for way in ways}, reverse=True):
        fits = [[way for way in ways if way.bytes <= cap] for ways in by_step]
        if not all(fits):
            return
        taken = [min(ways, key=lambda way: way.cycles) for ways in fits]
        chosen = tuple(way.choices for way in taken)
        if chosen not in found:
            found.add(chosen)
            needed = max(way.bytes for way in taken) - max(maps)
            yield _together(plain, chosen, min(max(needed, 0), budget.ccm_bytes))


def _ways(program: Program, choices: Choices, maps: Sequence[int], budget: Budget) -> list[_Way]:
    """Every step as some choices make it."""
    steps = schedule(program, choices)
    return [
        _Way(
            choices,
            held + sum(scratch.bytes for scratch in step.scratch),
            cycles_of(step.kernel.work(_alone(step, choices, budget)), CYCLES),
        )
        for step, held in zip(steps, maps, strict=True)
    ]


def _alone(step: Step, choices: Choices, budget: Budget) -> Site:
    """A step whose working memory all has room in CCM."""
    memory = {scratch.name: Memory("ccm", 0) for scratch in step.scratch}
    return Site(step, choices, {}, memory, False, budget.flash_wait_states)


def _together(steps: Sequence[Step], chosen: Sequence[Choices], ccm_bytes: int) -> Choices:
    """One schedule's choices, those of steps that differ from the fast ones apart."""
    fast = Choices(ccm_bytes=ccm_bytes)
    apart = tuple(
        (step.name, replace(how, ccm_bytes=ccm_bytes))
        for step, how in zip(steps, chosen, strict=True)
        if how != Choices()
    )
    return replace(fast, apart=apart)
