"""Whether a board has room for what a quantiser's option costs."""

from typing import TYPE_CHECKING

from hil.config.board import Board
from hil.config.scenario import Scenario
from hil.errors import MemoryLimitError

if TYPE_CHECKING:
    from hil.compiler.auto import Room
    from hil.compiler.program import Program

MOST_CYCLES = 1.03
"""Times those of the network without options."""

MOST_BYTES = 4096
"""Of memory, and of flash, more than it."""


def of(scenario: Scenario, board: Board) -> "Room":
    """Ask the planner, as the scenario plans.

    Args:
        scenario: the aim of its schedules, and whether they stream.
        board: whose memory it is.

    Returns:
        What says why a program costs too much beside another.
    """

    def cost(program: "Program") -> tuple[int, int, int]:
        from hil.compiler import plan
        from hil.compiler.plan.cost import estimate

        made, _ = plan.plan_on(program, board, scenario.optimise, streams=scenario.stream)
        return estimate(made), made.ram_bytes, made.flash_bytes

    def why(usual: "Program", dearer: "Program") -> str:
        before = cost(usual)
        try:
            cycles, ram, flash = cost(dearer)
        except MemoryLimitError as error:
            return error.what
        if cycles > MOST_CYCLES * before[0]:
            return f"{100 * (cycles / before[0] - 1):.1f} % more cycles"
        for bytes_, was, of_what in ((ram, before[1], "memory"), (flash, before[2], "flash")):
            if bytes_ > was + MOST_BYTES:
                return f"{bytes_ - was:,} B more {of_what}"
        return ""

    return why
