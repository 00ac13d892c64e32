"""The shape of a matrix product with requantisation, `matmul_t` in firmware/kernels/matmul.h."""

from dataclasses import dataclass
from functools import cached_property

from hil.compiler.kernels.cycles import Cost, Part
from hil.compiler.operators.conv2d import Conv2D
from hil.limits import limit

MOST_PIXELS = limit("MATMUL_MOST_PIXELS")  # that a matrix product takes at a time
MOST_SHIFT = 7  # that int16 weights take in
REACH = 4095  # bytes, of a load's immediate offset
UNROLLED_BYTES = 128  # what an unrolled loop adds to an offset, at most


@dataclass(frozen=True)
class MatMul:
    """A product of int16 pixels with int16 weights, requantised.

    Attributes:
        depth: inputs that one pixel's window holds in one segment, int16, an even number.
        segments, segment_bytes: rows of the window, and from one to the next in memory.
        pixel_bytes: from one pixel's window to the next.
        channels: of the output, an even number.
        y_bytes: of one output, 1 or 2.
        y_channel_bytes, y_pixel_bytes: from one output channel, pixel to the next.
        low, high: the clamp, after the residual.
        residual: its zero point, multiplier and shift, for int8 in the output's layout.
        runs: how many pixels follow each other where it is called, each such number once; empty
            where it may be any.
        limit: the pixels to take at a time, at most.
    """

    depth: int
    segments: int
    segment_bytes: int
    pixel_bytes: int
    channels: int
    y_bytes: int
    y_channel_bytes: int
    y_pixel_bytes: int
    low: int
    high: int
    residual: tuple[int, int, int] | None = None
    runs: tuple[int, ...] = ()
    limit: int = MOST_PIXELS

    @property
    def stream_words(self) -> int:
        """Words of weights: for two channels biases, all weights, multipliers, zero point."""
        return self.channels // 2 * (5 + self.segments * self.depth)

    @cached_property
    def most_pixels(self) -> int:
        """Pixels at a time, so many that offsets fit the code's immediates; 0 if none do."""
        for pixels in range(self.limit, 0, -1):
            x_reach = (pixels - 1) * self.pixel_bytes + UNROLLED_BYTES
            y_reach = (pixels - 1) * self.y_pixel_bytes + 2 * self.y_channel_bytes
            if max(x_reach, y_reach) <= REACH:
                return pixels
        return 0

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of pixels at a time that its runs make; of no others is code written."""
        most = self.most_pixels
        if not self.runs or not most:
            return tuple(range(1, most + 1))
        return tuple(sorted({taken for run in self.runs for taken in self.taken(run)}))

    def taken(self, run: int) -> list[int]:
        """The numbers of pixels taken one after another where so many follow each other.

        As `matmul_take` in firmware/kernels/matmul.h has it: the most, but where that would leave
        few, half.

        Args:
            run: the pixels, one at least.
        """
        most = self.most_pixels
        taken: list[int] = []
        while left := run - sum(taken):
            if left < 2 * most:
                taken.append((left + 1) // 2 if left > most else left)
            else:
                taken.append(most - (most == MOST_PIXELS and left == 2 * most + 1))
        return taken

    @property
    def window_bytes(self) -> int:
        """Bytes of the pixels that are multiplied at a time."""
        return self.most_pixels * self.pixel_bytes

    @property
    def is_reachable(self) -> bool:
        """Whether counts are even and the code can be written."""
        return self.depth % 2 == 0 and self.channels % 2 == 0 and self.most_pixels > 0


def of_depth(conv: Conv2D, depth: int) -> MatMul:
    """Return the product of int16 pixels of so many inputs with a dense convolution's weights.

    Args:
        conv: a dense convolution.
        depth: inputs of each pixel, a multiple of two.
    """
    outputs = conv.weight.shape[0]
    return MatMul(
        depth=depth,
        segments=1,
        segment_bytes=0,
        pixel_bytes=2 * depth,
        channels=outputs,
        y_bytes=1,
        y_channel_bytes=1,
        y_pixel_bytes=outputs,
        low=conv.low,
        high=conv.high,
        residual=residual_of(conv),
        runs=(conv.output.shape[1],),
    )


def residual_of(conv: Conv2D) -> tuple[int, int, int] | None:
    """Return the zero point, multiplier and shift of a convolution's residual, if it has one."""
    residual = conv.residual
    if residual is None:
        return None
    return residual.source.zero_point, residual.multiplier, residual.shift


MATMUL = Part(
    "matmul",
    code_bytes=1036,
    cycles={
        "product.step_1": Cost(6.84, "two inputs of a pixel and two channels"),
        "product.step_2": Cost(
            9.18,
            "two inputs of two pixels and two channels",
            fitted=10.5,
            kept="vww_renet would get another schedule",
        ),
        "product.step_3": Cost(12.2, "two inputs of three pixels and two channels"),
        "product.step_4": Cost(17.0, "two inputs of four pixels and two channels"),
        "product.ends": Cost(
            42.8, "two channels of the pixels taken together: begin, requantise, store"
        ),
        "product.residual": Cost(35.9, "two channels of the pixels taken together: add a map"),
        "widen.value": Cost(2.9, "a value widened to int16"),
    },
)
