"""A single pooling layer as a network of its own, for profiling."""

from torch import Tensor, nn

from hil.errors import UsageError
from hil.models.blocks import FlattenMaps
from hil.models.gated import CellName, rnnpool
from hil.models.pooling import early_pooling
from hil.models.rnnpool import Order
from hil.models.variants import Pooling


class SingleLayer(nn.Module):
    """A layer on a map that stands for its input.

    Attributes:
        input_shape: rows, columns, channels.
    """

    def __init__(self, input_shape: tuple[int, int, int], pool: nn.Module) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.pool = pool
        self.output = FlattenMaps()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, rows, columns) to (n, count)."""
        y: Tensor = self.output(self.pool(x))
        return y


def rnnpool_layer(
    *,
    rows: int = 112,
    columns: int = 112,
    channels: int = 8,
    patch: int = 6,
    stride: int = 4,
    hidden_row: int = 8,
    hidden_summary: int = 8,
    order: Order = "rows_first",
    cell: CellName = "fastgrnn",
) -> SingleLayer:
    """Make an RNNPool layer; by default that of the Visual Wake Words network.

    The output is as large as that of other layers that reduce by the stride: the last row and
    column are repeated where the patches leave one out.

    Args:
        rows: of the map.
        columns: of the map.
        channels: of the map.
        patch: pixels of a patch's side.
        stride: pixels from patch to patch.
        hidden_row: units of RNN1.
        hidden_summary: units of RNN2.
        order: of the outputs in the weights.
        cell: of both RNNs.
    """
    _check_patch(patch, rows, columns)
    missing = max(0, rows // stride - (rows - patch) // stride - 1)
    pool = rnnpool(
        channels,
        (hidden_row, hidden_summary),
        cell=cell,
        patch=patch,
        stride=stride,
        repeat_last=missing,
        order=order,
    )
    return SingleLayer((rows, columns, channels), pool)


def pooling_layer(
    pooling: Pooling,
    *,
    rows: int = 112,
    columns: int = 112,
    channels: int = 8,
    patch: int = 6,
    stride: int = 4,
    outputs: int = 32,
) -> SingleLayer:
    """Make a layer that reduces a map as `rnnpool_layer` does.

    Args:
        pooling: its kind.
        rows: of its input.
        columns: likewise.
        channels: likewise.
        patch: kernel of a strided convolution; the others read stride x stride pixels.
        stride: by which the map shrinks.
        outputs: channels left, four times the units of an RNNPool's second cell.
    """
    _check_patch(patch if pooling == "strided" else stride, rows, columns)
    pool = early_pooling(pooling, channels, outputs, patch=patch, stride=stride)
    return SingleLayer((rows, columns, channels), pool or nn.Identity())


def _check_patch(patch: int, rows: int, columns: int) -> None:
    if patch > min(rows, columns):
        raise UsageError(
            f"a patch of {patch}x{patch} pixels is larger than the map, {rows}x{columns}",
            hint="give a smaller patch, or more rows and columns",
        )
