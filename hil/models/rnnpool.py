"""RNNPool: a patch of a feature map summarised by two FastGRNN cells."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from hil.models.fastgrnn import FastGRNN, Observer

Order: TypeAlias = Literal["rows_first", "columns_first"]


class RNNPool(nn.Module):
    """The RNNPool layer: a patch of pixels, every `stride` pixels, becomes one pixel.

    `row` sweeps each row of a patch left to right and each column top to bottom; `summary` sweeps
    the row summaries down and up, then the column summaries right and left. A sweep depends on the
    pixels under it alone, so those of overlapping patches are computed once.

    Args:
        channels: of the input map.
        hidden: units of `row` and of `summary`.
        patch, stride: in pixels.
        repeat_last: rows and columns by which the last ones are repeated at the bottom and right,
            so that a map divides evenly; 0 makes a layer whose output has just the patches.
        density: fractions of non-zero weights in W1, U1, W2, U2.
        order: of the output's quarters. "rows_first" is the paper's; EdgeML's checkpoints from
            before 27 April 2020 have "columns_first".

    Source: RNNPool (Saha et al., 2020), algorithm 1 and section 3.
    """

    def __init__(
        self,
        channels: int,
        hidden: tuple[int, int],
        *,
        patch: int,
        stride: int,
        repeat_last: int = 1,
        density: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
        order: Order = "rows_first",
    ) -> None:
        super().__init__()
        self.patch = patch
        self.stride = stride
        self.repeat_last = repeat_last
        self.order = order
        self.row = FastGRNN(channels, hidden[0], density=density[:2])
        self.summary = FastGRNN(hidden[0], hidden[1], density=density[2:])

    @property
    def channels(self) -> int:
        """Channels of the output."""
        return 4 * self.summary.units

    def grid(self, rows: int, columns: int) -> tuple[int, int]:
        """Patches down and across a map.

        Args:
            rows: of the map.
            columns: of the map.
        """
        return (rows - self.patch) // self.stride + 1, (columns - self.patch) // self.stride + 1

    def macs(self, rows: int, columns: int) -> int:
        """Multiply-accumulates on a map of this size with nothing shared, zeros counted.

        Source: the paper's algorithm 1: 2 r c (k h1 + h1^2) + 2 (r + c) (h1 h2 + h2^2) per patch,
            times the gates of a cell that have weights of their own.

        Args:
            rows: of the map.
            columns: of the map.
        """
        down, across = self.grid(rows, columns)
        step1 = self.row.gates * self.row.units * (self.row.inputs + self.row.units)
        step2 = self.summary.gates * self.summary.units * (self.summary.inputs + self.summary.units)
        return down * across * (2 * self.patch**2 * step1 + 4 * self.patch * step2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, rows, columns) to (n, 4 * units, patches down + repeat_last, ...)."""
        return self.pool(x)

    def pool(
        self,
        x: Tensor,
        observe_row: Observer | None = None,
        observe_summary: Observer | None = None,
    ) -> Tensor:
        """Do as `forward`, and tell the observers what the cells see.

        Args:
            x: maps, (images, channels, rows, columns).
            observe_row: told what RNN1's cells see; None for nobody.
            observe_summary: told what RNN2's cells see; None for nobody.

        Returns:
            (images, 4 * hidden_summary, patches down, patches across).
        """
        across, down = self.of_pixels(x)
        of_rows, of_columns = self.row.sweep(across, observe_row), self.row.sweep(down, observe_row)
        states = [
            self.summary.sweep(sequence, observe_summary)
            for sequence in self.of_summaries(of_rows, of_columns)
        ]
        if self.order == "columns_first":
            states = states[2:] + states[:2]
        y = torch.cat(states, dim=-1).permute(0, 3, 1, 2)
        return functional.pad(y, (0, self.repeat_last, 0, self.repeat_last), mode="replicate")

    def of_pixels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Lay out what `row` sweeps: every patch's stretch of each row, and of each column.

        Args:
            x: (n, channels, rows, columns).

        Returns:
            x W as (n, rows, patches across, units, patch) and (n, patches down, columns, units,
            patch).
        """
        projected = self.row.project(x.permute(0, 2, 3, 1))  # n, rows, columns, units
        across = projected.unfold(2, self.patch, self.stride)
        down = projected.unfold(1, self.patch, self.stride)
        return across, down

    def of_summaries(self, of_rows: Tensor, of_columns: Tensor) -> list[Tensor]:
        """Lay out what `summary` sweeps: every patch's rows down and up, columns right and left.

        Args:
            of_rows: what `row` made of the first of `of_pixels`.
            of_columns: and of the second.

        Returns:
            h W, (n, patches down, patches across, units, patch) each.
        """
        sequences = []
        for states, axis in ((of_rows, 1), (of_columns, 2)):
            steps = states.unfold(axis, self.patch, self.stride).transpose(-1, -2)
            projected = self.summary.project(steps).transpose(-1, -2)
            sequences += [projected, projected.flip(-1)]
        return sequences
