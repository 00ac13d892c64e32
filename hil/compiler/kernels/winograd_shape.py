"""The shape of Winograd's transform of a convolution, `winograd_t` in firmware/kernels/winograd.h.

F(2x2, 3x3): four outputs of a 3x3 convolution take 16 multiplications in place of 36.
Source: A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, sec. 4.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hil.compiler.code.c import wrap_int32
from hil.compiler.kernels.matmul import REACH
from hil.compiler.kernels.weights import WIDENED_ORDER, Int64, pack, stream_bias
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Int32

SIDE = 4  # rows and columns of inputs under a tile
POINTS = SIDE * SIDE  # products of a tile
SUM_BYTES = 4 * POINTS  # of a tile's output channel
END_WORDS = 3  # of an output channel: bias, multiplier, zero point
_INT16_MOST = 2**15 - 1
_INT32_MOST = 2**31 - 1
_STORED = 16  # bytes that a word's offset adds to the reach of a tile, at most

_G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])  # twice the published matrix
_FOLDED = 2  # of the four that two such matrices multiply by, as a shift


@dataclass(frozen=True)
class Tiles:
    """The tiles of two output rows.

    Attributes:
        fours, threes: how many groups of four and of three the products take.
        channels: of the input, a multiple of four.
        outputs: of all convolutions, an even number.
        low, high: the clamp.
        excess: the shift that takes sums back.
    """

    fours: int
    threes: int
    channels: int
    outputs: int
    low: int
    high: int
    excess: int

    @property
    def count(self) -> int:
        """Tiles that are computed, some of them beside the map."""
        return 4 * self.fours + 3 * self.threes

    @property
    def by_tile(self) -> bool:
        """Whether a tile's points stand together, as far as offsets reach four tiles."""
        return 3 * POINTS * self.point_bytes + self.point_bytes <= REACH

    @property
    def point_bytes(self) -> int:
        """Bytes of a point's inputs."""
        return 2 * self.channels

    @property
    def tile_bytes(self) -> int:
        """Bytes from a tile's inputs to those of the next."""
        return (POINTS if self.by_tile else SIDE) * self.point_bytes

    @property
    def line_bytes(self) -> int:
        """Bytes from one row of points to the next."""
        return SIDE * self.point_bytes * (1 if self.by_tile else self.count)

    @property
    def slot_bytes(self) -> int:
        """Bytes of a widened row."""
        return (2 * self.count + 2) * self.point_bytes

    @property
    def row_bytes(self) -> int:
        """Bytes of a line's output row."""
        return 2 * self.count * self.outputs

    @property
    def words(self) -> int:
        """Words of weights."""
        return self.outputs * (POINTS * self.channels // 2 + END_WORDS)

    @property
    def is_reachable(self) -> bool:
        """Whether offsets fit the code's immediates."""
        of_inputs = 3 * self.tile_bytes + self.point_bytes
        of_points = 3 * self.point_bytes + _STORED
        of_sums = 3 * self.outputs * SUM_BYTES + SUM_BYTES
        of_outputs = self.row_bytes + self.outputs
        return max(of_inputs, of_points, of_sums, of_outputs) <= REACH


def tiles_of(convs: Sequence[Conv2D]) -> Tiles | None:
    """Return the tiles of alike convolutions of one map, None where there is no transform.

    Args:
        convs: that can share a product (`heads_of`).
    """
    first = convs[0]
    channels = first.inputs[0].shape[2]
    if first.weight.shape[1:3] != (3, 3) or first.stride != 1 or channels % 4:
        return None
    if first.output.bits != 8 or not all(_is_exact(conv) for conv in convs):
        return None
    if max(first.padding.top, first.padding.left) >= SIDE or len({c.shift for c in convs}) > 1:
        return None
    fours, threes = _groups(-(-first.output.shape[1] // 2))
    outputs = sum(conv.output.shape[2] for conv in convs)
    excess = max(0, _FOLDED - first.shift)
    tiles = Tiles(fours, threes, channels, outputs, first.low, first.high, excess)
    return tiles if tiles.is_reachable else None


def _groups(tiles: int) -> tuple[int, int]:
    """So many tiles or a few more, in fours and threes."""
    while True:
        for threes in range(4):
            if tiles >= 3 * threes and (tiles - 3 * threes) % 4 == 0:
                return (tiles - 3 * threes) // 4, threes
        tiles += 1


@lru_cache(maxsize=1024)  # every schedule that is tried asks again
def _is_exact(conv: Conv2D) -> bool:
    """Whether weights fit int16, and sums int32 before they are shifted back."""
    inputs = np.abs(_flat(conv)).sum(axis=1).max() * 2**8
    fits = inputs << max(conv.shift, _FOLDED) <= _INT32_MOST
    return bool(fits and np.abs(_transformed(conv)).max() <= _INT16_MOST)


def _flat(conv: Conv2D) -> Int64:
    return conv.weight.astype(np.int64).reshape(len(conv.weight), -1)


def _transformed(conv: Conv2D) -> Int64:
    """G g G', (outputs, 4, 4, inputs), as often as the shift asks."""
    weight = conv.weight.astype(np.int64) << max(0, conv.shift - _FOLDED)
    transformed: Int64 = np.einsum("ik,okln,jl->oijn", _G, weight, _G)
    return transformed


def winograd_stream(convs: Sequence[Conv2D]) -> Int32:
    """Return the words of `winograd_t.weights`.

    Args:
        convs: whose output channels stand side by side.
    """
    u = np.concatenate([_transformed(conv) for conv in convs])
    outputs, channels = u.shape[0], u.shape[3]
    u = u.reshape(outputs, POINTS, -1, 4)[..., WIDENED_ORDER].reshape(outputs, POINTS, channels)
    words = pack(u[..., 0::2], u[..., 1::2])
    pairs = words.reshape(outputs // 2, 2, POINTS, channels // 2).transpose(2, 0, 3, 1)
    bias = np.concatenate([stream_bias(conv, with_zero_point=True) for conv in convs])
    multiplier = np.concatenate([conv.multiplier.astype(np.int64) for conv in convs])
    zero = np.concatenate([np.full(len(c.weight), c.output.zero_point) for c in convs])
    ends = np.stack([bias, multiplier, zero], axis=1)
    return wrap_int32(np.concatenate([pairs.reshape(-1), ends.reshape(-1)]))
