"""Sweeps of cells over whole maps: in parts, and on samples, they give what they give in one."""

import pytest
import torch
from torch import Tensor

from hil.compiler.operators import rnnpool as operator
from hil.models.gated import CellName, rnnpool
from hil.models.rnnpool import RNNPool


def layer(cell: CellName) -> RNNPool:
    torch.manual_seed(7)
    return rnnpool(3, (8, 4), cell=cell, patch=6, stride=4).double()


@pytest.fixture(scope="module")
def maps() -> Tensor:
    """Of 37 rows: no whole number of parts."""
    return torch.randn(2, 3, 37, 48, dtype=torch.float64, generator=torch.manual_seed(8))


@pytest.mark.parametrize("cell", ["fastgrnn", "gru", "lstm"])
def test_a_map_swept_in_parts_is_the_map_swept_at_once(cell: CellName, maps: Tensor) -> None:
    pool, parts = layer(cell), []
    whole = pool(maps)  # with gradients, so at once
    with torch.inference_mode():
        parted = pool.pool(maps, lambda a, _: parts.append(a.shape))
    assert {len(shape) for shape in parts} == {3}  # rows of one image, columns, units
    assert torch.allclose(parted, whole.detach(), rtol=1e-13)  # vectors end elsewhere


def test_a_map_of_no_images_has_no_parts() -> None:
    with torch.inference_mode():
        assert layer("fastgrnn")(torch.zeros(0, 3, 37, 48, dtype=torch.float64)).shape[0] == 0


@pytest.mark.parametrize("samples", [500, 10**9])
def test_cells_are_seen_on_every_so_manyth_sequence_of_all(
    samples: int, maps: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "_SAMPLES", samples)
    pool = layer("fastgrnn")
    met: dict[str, list[tuple[Tensor, Tensor]]] = {"row": [], "summary": []}
    pool.pool(
        maps,
        lambda a, h: met["row"].append((a.detach().flatten(0, -2), h.detach().flatten(0, -2))),
        lambda a, h: met["summary"].append((a.detach().flatten(0, -2), h.detach().flatten(0, -2))),
    )
    for seen, steps in zip(
        operator._observe(pool, maps.permute(0, 2, 3, 1).numpy()), met.values(), strict=True
    ):
        stride = max(1, sum(len(a) for a, _ in steps) // samples) | 1
        pre_activations, states = (
            torch.cat([one[::stride] for one in each]) for each in zip(*steps, strict=True)
        )
        assert torch.allclose(torch.from_numpy(seen.pre_activations), pre_activations, rtol=1e-13)
        assert torch.allclose(torch.from_numpy(seen.states), states, rtol=1e-13)
