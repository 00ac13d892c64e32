"""A scenario's network, quantised and scheduled, and what it must answer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.config.board import Board
from hil.config.scenario import Scenario
from hil.run import calibration, closeness, named, room

if TYPE_CHECKING:
    from hil.compiler.front.graph import Graph
    from hil.compiler.plan import Plan
    from hil.compiler.program import Float32, Int8, Program, Quantised
    from hil.models import LoadedModel
    from hil.run.closeness import Closeness
    from hil.vision.photographs import Rgb8


@dataclass(frozen=True)
class QuantisedScenario:
    """A scenario's model as float and as integers; for no board yet.

    Attributes:
        graph: the float network that the program was made from.
    """

    scenario: Scenario
    loaded: "LoadedModel"
    graph: "Graph"
    program: "Program"


@dataclass(frozen=True)
class CompiledScenario(QuantisedScenario):
    """A scenario's model, quantised and scheduled for a board; no firmware yet."""

    board: Board
    plan: "Plan"


def quantise_scenario(scenario: Scenario, board: Board) -> QuantisedScenario:
    """Load, calibrate and quantise a scenario's model.

    Args:
        scenario: the model and what it is calibrated on.
        board: that must have room for what `quantise = "auto"` takes.

    Raises:
        UsageError: unknown model, or a checkpoint that cannot be read.
    """
    from hil.compiler import compile_model
    from hil.run import network
    from hil.vision import photographs

    loaded = network.load(scenario)
    images = [photographs.prepare(name, loaded.spec) for name in calibration.names(scenario)]
    compiled = compile_model(loaded, images, scenario.quantise, room.of(scenario, board))
    named.check(scenario, compiled.program)
    return QuantisedScenario(scenario, loaded, compiled.graph, compiled.program)


def compile_scenario(scenario: Scenario, board: Board) -> CompiledScenario:
    """Load, calibrate, quantise and schedule a scenario's model.

    Args:
        scenario: the model, its input and its limits.
        board: whose memory it is planned for.

    Raises:
        UsageError: unknown model, or a checkpoint that cannot be read.
        MemoryLimitError: no schedule fits the board; the error names the region and the bytes.
    """
    from hil.compiler import plan

    quantised = quantise_scenario(scenario, board)
    schedule, board = plan.plan_on(
        quantised.program, board, scenario.optimise, streams=scenario.stream
    )
    return CompiledScenario(**vars(quantised), board=board, plan=schedule)


def compare_outputs(
    compiled: QuantisedScenario, of_input: "tuple[Int8, Quantised, Float32]"
) -> "Closeness":
    """Compare integers and float on the scenario's photograph and on those that all are held to.

    Args:
        compiled: the network, in float and in integers.
        of_input: the answers on the scenario's own photograph, as `answers` gives them.
    """
    from hil.vision import photographs

    scenario = compiled.scenario
    answered = {scenario.input: of_input}
    for name in photographs.comparison_set():
        if name not in answered:
            answered[name] = answers(compiled, photographs.read(name))
    dequantise = compiled.program.dequantise_output
    return closeness.of(
        compiled.program,
        {
            name: closeness.Pair(real, dequantise(expected))
            for name, (_, expected, real) in answered.items()
        },
    )


def answers(compiled: QuantisedScenario, photograph: "Rgb8") -> "tuple[Int8, Quantised, Float32]":
    """Compute what the integer reference and the float model say of a photograph.

    Args:
        compiled: the network.
        photograph: uint8, (rows, columns, 3).

    Returns:
        The quantised image, the reference's outputs, (count,), and the float ones, (count,).
    """
    from hil.compiler import reference
    from hil.vision import photographs

    pixels = photographs.preprocess(photograph, compiled.loaded.spec)
    quantised = compiled.program.quantise_input(pixels)
    return quantised, reference.run(compiled.program, quantised), compiled.loaded.run(pixels)
