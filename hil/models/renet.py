"""ReNet: a map summarised by GRUs that sweep its columns and then its rows."""

from typing import Literal, TypeAlias

from torch import Tensor, nn

Lines: TypeAlias = Literal["columns", "rows"]
"""What a sweep goes along: a column's patches from top to bottom, or a row's from left to right."""


class GRUSweep(nn.Module):
    """A GRU in both directions along every column or row of a map's patches.

    Args:
        channels: of the input map.
        hidden: units in each direction; the output has twice as many channels.
        patch: size of the patches, which do not overlap; a patch is one input of the GRU, its
            values in the order channel, row, column.
        along: "columns" or "rows".
    """

    def __init__(self, channels: int, hidden: int, *, patch: int, along: Lines) -> None:
        super().__init__()
        self.patch = patch
        self.along: Lines = along
        self.channels = 2 * hidden
        self.gru = nn.GRU(channels * patch**2, hidden, batch_first=True, bidirectional=True)

    def macs(self, rows: int, columns: int) -> int:
        """Multiply-accumulates on a map of this size.

        Args:
            rows: of the map.
            columns: of the map.
        """
        gru = self.gru
        per_patch = 2 * 3 * gru.hidden_size * (gru.input_size + gru.hidden_size)
        return (rows // self.patch) * (columns // self.patch) * per_patch

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, rows, columns) to (n, 2 * hidden, rows / patch, columns / patch)."""
        n, channels, rows, columns = x.shape
        patch = self.patch
        down, across = rows // patch, columns // patch
        x = x[:, :, : down * patch, : across * patch]
        cells = x.reshape(n, channels, down, patch, across, patch).permute(0, 2, 4, 1, 3, 5)
        vectors = cells.flatten(3)
        lines = vectors.transpose(1, 2) if self.along == "columns" else vectors
        states, _ = self.gru(lines.flatten(0, 1))
        swept = states.unflatten(0, lines.shape[:2])
        if self.along == "columns":
            swept = swept.transpose(1, 2)
        y: Tensor = swept.permute(0, 3, 1, 2)
        return y


class ReNet(nn.Module):
    """ReNet: patches as vectors, swept by a GRU along the columns, then by one along the rows.

    Both GRUs run in both directions. Unlike RNNPool's, their sweeps cross the whole map, so that
    the whole map must be stored.

    Args:
        channels: of the input map.
        hidden: units in each direction; the output has twice as many channels.
        patch: size of the patches, which do not overlap.

    Source: ReNet (Visin et al., 2015), section 2; patches of 4x4 give the RNNPool paper's counts
        (table 2: 14.5 M multiply-accumulates in the Visual Wake Words network, 96 M in
        MobileNetV2).
    """

    def __init__(self, channels: int, hidden: int, *, patch: int) -> None:
        super().__init__()
        self.channels = 2 * hidden
        self.vertical = GRUSweep(channels, hidden, patch=patch, along="columns")
        self.horizontal = GRUSweep(2 * hidden, hidden, patch=1, along="rows")

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, rows, columns) to (n, 2 * hidden, rows / patch, columns / patch)."""
        y: Tensor = self.horizontal(self.vertical(x))
        return y
