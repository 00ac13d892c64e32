"""What was chosen for a network, and what each choice buys."""

import csv
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hil import models
from hil.compiler import compile_model, quality
from hil.compiler.front.graph import Graph
from hil.compiler.front.trace import trace
from hil.compiler.integers.recipe import Recipe
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.operators.kind import Float64
from hil.compiler.operators.rnnpool import RNNPool
from hil.compiler.program import Program
from hil.compiler.quantise import quantise_on
from hil.models import rnnpool
from hil.models.blocks import ConvBNReLU6, FlattenMaps
from hil.models.seeded import calibrate_batch_norm, initialise
from hil.models.threads import one_thread
from hil.studies.quantisation import choices as quantisation
from hil.studies.quantisation import table as quantisation_table
from hil.studies.quantisation.choices import AS_IS, UNDONE, Report
from hil.vision import photographs
from hil.vision.photographs import InputSpec

SPEC = InputSpec(rows=72, columns=96, channels=1)
PHOTOGRAPHS = ("astronaut", "coffee")


class Small(nn.Module):
    """A convolution, rnnpool.RNNPool or not, a convolution with outputs of unlike sizes."""

    def __init__(self, *, cells: bool) -> None:
        super().__init__()
        self.stem = ConvBNReLU6(1, 8, stride=2)
        self.pool = rnnpool.RNNPool(8, (4, 4), patch=4, stride=2) if cells else nn.AvgPool2d(2)
        self.head = nn.Conv2d(16 if cells else 8, 6, 3)
        self.output = FlattenMaps()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat: torch.Tensor = self.output(self.head(self.pool(self.stem(x))))
        return flat


def load(*, cells: bool = True) -> models.LoadedModel:
    module = Small(cells=cells).eval()
    initialise(module, 0)
    generator = np.random.default_rng(0)
    with torch.no_grad():
        module.head.weight.copy_(torch.from_numpy(generator.normal(size=module.head.weight.shape)))
        module.head.weight[-1] *= 10.0  # unlike the others, and with far values to cut off
    images = [photographs.prepare(n, SPEC) for n in photographs.calibration_set()[:4]]
    calibrate_batch_norm(module, torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2))
    return models.LoadedModel("small", module, SPEC, "seed 0")


@pytest.fixture(scope="module")
def loaded() -> models.LoadedModel:
    return load()


@pytest.fixture(scope="module")
def report(loaded: models.LoadedModel) -> Report:
    return quantisation.run(loaded, quantisation.undone(loaded), PHOTOGRAPHS)


@cache
def _seen() -> tuple[Graph, dict[str, Float64]]:
    graph = trace(load().module, SPEC.shape)
    images = [photographs.prepare(n, SPEC) for n in photographs.calibration_set()]
    return graph, graph.activations(images)


def program(**choices: Any) -> Program:
    graph, seen = _seen()
    with one_thread():
        return quantise_on(
            graph, seen, name="small", input_range=SPEC.range, recipe=Recipe(**choices)
        )


def head(program: Program) -> Conv2D:
    last = program.operators[-1]
    assert isinstance(last, Conv2D)
    return last


# The choices


def test_one_scale_for_a_tensor_gives_every_channel_one_multiplier() -> None:
    assert len(set(head(program()).multiplier.tolist())) == 6
    assert len(set(head(program(weight_scales="tensor")).multiplier.tolist())) == 1


def test_weights_rounded_to_the_nearest_are_off_by_half_at_most() -> None:
    node = next(node for node in _seen()[0].nodes if node.name == "head")
    real = node.weight / (np.abs(node.weight).max(axis=(1, 2, 3), keepdims=True) / 127.0)  # type: ignore[attr-defined]
    nearest = head(program(rounding="nearest")).weight
    cancelling = head(program()).weight
    assert np.abs(nearest - real).max() <= 0.5 + 1e-9
    assert np.abs(cancelling - real).max() > 0.5


def test_ranges_are_whole_or_between_percentiles_or_of_least_error() -> None:
    whole, least, cut = (
        head(program(ranges=ranges)).output.scale
        for ranges in ("whole", "least error", "percentile")
    )
    assert cut < least <= whole
    assert head(program(ranges="percentile", percentile=100.0)).output.scale == whole


def test_the_choices_stand_in_the_programs_notes() -> None:
    assert program(rounding="nearest").notes == {
        "calibration": "10 images",
        "ranges": "least error",
        "percentile": "99.9",
        "rounding": "nearest",
        "corrected": "False",
        "equalised": "False",
        "exact_input": "False",
        "weight_scales": "channel",
        "result_margin": "1.25",
        "wide_results": "False",
        "wide_margin": "4.0",
        "centres": "True",
        "index_bits": "8",
        "narrow_from": "None",
    }


# The report


def test_as_is_is_the_program_that_the_board_gets(
    loaded: models.LoadedModel, report: Report
) -> None:
    images = [photographs.prepare(n, SPEC) for n in photographs.calibration_set()]
    evaluated = {n: photographs.prepare(n, SPEC) for n in PHOTOGRAPHS}
    assert report.as_is == quality.measure(compile_model(loaded, images), evaluated)


def test_every_choice_is_undone_by_itself_and_makes_a_difference(report: Report) -> None:
    assert [outcome.variant for outcome in report.outcomes] == [AS_IS, *UNDONE]
    for outcome in report.outcomes[1:]:
        assert outcome.quality.sqnr_db != report.as_is.sqnr_db, outcome.variant.name
        assert set(outcome.quality.cosine) == set(PHOTOGRAPHS)


def test_states_of_8_bits_are_noisier_than_those_of_16(report: Report) -> None:
    coarse = next(o.quality for o in report.outcomes if o.variant.name == "8-bit h")
    assert coarse.sqnr_db["stem"] == report.as_is.sqnr_db["stem"]
    assert coarse.sqnr_db["pool"] < report.as_is.sqnr_db["pool"] - 0.5


def test_a_network_without_cells_is_not_asked_about_them() -> None:
    names = {variant.name for variant in quantisation.undone(load(cells=False))}
    assert names == {variant.name for variant in UNDONE if not variant.of_cells}


def test_rounding_alone_makes_less_noise_than_all_that_came_before(report: Report) -> None:
    for name, alone in report.as_is.rounding_db.items():
        assert alone > report.as_is.sqnr_db[name]


def test_every_layer_says_how_its_range_came_about(report: Report) -> None:
    ways = {layer.operator: (layer.share, layer.range.split(",")[0]) for layer in report.layers}
    assert list(ways) == ["input", "stem", "pool", "head"]
    assert ways["input"] == (None, "all that a photograph can hold")
    assert ways["pool"] == (None, "the state's")
    share, how = ways["head"]
    assert share is not None
    assert 0.4 <= share <= Recipe().result_margin
    assert how.startswith(f"{share:.3g} of the calibrated ")


def test_begin_is_told_as_often_as_was_said(loaded: models.LoadedModel) -> None:
    variants, told = UNDONE[2:3], list[str]()
    quantisation.run(loaded, variants, PHOTOGRAPHS, told.append)
    assert len(told) == quantisation.stages(variants, PHOTOGRAPHS)
    assert told[-1] == "running on coffee"


def test_photographs_to_calibrate_on_are_added_to_the_usual(loaded: models.LoadedModel) -> None:
    report = quantisation.run(
        loaded, (), PHOTOGRAPHS[:1], calibration=[*photographs.calibration_set(), "faces"]
    )
    assert report.calibration == (*photographs.calibration_set(), "faces")


# Its tables


def test_the_csv_holds_every_figure_once(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "figures.csv"
    quantisation_table.write_csv(report, path)
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    keys = {(row["variant"], row["metric"], row["of"]) for row in rows}
    assert len(keys) == len(rows)
    written = {k: float(row["value"]) for k, row in zip(keys_of(rows), rows, strict=True)}
    for outcome in report.outcomes:
        for name, cosine in outcome.quality.cosine.items():
            assert written[outcome.variant.name, "cosine", name] == cosine


def keys_of(rows: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return [(row["variant"], row["metric"], row["of"]) for row in rows]


def test_the_json_has_no_infinities(report: Report, tmp_path: Path) -> None:
    first = report.outcomes[0]
    exact = replace(first.quality, rounding_db={"stem": np.inf})
    path = tmp_path / "report.json"
    quantisation_table.write_json(replace(report, outcomes=(replace(first, quality=exact),)), path)
    text = path.read_text()
    assert "Infinity" not in text
    content = json.loads(text)
    assert content["variants"][0]["rounding_db"] == {"stem": None}
    assert [layer["operator"] for layer in content["layers"]] == ["input", "stem", "pool", "head"]


def test_the_table_of_choices_names_the_operator_that_changes_most(report: Report) -> None:
    cells = list(quantisation_table.choices(report).columns[6].cells)
    before = report.as_is.sqnr_db
    for cell, outcome in zip(cells[1:], report.outcomes[1:], strict=True):
        name, change, _ = str(cell).split()
        changes = {n: outcome.quality.sqnr_db[n] - before[n] for n in before}
        assert abs(changes[name]) == max(abs(c) for c in changes.values())
        assert float(change) == pytest.approx(changes[name], abs=0.06)


def test_cells_are_told_with_their_bits(report: Report) -> None:
    pool = program().operators[1]
    assert isinstance(pool, RNNPool)
    assert next(x.weights for x in report.layers if x.operator == "pool") == "16, h 16, 2^8"
