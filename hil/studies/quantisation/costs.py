"""What a quantised program costs on a board by the planner, and how it scores on a dataset."""

from dataclasses import dataclass

from hil.compiler import plan
from hil.compiler.front.graph import Graph
from hil.compiler.plan.cost import estimate
from hil.compiler.plan.flash import flash_bytes
from hil.compiler.program import Program
from hil.config.board import Board
from hil.config.scenario import Scenario
from hil.errors import UsageError
from hil.models import LoadedModel
from hil.run.compiled import QuantisedScenario
from hil.run.evaluation.of_scenario import of_scenario
from hil.run.evaluation.scores import Figure
from hil.run.measurement import silent


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

    Args:
        program: the quantised network.
        scenario: which says what to plan for.
        board: whose memory it is.

    Raises:
        MemoryLimitError: no schedule fits the board.
    """
    made, _ = plan.plan_on(program, board, scenario.optimise, streams=scenario.stream)
    return Cost(estimate(made), made.ram_bytes, flash_bytes(made.steps, made.choices))


def on_dataset(program: Program, scenario: Scenario, loaded: LoadedModel, graph: Graph) -> Figure:
    """Weigh a program on the scenario's dataset, by the integer reference.

    Args:
        program: the quantised network.
        scenario: which names the dataset.
        loaded: the float model, which is evaluated beside it.
        graph: the network's operators.

    Raises:
        UsageError: the scenario has no dataset, or one that does not suit it.
    """
    evaluation = of_scenario(QuantisedScenario(scenario, loaded, graph, program), silent)
    if evaluation is None:
        raise UsageError(f"{scenario.name} names no dataset", hint="give --dataset FOLDER")
    return evaluation.scores.main
