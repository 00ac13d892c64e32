"""A program made without calibration has the plan of the one that the board gets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native import ROOMY
from torch import nn

from hil import models
from hil.compiler import compile_model, operators, synthetic
from hil.compiler.code.thumb import text_bytes
from hil.compiler.front.trace import trace
from hil.compiler.kernels.kernel import Choices, Step
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.operators.fastgrnn import Cell
from hil.compiler.operators.rnnpool import RNNPool as RNNPoolOperator
from hil.compiler.plan import Budget, Plan, make_plan
from hil.compiler.program import Program
from hil.compiler.synthetic import synthetic_program
from hil.config import board, scenario
from hil.models.blocks import ConvBNReLU6, FlattenMaps, L2Norm, MBConv
from hil.models.pooling import Classifier, GlobalAverage
from hil.models.renet import ReNet
from hil.models.rnnpool import RNNPool
from hil.models.seeded import initialise
from hil.vision import photographs
from hil.vision.photographs import InputSpec


def planned(plan: Plan) -> tuple[object, object, object, tuple[int, int, int, bool]]:
    """What a plan is: its steps, where every buffer lies, and how large everything is."""
    steps = [(step.kernel.name, [op.name for op in step.operators]) for step in plan.steps]
    sizes = (plan.arena_bytes, plan.ccm_bytes, plan.flash_bytes, plan.streams)
    return steps, plan.offsets, plan.choices, sizes


@pytest.mark.parametrize("name", ["face_m4", "vww_renet", "densenet_small"])
def test_a_scenario_has_the_plan_of_its_calibrated_program(name: str) -> None:
    run = scenario.load(name)
    loaded = models.load(run.model, seed=run.seed, **run.variant)
    images = [photographs.prepare(n, loaded.spec) for n in photographs.calibration_set()[:1]]
    made_up = synthetic_program(models.structure(run.model, **run.variant), run.seed)
    plans = [
        make_plan(program, Budget.of(board.load("stm32f439")), run.optimise, streams=run.stream)
        for program in (compile_model(loaded, images).program, made_up)
    ]
    assert planned(plans[0]) == planned(plans[1])


def sizeless(plan: Plan) -> tuple[object, ...]:
    """What a plan is but for the flash that it takes."""
    steps, offsets, choices, (arena_bytes, ccm_bytes, _, streams) = planned(plan)
    return steps, offsets, choices, arena_bytes, ccm_bytes, streams


SHAPE = (24, 28, 4)


@st.composite
def networks(draw: st.DrawFn) -> models.LoadedModel:
    """Two or three layers of any kind, on a map of 4 channels."""
    layers: list[nn.Module] = []
    channels = SHAPE[2]
    for _ in range(draw(st.integers(1, 3))):
        made = draw(
            st.sampled_from(
                [
                    (ConvBNReLU6(channels, 8, stride=2), 8),
                    (nn.Conv2d(channels, 6, 3, padding=1), 6),
                    (MBConv(channels, channels, expansion=2), channels),
                    (nn.AvgPool2d(2), channels),
                    (nn.MaxPool2d(2), channels),
                    (L2Norm(channels, scale=10.0), channels),
                    (nn.BatchNorm2d(channels), channels),
                ]
            )
        )
        layers.append(made[0])
        channels = made[1]
    last = draw(st.sampled_from(["none", "rnnpool", "renet", "classifier"]))
    if last == "rnnpool":
        layers.append(RNNPool(channels, (4, 4), patch=3, stride=2))
    elif last == "renet":
        layers.append(ReNet(channels, 4, patch=1))
    elif last == "classifier":
        layers += [GlobalAverage(), Classifier(channels, 3)]
    module = nn.Sequential(*layers, FlattenMaps()).eval()
    spec = InputSpec(rows=SHAPE[0], columns=SHAPE[1], channels=SHAPE[2])
    return models.LoadedModel("drawn", module, spec, "seed 0")


@given(networks())
@settings(deadline=None, max_examples=12)
def test_a_drawn_network_has_the_plan_of_its_calibrated_program(
    drawn: models.LoadedModel,
) -> None:
    made_up = synthetic_program(drawn)
    initialise(drawn.module, 0)
    images = [np.random.default_rng(1).normal(0, 40, SHAPE).astype(np.float32)]
    calibrated = compile_model(drawn, images).program
    assert layout(made_up) == layout(calibrated)
    plans = [make_plan(program, ROOMY) for program in (made_up, calibrated)]
    assert sizeless(plans[0]) == sizeless(plans[1])
    in_steps = [[step_flash(step, plan.choices) for step in plan.steps] for plan in plans]
    for steps, flash in zip(
        zip(*(plan.steps for plan in plans), strict=True), zip(*in_steps, strict=True), strict=True
    ):
        assert abs(flash[0] - flash[1]) <= may_differ(*steps), steps[0].name
    assert len({p.flash_bytes - sum(own) for p, own in zip(plans, in_steps, strict=True)}) == 1


def step_flash(step: Step, choices: Choices) -> int:
    """Bytes of a step's constants and Cortex-M4 code."""
    code = step.kernel.assembly("step", step.operators, step.panel)
    return step.kernel.constant_bytes(step, choices) + text_bytes(code)


def may_differ(made_up: Step, calibrated: Step) -> int:
    """By how many bytes a step's flash hangs on what nobody knows before calibration.

    A convolution's weights are shifted where its range asks for it, and take two bytes then. A
    sparse cell's weight that rounds to zero has no code.
    """
    most = 0
    for one, other in zip(made_up.operators, calibrated.operators, strict=True):
        if isinstance(one, Conv2D) and isinstance(other, Conv2D):
            most += one.weight.size if bool(one.shift) != bool(other.shift) else 0
        elif isinstance(one, RNNPoolOperator) and isinstance(other, RNNPoolOperator):
            cells = ((one.row, other.row), (one.summary, other.summary))
            most += _WEIGHT_CODE_BYTES * sum(lost(*pair) for pair in cells)
    return most


_WEIGHT_CODE_BYTES = 24  # four sequences' multiply-accumulates, a load, half a word in the stream


def lost(one: Cell, other: Cell) -> int:
    """Count the weights of which one is zero."""
    return sum(int(((a == 0) != (b == 0)).sum()) for a, b in ((one.w, other.w), (one.u, other.u)))


def test_a_range_before_a_pooling_is_the_range_behind_it() -> None:
    """A maximum has its input's scale: made-up values of another would leave a GRU's 32 bits."""
    spec = InputSpec(rows=SHAPE[0], columns=SHAPE[1], channels=SHAPE[2])
    layers = (nn.Conv2d(4, 6, 3, padding=1), nn.MaxPool2d(2), ReNet(6, 4, patch=1), FlattenMaps())
    drawn = models.LoadedModel(
        "pooled",
        nn.Sequential(*layers).eval(),
        spec,
        "seed 0",
    )
    assert layout(synthetic_program(drawn))[1][0] == "Pool2D"


def layout(program: Program) -> list[tuple[str, str, tuple[int, int, int]]]:
    return [(type(op).__name__, op.name, op.output.shape) for op in program.operators]


def test_made_up_maps_are_large_enough_for_every_patch() -> None:
    pool = RNNPool(1, (2, 2), patch=40, stride=4)
    graph = trace(nn.Sequential(pool, FlattenMaps()).eval(), (48, 44, 1))
    maps = synthetic.activations(graph, (0.0, 1.0))
    assert maps["input"].shape == (1, 40, 40, 1)
    (node,) = graph.nodes
    assert operators.of(node).least_side(node) == 40
