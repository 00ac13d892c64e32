"""A program made without calibration has the plan of the one that the board gets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native import ROOMY
from torch import nn

from hil import models
from hil.compiler import compile_model, operators, synthetic
from hil.compiler.front.trace import trace
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
    # Some code is shorter where values cannot saturate, which hangs on their ranges.
    flash = [make_plan(program, ROOMY).flash_bytes for program in (made_up, calibrated)]
    assert flash[0] == pytest.approx(flash[1], rel=0.05)
    assert sizeless(make_plan(made_up, ROOMY)) == sizeless(make_plan(calibrated, ROOMY))


def layout(program: Program) -> list[tuple[str, str, tuple[int, int, int]]]:
    return [(type(op).__name__, op.name, op.output.shape) for op in program.operators]


def test_made_up_maps_are_large_enough_for_every_patch() -> None:
    pool = RNNPool(1, (2, 2), patch=40, stride=4)
    graph = trace(nn.Sequential(pool, FlattenMaps()).eval(), (48, 44, 1))
    maps = synthetic.activations(graph, (0.0, 1.0))
    assert maps["input"].shape == (1, 40, 40, 1)
    (node,) = graph.nodes
    assert operators.of(node).least_side(node) == 40
