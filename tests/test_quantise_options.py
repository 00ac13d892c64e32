"""The quantiser's options: what each changes, that auto takes what helps, that C computes it."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from native import run_program
from PIL import Image
from torch import nn

from hil import models
from hil.compiler import auto, compile_model, plan, quality, reference
from hil.compiler.front.graph import Graph
from hil.compiler.front.trace import trace
from hil.compiler.integers.recipe import AUTO, FREE, OPTIONS, TRIED, with_options
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.operators.kind import INPUT, Float64
from hil.compiler.plan import cost
from hil.compiler.program import Program
from hil.compiler.quantise import levels_of, quantise_on
from hil.compiler.sensitivity import felt
from hil.compiler.synthetic import synthetic_program
from hil.config import board, scenario
from hil.errors import MemoryLimitError, UsageError
from hil.models.blocks import ConvBNReLU6, FlattenMaps, MBConv
from hil.models.rnnpool import RNNPool
from hil.models.seeded import calibrate_batch_norm, initialise
from hil.run import room
from hil.run.evaluation.scores import Figure
from hil.studies.quantisation import choices as quantisation
from hil.studies.quantisation import costs
from hil.studies.quantisation import table as quantisation_table
from hil.vision import photographs
from hil.vision.photographs import Float32, InputSpec

SPEC = InputSpec(rows=40, columns=48, channels=3)
SHOWN = photographs.calibration_set()[:6]


class Coloured(nn.Module):
    """Convolutions, an RNNPool and a block with a residual, on a photograph in colour."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBNReLU6(3, 8, stride=2)
        self.pool = RNNPool(8, (4, 4), patch=4, stride=2)
        self.block = MBConv(16, 16, expansion=3)
        self.narrow = MBConv(16, 8, expansion=2)
        self.head = nn.Conv2d(8, 6, 3)
        self.output = FlattenMaps()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.narrow(self.block(self.pool(self.stem(x))))
        flat: torch.Tensor = self.output(self.head(x))
        return flat


def images(names: list[str]) -> list[Float32]:
    return [photographs.prepare(name, SPEC) for name in names]


@cache
def loaded() -> models.LoadedModel:
    module = Coloured().eval()
    initialise(module, 0)
    with torch.no_grad():
        module.narrow.expand.norm.weight[::2] *= 0.05  # type: ignore[union-attr]  # unlike channels
    batch = torch.from_numpy(np.stack(images(photographs.calibration_set()[:4])))
    calibrate_batch_norm(module, batch.permute(0, 3, 1, 2))
    return models.LoadedModel("coloured", module, SPEC, "seed 0")


@cache
def seen() -> tuple[Graph, dict[str, Float64]]:
    graph = trace(loaded().module, SPEC.shape)
    return graph, graph.activations(images(SHOWN))


@cache
def program(*options: str) -> Program:
    graph, activations = seen()
    return quantise_on(
        graph,
        activations,
        name="coloured",
        input_range=SPEC.range,
        recipe=with_options(options),
        levels=levels_of(SPEC),
    )


def noise(made: Program, layer: str, *, border: int = 0) -> float:
    """Power of the difference of a map, on calibration, but for rows and columns at its border."""
    _, activations = seen()
    total = 0.0
    for image, real in zip(activations[INPUT], activations[layer], strict=True):
        maps = reference.maps(made, made.input.quantise(image))
        tensor = next(op.output for op in made.operators if op.output.name == layer)
        apart = tensor.dequantise(maps[layer]) - real
        total += float(np.square(apart[border:, border:]).sum())
    return total


def mean_error(made: Program, layer: str) -> float:
    """The greatest mean difference of a channel, on calibration."""
    _, activations = seen()
    tensor = next(op.output for op in made.operators if op.output.name == layer)
    apart = [
        tensor.dequantise(reference.maps(made, made.input.quantise(image))[layer]) - real
        for image, real in zip(activations[INPUT], activations[layer], strict=True)
    ]
    return float(np.abs(np.mean(apart, axis=(0, 1, 2))).max())


@pytest.mark.parametrize("options", [("equalise", "input"), ("tables128",), tuple(OPTIONS)])
def test_the_kernels_compute_what_the_reference_does(options: tuple[str, ...]) -> None:
    made = program(*options)
    x = made.quantise_input(photographs.prepare("astronaut", SPEC))
    assert np.array_equal(run_program(made, x), reference.run(made, x))


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "weights7"])
def test_an_option_changes_the_program_and_stands_in_its_notes(name: str) -> None:
    made = program(name)
    for key, value in OPTIONS[name].items():
        assert made.notes[key] == str(value)
    x = photographs.prepare("astronaut", SPEC)
    plain, changed = (reference.run(p, p.quantise_input(x)) for p in (program(), made))
    assert not np.array_equal(plain, changed)


def wide() -> models.LoadedModel:
    module = nn.Sequential(
        nn.Conv2d(3, 250, 8, stride=8),  # of 48,000 weights, but no 1x1
        nn.Conv2d(250, 200, 1),  # of 50,000
        nn.Conv2d(200, 8, 1),
        FlattenMaps(),
    ).eval()
    initialise(module, 0)
    return models.LoadedModel("wide", module, SPEC, "seed 0")


def greatest(made: Program) -> list[int]:
    return [int(np.abs(op.weight).max()) for op in made.operators if isinstance(op, Conv2D)]


@pytest.mark.parametrize("rounding", [(), ("learned",)])
def test_wide_convolutions_have_weights_of_seven_bits_where_asked(
    rounding: tuple[str, ...],
) -> None:
    made = compile_model(wide(), images(SHOWN), ["weights7", *rounding]).program
    assert greatest(made) == [127, 63, 127]


def test_what_is_planned_without_calibration_heeds_options_too() -> None:
    assert greatest(synthetic_program(wide(), options=["bias", "weights7"])) == [127, 63, 127]
    assert greatest(synthetic_program(wide(), options=["bias"])) == [127, 127, 127]


def test_an_unknown_option_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="equalize") as refusal:
        with_options(["equalize"])
    assert "equalise" in str(refusal.value)


def test_bytes_of_an_exact_input_are_the_levels_and_lose_nothing() -> None:
    image = photographs.prepare("coffee", SPEC)
    exact, rounded = program("input"), program()
    q = exact.quantise_input(image)
    levels = image + np.array(SPEC.mean)
    assert np.array_equal(q, levels - 128)
    assert np.allclose(exact.input.dequantise(q), image)
    assert np.abs(rounded.input.dequantise(rounded.quantise_input(image)) - image).max() > 0.4
    # At the border the padding is a level, a few off 0 in each channel.
    assert noise(exact, "stem", border=1) < noise(rounded, "stem", border=1)


def test_deviations_of_an_exact_input_are_factors() -> None:
    spec = InputSpec(8, 8, 3, mean=(100.0, 110.5, 120.0), deviation=(50.0, 60.0, 55.0))
    levels = levels_of(spec)
    assert levels is not None
    tensor = levels.tensor("input", spec.shape)
    rgb = np.random.default_rng(0).integers(0, 256, spec.shape).astype(np.float64)
    image = spec.normalise(rgb)
    assert np.array_equal(tensor.quantise(image), rgb - 128)
    assert max(tensor.factor) == 1.0


def test_grey_levels_are_exact_as_they_are() -> None:
    assert levels_of(InputSpec(8, 8, 1)) is None


def test_equalised_channels_have_factors_that_the_next_layer_takes_in() -> None:
    made = program("equalise")
    factors = {op.output.name: op.output.factor for op in made.operators if op.output.factor}
    assert {"stem", "narrow.expand", "narrow.depthwise"} <= set(factors)
    assert "block.project" not in factors, "a residual is added to it"
    assert "head" not in factors, "it is the result"
    assert all(0 < factor <= 1 for by_channel in factors.values() for factor in by_channel)
    assert min(factors["narrow.expand"]) < 0.5
    for name in ("narrow.expand", "narrow.depthwise"):
        assert noise(made, name) < noise(program(), name)


def test_corrected_biases_take_the_mean_error_off() -> None:
    for layer in ("narrow.project", "head"):
        assert mean_error(program("bias"), layer) < mean_error(program(), layer)


def test_learned_weights_are_closer_on_what_they_were_learned_on() -> None:
    for layer in ("block.expand", "narrow.project", "head"):
        assert noise(program("learned"), layer) < noise(program(), layer)


def test_the_task_feels_what_the_outputs_depend_on() -> None:
    graph, activations = seen()
    found = felt(graph, activations[INPUT][:2])
    assert {name: f.shape for name, f in found.items()} == {
        node.name: activations[node.name][:2].shape for node in graph.nodes
    }
    assert all((f > 0).all() for f in found.values())
    # A result is felt alike everywhere; of a map before, what the head's windows meet more often.
    assert np.ptp(found["head"][0]) < 1e-9
    before = found["narrow.project"].mean(axis=(0, 3))
    assert before[3:-3, 3:-3].mean() > 1.5 * before[0].mean()


def test_auto_takes_options_that_help_on_photographs_that_were_not_learned() -> None:
    graph, activations = seen()
    recipe, tried = auto.choose(
        graph,
        {name: values[:4] for name, values in activations.items()},
        name="m",
        input_range=SPEC.range,
        levels=levels_of(SPEC),
        room=lambda _, dearer: "too dear" if dearer.notes["index_bits"] == "9" else "",
    )
    assert [one.options[-1:] for one in tried] == [(), *((name,) for name in TRIED)]
    best = tried[0].sqnr_db
    for one in tried[1:]:
        assert best is not None
        assert one.sqnr_db is not None
        better = one.sqnr_db >= best + auto.LEAST_GAIN_DB
        dear = better and one.options[-1] == "tables512"
        assert (one.kept, one.why) == (better and not dear, "too dear" if dear else "")
        best = one.sqnr_db if one.kept else best
    kept = next(one.options for one in reversed(tried) if one.kept)
    assert recipe == with_options(kept)
    assert "int16" in kept, "it helps at least"
    assert tried[-1].why, "the tables of 512 entries do too, but are too dear"


def test_auto_keeps_no_option_that_costs_something_where_nobody_knows_the_room() -> None:
    graph, activations = seen()
    _, tried = auto.choose(
        graph, activations, name="m", input_range=SPEC.range, options=["whole", "int16"]
    )
    assert [one.options for one in tried] == [(), ("whole",)]


def test_auto_says_why_an_option_is_none_for_the_network() -> None:
    graph, activations = seen()
    read = replace(graph, outputs=("narrow.project",))
    recipe, tried = auto.choose(
        read,
        activations,
        name="m",
        input_range=SPEC.range,
        options=["int16"],
        room=lambda *_: "",
    )
    assert recipe == with_options([])
    assert tried[-1].sqnr_db is None
    assert tried[-1].why == "narrow.project: its map cannot be int16"


def test_the_planner_has_room_for_small_int16_results() -> None:
    why = room.of(scenario.load("face_m4"), board.load("stm32f439"))
    assert why(program(), program("int16")) == ""


@pytest.mark.parametrize(
    ("cycles", "ram", "flash", "why"),
    [
        (1_030, 5_096, 6_096, ""),
        (1_031, 0, 0, "3.1 % more cycles"),
        (0, 5_097, 0, "4,097 B more memory"),
        (0, 0, 6_097, "4,097 B more flash"),
        (None, 0, 0, "it needs 9 B more"),
    ],
)
def test_a_board_has_room_for_so_many_cycles_and_bytes(
    monkeypatch: pytest.MonkeyPatch, cycles: int | None, ram: int, flash: int, why: str
) -> None:
    def planned(made: Program, *_: object, **__: object) -> tuple[SimpleNamespace, None]:
        if made is program():
            return SimpleNamespace(cycles=1_000, ram_bytes=1_000, flash_bytes=2_000), None
        if cycles is None:
            raise MemoryLimitError("it needs 9 B more", stage="plan", lacking=9)
        return SimpleNamespace(cycles=cycles, ram_bytes=ram, flash_bytes=flash), None

    monkeypatch.setattr(plan, "plan_on", planned)
    monkeypatch.setattr(cost, "estimate", lambda made: made.cycles)
    ask = room.of(scenario.load("face_m4"), board.load("stm32f439"))
    assert ask(program(), program("int16")) == why


def test_a_model_is_compiled_as_auto_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "choose", lambda *_, **__: (with_options(["input"]), ()))
    compiled = compile_model(loaded(), images(SHOWN), [AUTO])
    assert compiled.program.notes["exact_input"] == "True"


def test_free_options_cost_neither_cycles_nor_bytes() -> None:
    chip, chosen = board.load("stm32f439"), scenario.load("face_m4")
    plain, free, coarse, fine = (
        costs.on_board(made, chosen, chip)
        for made in (program(), program(*FREE), program("tables128"), program("tables512"))
    )
    assert free == plain
    assert coarse.flash_bytes < plain.flash_bytes < fine.flash_bytes


def test_a_report_says_which_variant_is_none_for_the_network() -> None:
    module = nn.Sequential(nn.Conv2d(3, 2, 8, stride=8), nn.AvgPool2d((5, 6)), FlattenMaps()).eval()
    network = models.LoadedModel("two", module, SPEC, "its own")
    variants = [one for one in quantisation.optional(network) if one.name in {"bias", "int16"}]
    report = quantisation.run(network, variants, ["astronaut"], calibration=SHOWN[:1])
    assert [one.variant.name for one in report.outcomes] == ["as is", "bias"]
    assert report.impossible == {"int16": "1: its map cannot be int16"}


def test_a_report_has_the_options_with_their_gain_and_cost() -> None:
    chip, chosen = board.load("stm32f439"), scenario.load("face_m4")
    variants = [one for one in quantisation.optional(loaded()) if one.name in {"input", "bias"}]
    report = quantisation.run(
        loaded(),
        variants,
        ["astronaut"],
        options=["equalise"],
        calibration=SHOWN,
        cost=lambda made: costs.on_board(made, chosen, chip),
    )
    as_is, *others = report.outcomes
    assert [one.variant.name for one in others] == ["input", "bias"]
    assert as_is.cost is not None
    assert as_is.quality == quality.measure(
        compile_model(loaded(), images(SHOWN), ["equalise"]),
        {"astronaut": photographs.prepare("astronaut", SPEC)},
    )
    assert quantisation_table.choices(report).row_count == 3


def test_a_report_says_what_is_lost_on_a_dataset() -> None:
    lost = {"as is": 0.02, "bias": 0.01}
    asked = iter(lost.values())
    report = quantisation.run(
        loaded(),
        [one for one in quantisation.optional(loaded()) if one.name == "bias"],
        ["astronaut"],
        calibration=SHOWN,
        score=lambda _graph, _program: Figure("mAP", 0.5, 0.5 - next(asked), 0.005),
    )
    cells = list(quantisation_table.choices(report).columns[-1].cells)
    assert cells == ["2.00 ± 0.50", "1.00 ± 0.50"]


def test_a_program_is_evaluated_on_the_scenarios_dataset(tmp_path: Path) -> None:
    for label in ("no", "yes"):
        for name in ("coffee", "moon"):
            path = tmp_path / label / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(photographs.read(name)[:64, :64]).save(path)
    chosen = replace(scenario.load("face_m4"), dataset=tmp_path)
    module = nn.Sequential(nn.Conv2d(3, 2, 8, stride=8), nn.AvgPool2d((5, 6)), FlattenMaps()).eval()
    network = models.LoadedModel("two", module, SPEC, "its own")
    compiled = compile_model(network, images(SHOWN))
    figure = costs.on_dataset(compiled.program, chosen, network, compiled.graph)
    assert figure.name == "accuracy"
    assert figure.of_float == 0.5  # a photograph stands in both classes
    with pytest.raises(UsageError, match="names no dataset"):
        costs.on_dataset(compiled.program, replace(chosen, dataset=None), network, compiled.graph)


def test_a_scenario_asks_for_options(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('model = "face_m4"\nquantise = ["equalise", "bias"]\n')
    assert scenario.load(str(path)).quantise == ["equalise", "bias"]
    path.write_text('model = "face_m4"\nquantise = "auto"\n')
    assert scenario.load(str(path)).quantise == ["auto"]
    assert scenario.load("face_m4").quantise == []


def test_a_multiplier_follows_the_factor_of_its_channel() -> None:
    made, plain = program("equalise"), program()
    for name in ("narrow.expand",):
        with_factors, without = (
            next(op for op in p.operators if op.name == name) for p in (made, plain)
        )
        assert isinstance(with_factors, Conv2D)
        assert isinstance(without, Conv2D)
        factor = np.array(with_factors.output.factor)
        shift = 2.0 ** (with_factors.shift - without.shift)
        ratio = with_factors.multiplier * shift / without.multiplier
        scales = without.output.scale / with_factors.output.scale
        inputs = with_factors.inputs[0].scale / without.inputs[0].scale
        assert np.allclose(ratio * factor / scales / inputs, 1.0, rtol=0.02)
