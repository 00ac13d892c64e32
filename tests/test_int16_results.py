"""Results of 16 bits: C computes them, the quantiser makes them, a board sends them."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import cortex_m4
import numpy as np
import pytest
import random_programs
import torch
from native import ROOMY, run_program
from random_programs import Builder
from test_end_to_end import measure, open_session, verdicts
from torch import nn

from hil import paths
from hil.compiler import compile_model, reference
from hil.compiler.front.trace import trace
from hil.compiler.kernels.kernel import Choices
from hil.compiler.plan import make_plan, place
from hil.compiler.program import Program, Tensor
from hil.compiler.quantise import wide
from hil.config.scenario import load
from hil.errors import BuildError
from hil.models import LoadedModel
from hil.models.blocks import ConvBNReLU6, FlattenMaps
from hil.models.seeded import calibrate_batch_norm, initialise
from hil.results import maps
from hil.run import closeness
from hil.run.measurement import Measurement
from hil.vision import photographs
from hil.vision.photographs import Float32, InputSpec

SPEC = InputSpec(rows=24, columns=30, channels=3)
SHOWN = photographs.calibration_set()[:4]


class Detecting(nn.Module):
    """A convolution and what stands on its map: two heads, or what cannot be int16."""

    def __init__(self, *last: nn.Module) -> None:
        super().__init__()
        self.stem = ConvBNReLU6(3, 8, stride=2)
        self.conf, self.loc = nn.Conv2d(8, 2, 3), nn.Conv2d(8, 4, 3)
        self.last, self.output = nn.Sequential(*last), FlattenMaps()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        flat: torch.Tensor = self.output(self.last(self.conf(x)), self.loc(x))
        return flat


@cache
def images(count: int = len(SHOWN)) -> tuple[Float32, ...]:
    return tuple(photographs.prepare(name, SPEC) for name in SHOWN[:count])


@cache
def loaded(*last: nn.Module) -> LoadedModel:
    module = Detecting(*last)
    initialise(module, 0)
    batch = torch.from_numpy(np.stack(images())).permute(0, 3, 1, 2).double()
    calibrate_batch_norm(module.double().eval(), batch)
    return LoadedModel("detecting", module, SPEC, "seed 0")


@cache
def quantised(*options: str) -> Program:
    return compile_model(loaded(), images(), options).program


def written(seed: int, *, extremes: bool) -> Program:
    """Heads behind a norm with a max-out, one alone, of one pixel's window, and of odd channels."""
    b = Builder(seed, (13, 18, 8), extremes=extremes)
    normed = b.norm("norm", b.input)
    most = b.maxout("most", b.conv("conf", normed, 4, 3, bits=16), 3)
    heads: list[Tensor] = [most, b.conv("loc", normed, 4, 3, bits=16)]
    between = b.conv("between", b.input, 8, 3, 2, relu=True)
    heads.append(b.conv("alone", between, 6, 3, bits=16, relu=True))
    heads.append(b.conv("pixels", b.conv("more", between, 8, 3), 2, bits=16))
    heads.append(b.conv("odd", b.conv("others", between, 8, 3), 5, 3, bits=16))
    return b.program(*heads)


@pytest.mark.parametrize("extremes", [False, True])
def test_int16_results_equal_the_reference_on_this_machine_and_the_cortex_m4(
    extremes: bool,
) -> None:
    program = written(3, extremes=extremes)
    plan = make_plan(program, ROOMY)
    kinds = [step.kernel.name for step in plan.steps]
    assert (kinds.count("heads_int16"), kinds.count("conv2d_int16")) == (3, 1)
    x = random_programs.image(program)
    wanted = reference.run(program, x)
    assert wanted.dtype == np.int16
    assert np.abs(wanted).max() > 2**10
    assert np.array_equal(run_program(program, x, plan), wanted)
    (on_chip,) = cortex_m4.run_program(program, x, plan=plan)
    assert np.array_equal(on_chip, wanted)


def test_int16_results_go_out_row_by_row() -> None:
    b = Builder(1, (16, 18, 8))
    x = b.norm("norm", b.input)
    program = b.program(
        b.conv("conf", x, 2, 3, bits=16), b.maxout("m", b.conv("loc", x, 4, 3, bits=16), 2)
    )
    plan = place(program, ROOMY, Choices(streamed=1))
    assert plan.streams
    assert plan.output_bytes == program.output.bytes == 2 * program.output.count
    image = random_programs.image(program)
    assert np.array_equal(run_program(program, image, plan), reference.run(program, image))


def test_the_option_makes_results_finer_and_wider() -> None:
    usual, fine = quantised(), quantised("int16")
    for before, after in zip(usual.output.tensors, fine.output.tensors, strict=True):
        assert after.scale < before.scale / 32
        assert after.most * after.scale > 2 * before.most * before.scale - before.scale
    assert (usual.output.bytes, fine.output.bytes) == (fine.output.count, 2 * fine.output.count)
    assert all(op.output.bits == 8 for op in fine.operators if op.output not in fine.output.tensors)


def test_no_value_that_other_photographs_give_is_cut_off_and_noise_is_less() -> None:
    network = loaded()
    near = {}
    for options in ((), ("int16",)):
        program = compile_model(network, images(1), options).program
        pairs = {
            name: closeness.Pair(
                network.run(image),
                program.dequantise_output(reference.run(program, program.quantise_input(image))),
            )
            for name, image in zip(SHOWN, images(), strict=True)
        }
        near[options] = closeness.of(program, pairs)
    assert near["int16",].most_clipped == 0.0
    assert near["int16",].mean_sqnr_db > near[()].mean_sqnr_db


@pytest.mark.parametrize("last", [nn.Softmax(dim=1), nn.Hardswish(), nn.AvgPool2d(2)])
def test_a_result_that_cannot_be_int16_is_named(last: nn.Module) -> None:
    with pytest.raises(BuildError, match=r"last\.0: its map cannot be int16"):
        compile_model(loaded(last), images(), ["int16"])


def test_a_result_that_another_layer_reads_is_named() -> None:
    graph = trace(loaded().module, SPEC.shape)
    reader = replace(graph.nodes[-1], name="reader", inputs=graph.outputs[:1])
    both = replace(graph, nodes=(*graph.nodes, reader))
    with pytest.raises(BuildError, match=r"conf: its map cannot be int16"):
        wide(both)


def test_an_int16_map_is_kept_and_told_from_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "cache", lambda: tmp_path)
    old = np.arange(-300, 300, dtype=np.int16).reshape(10, 10, 6)
    new = old.copy()
    new[2, 3, 4] = 20_000
    before, after = maps.keep(old), maps.keep(new)
    kept = maps.load(before)
    assert kept is not None
    assert np.array_equal(kept, old)
    said = f"1 of 600 differs, first at row 2, column 3, channel 4: 20000, was {old[2, 3, 4]}"
    assert maps.difference(before, after) == said


_NET = """
from torch import nn

def make():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
"""
_SCENARIO = """
model = "net.py:make"
quantise = ["int16"]

[input]
rows = 20
columns = 22
channels = 1
mean = 0.5
std = 0.25
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    folder = tmp_path_factory.mktemp("int16")
    (folder / "net.py").write_text(_NET, encoding="utf-8")
    (folder / "mine.toml").write_text(_SCENARIO, encoding="utf-8")
    session = open_session(folder)
    session.scenarios = [load(str(folder / "mine.toml"))]
    return measure(session, session.prepare(session.scenarios[0]))


def test_a_board_sends_int16_results_that_are_judged_to_the_bit(measured: Measurement) -> None:
    outputs = measured.outputs
    assert outputs.dtype == np.int16
    assert outputs.shape == (2,)
    assert np.array_equal(outputs, measured.prepared.expected)
    assert verdicts(measured) == set()
    (map_name,) = measured.values
    real = measured.prepared.program.dequantise_output(outputs)
    assert measured.values[map_name].ravel() == pytest.approx(real)
