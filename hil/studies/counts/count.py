"""What a network costs, counted on its structure: no weights, no image, no board.

MACs are counted in four ways, memory in two; `docs/models.md` says which of them the paper's
figures are, and `hil.models.paper` holds these.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from hil import models
from hil.compiler.graph import trace
from hil.compiler.outline import outline
from hil.compiler.plan import Budget, make_plan
from hil.compiler.quantize_cell import INDEX_BITS
from hil.compiler.quantize_gru import TABLE_BITS
from hil.config.board import Board
from hil.errors import BuildError, MemoryLimitError
from hil.models.blocks import L2Norm, MBConv, Separable
from hil.models.densenet import DenseLayer
from hil.models.fastgrnn import FastGRNN
from hil.models.paper import Convention, Figures, figures
from hil.models.renet import GRUSweep, ReNet
from hil.models.rnnpool import RNNPool

# Layers whose inner maps are never stored whole.
_UNITS = (MBConv, Separable, DenseLayer, RNNPool, ReNet, nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
_HEADS = ("conf.", "loc.")


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one inference; biases, activations and norms are not counted.

    Attributes:
        plain: every step of every cell multiplies W by x and U by h.
        shared: W x is computed once for every pixel of the map and every summary of a patch, as
            the paper counts.
        across_patches: W x, and sweeps over the same pixels, are computed once for all patches;
            the first U h of a sweep, of a zero state, not at all. This is what the firmware does.
        sparse: plain, less the zeros of the cells' stated density.
    """

    plain: int = 0
    shared: int = 0
    across_patches: int = 0
    sparse: int = 0

    @classmethod
    def alike(cls, count: int) -> "Macs":
        """Of a layer that shares nothing."""
        return cls(count, count, count, count)

    def __add__(self, more: "Macs") -> "Macs":
        return Macs(
            self.plain + more.plain,
            self.shared + more.shared,
            self.across_patches + more.across_patches,
            self.sparse + more.sparse,
        )


@dataclass(frozen=True)
class Memory:
    """What the planner says.

    Attributes:
        sram_bytes: the activation memory, input included; None where there is no plan.
        ccm_bytes: working memory of the kernels.
        flash_bytes: of the image, weights as the kernels read them, code as estimated.
        streams: whether the input comes in row by row, as it does where it does not fit.
        obstacle: why there is no plan.
    """

    sram_bytes: int | None = None
    ccm_bytes: int | None = None
    flash_bytes: int | None = None
    streams: bool = False
    obstacle: str = ""


@dataclass(frozen=True)
class Counts:
    """A network's costs beside the paper's.

    Attributes:
        parameters: zeros and batch norm included.
        map_bytes: peak activation memory in the paper's convention, see `paper.convention`.
        memory: as the planner needs it; None where it was not asked.
        weight_bytes: constants of the quantised program: int8 weights, int16 cells and tables,
            int32 biases and multipliers. The image holds them as the kernels read them.
    """

    model: str
    parameters: int
    macs: Macs
    map_bytes: int
    memory: Memory | None
    weight_bytes: int
    paper: Figures


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
        memory=_plan(made, board) if board else None,
        weight_bytes=weight_bytes,
        paper=paper,
    )


def pool_macs(pool: RNNPool, rows: int, columns: int) -> Macs:
    """Count an RNNPool layer on a map of this size.

    Source: the paper's algorithm 1; per patch of r x c pixels, plain: 2 r c (k h1 + h1^2) +
        2 (r + c) (h1 h2 + h2^2).
    """
    down, across = pool.grid(rows, columns)
    patches, length = down * across, pool.patch
    w1, u1 = (weight.numel() for weight in (pool.row.W, pool.row.U))
    w2, u2 = (weight.numel() for weight in (pool.summary.W, pool.summary.U))
    read_rows, read_columns = _read(down, pool), _read(across, pool)
    sweeps = read_rows * across + read_columns * down
    return Macs(
        plain=pool.macs(rows, columns),
        shared=read_rows * read_columns * w1
        + patches * (2 * length**2 * u1 + 2 * length * w2 + 4 * length * u2),
        across_patches=read_rows * read_columns * w1
        + sweeps * ((length - 1) * u1 + w2)
        + patches * 4 * (length - 1) * u2,
        sparse=patches * (2 * length**2 * _kept(pool.row) + 4 * length * _kept(pool.summary)),
    )


def _read(patches: int, pool: RNNPool) -> int:
    """Rows or columns of the map that so many patches in a line read."""
    return (patches - 1) * min(pool.stride, pool.patch) + pool.patch


def _kept(cell: FastGRNN) -> int:
    """Weights that are not zero at the cell's density."""
    sizes = (cell.W.numel(), cell.U.numel())
    return sum(round(size * share) for size, share in zip(sizes, cell.density, strict=True))


def _plan(made: models.LoadedModel, board: Board) -> Memory:
    """Plan a network's memory for a board, as far as compiler and planner go."""
    module = made.module.to_empty(device="cpu")
    for value in (*module.parameters(), *module.buffers()):
        value.detach().zero_()
    try:
        program = outline(trace(module, made.spec.shape), made.model_id)
        plan = make_plan(program, Budget.of(board))
    except (BuildError, MemoryLimitError) as error:
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
    match layer:
        case nn.Conv2d():
            return Macs.alike(y.numel() * layer.weight[0].numel())
        case nn.Linear():
            return Macs.alike(layer.weight.numel())
        case GRUSweep():
            return Macs.alike(layer.macs(x.shape[2], x.shape[3]))
        case RNNPool():
            return pool_macs(layer, x.shape[2], x.shape[3])
        case _:
            return Macs()


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
    match layer:
        case nn.Conv2d() | nn.Linear():
            return layer.weight.numel() + 8 * len(layer.weight)
        case FastGRNN():
            tables = 2 * 2 * layer.units << INDEX_BITS
            return 2 * (layer.W.numel() + layer.U.numel()) + 4 * layer.units + tables
        case nn.GRU():
            arrays = sum((2 if p.dim() > 1 else 4) * p.numel() for p in layer.parameters())
            return arrays + 2 * 4 * layer.hidden_size + (2 << TABLE_BITS)
        case L2Norm():
            return 4 * layer.weight.numel()
        case _:
            return 0
