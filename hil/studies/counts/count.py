"""What a network costs, counted on its structure: no weights, no image, no board.

MACs are counted in four ways, memory in two; `docs/models.md` says which of them the paper's
figures are, and `hil.models.paper` holds these.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from hil import models
from hil.compiler import operators
from hil.compiler.front.trace import shape_of
from hil.compiler.macs import Macs
from hil.compiler.plan import plan_on
from hil.compiler.synthetic import synthetic_program
from hil.config.board import Board
from hil.config.scenario import Aim
from hil.errors import BuildError, MemoryLimitError
from hil.models.blocks import MBConv, Separable
from hil.models.densenet import DenseLayer
from hil.models.paper import Convention, figures
from hil.models.pooling import Classifier
from hil.models.renet import ReNet
from hil.models.rnnpool import RNNPool
from hil.studies.counts.counted import Counts, Memory

# Layers whose inner maps are never stored whole.
_UNITS = (
    MBConv, Separable, DenseLayer, RNNPool, ReNet, nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.Linear,
)  # fmt: skip
_HEADS = ("conf.", "loc.")


def of_model(name: str, board: Board | None = None) -> Counts:
    """Count one network.

    Args:
        name: of the registry.
        board: whose memory is planned for; None to plan for none, which is quicker.

    Raises:
        UsageError: there is no such network.
    """
    with torch.device("meta"):
        made = models.structure(name)
    paper = figures(name)
    macs, units = _observe(made)
    weight_bytes = sum(_weight_bytes(layer) for layer in made.module.modules())
    return Counts(
        model=name,
        parameters=made.parameters,
        macs=macs,
        map_bytes=_map_bytes(units, paper.convention),
        memory=planned(models.structure(name), board) if board else None,
        weight_bytes=weight_bytes,
        paper=paper,
    )


def planned(
    made: models.LoadedModel,
    board: Board,
    aim: Aim = "speed",
    streams: bool | None = None,
    options: Sequence[str] = (),
) -> Memory:
    """Plan a network's memory for a board, as far as compiler and planner go.

    Args:
        made: the network; its weights may stand for none.
        board: whose memory is planned for.
        aim: what the schedule is chosen for.
        streams: whether the image comes in row by row; None where it does not fit otherwise.
        options: of the quantiser.
    """
    try:
        program = synthetic_program(made, options=options)
        plan, _ = plan_on(program, board, aim, streams=streams)
    except MemoryLimitError as error:
        obstacle = f"{error.verdict}: {error.what}"
        return Memory(obstacle=obstacle, lacking=error.lacking, lacks=error.region)
    except BuildError as error:
        return Memory(obstacle=f"{error.verdict}: {error.what}")
    return Memory(plan.arena_bytes, plan.ccm_bytes, plan.flash_bytes, plan.streams)


@dataclass(frozen=True)
class _Unit:
    """Elements that a unit reads and writes."""

    name: str
    kind: type[nn.Module]
    read: int
    written: int


def _observe(made: models.LoadedModel) -> tuple[Macs, list[_Unit]]:
    """Run the network on no values, and look on."""
    total = Macs()
    units: list[_Unit] = []

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        total += _layer_macs(layer, inputs[0], output)

    def note(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...], torch.Tensor], None]:
        return lambda layer, inputs, output: units.append(
            _Unit(name, type(layer), inputs[0].numel(), output.numel())
        )

    hooks = []
    outermost = ""
    for name, layer in made.module.named_modules():
        hooks.append(layer.register_forward_hook(count))
        inside = outermost and name.startswith(f"{outermost}.")
        if isinstance(layer, _UNITS) and not inside and not name.startswith(_HEADS):
            outermost = name
            hooks.append(layer.register_forward_hook(note(name)))
    rows, columns, channels = made.spec.shape
    with torch.inference_mode():
        made.module(torch.zeros(1, channels, rows, columns, device="meta"))
    for hook in hooks:
        hook.remove()
    return total, units


def _layer_macs(layer: nn.Module, x: torch.Tensor, y: torch.Tensor) -> Macs:
    if isinstance(layer, nn.Linear):
        return Macs.alike(layer.weight.numel())
    if isinstance(layer, Classifier) or not operators.knows_layer(layer):
        return Macs()  # a classifier's linear layer counts itself
    return operators.of_layer(layer).macs(layer, shape_of(x), shape_of(y))


def _map_bytes(units: Sequence[_Unit], convention: Convention) -> int:
    """Peak in the paper's convention: maps before an early pooling are streamed, not stored."""
    pools = [i for i, unit in enumerate(units) if (unit.name + ".").startswith("pool.")]
    stored = list(units[pools[-1] :]) if pools else list(units)
    peak = max(unit.written for unit in stored)
    if convention.blocks:
        peak = max([peak, *(u.read + u.written for u in stored if issubclass(u.kind, MBConv))])
    if convention.image and not pools:
        peak = max(peak, units[0].read + units[0].written)
    return peak * convention.bytes_per_value


def _weight_bytes(layer: nn.Module) -> int:
    if isinstance(layer, nn.Linear):
        return layer.weight.numel() + 8 * len(layer.weight)
    if isinstance(layer, Classifier):
        return 0
    known = operators.knows_layer(layer)
    return operators.of_layer(layer).constant_bytes(layer) if known else 0
