"""What a quantised program costs on a board, before anything is measured: the planner's figures."""

from dataclasses import dataclass

from hil.compiler import plan
from hil.compiler.plan.cost import estimate
from hil.compiler.plan.flash import flash_bytes
from hil.compiler.program import Program
from hil.config.board import Board
from hil.config.scenario import Scenario


@dataclass(frozen=True)
class Cost:
    """A program's schedule on a board.

    Attributes:
        cycles: as the cost model has them.
        ram_bytes: arena and working memory.
        flash_bytes: as estimated, code included.
    """

    cycles: int
    ram_bytes: int
    flash_bytes: int


def on_board(program: Program, scenario: Scenario, board: Board) -> Cost:
    """Plan a program as the scenario asks.

    Raises:
        MemoryLimitError: no schedule fits the board.
    """
    made = plan.make_plan(
        program, plan.Budget.of(board), scenario.optimise, streams=scenario.stream
    )
    return Cost(estimate(made), made.ram_bytes, flash_bytes(made.steps, made.choices))
