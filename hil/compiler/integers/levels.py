"""An input whose bytes are the levels of a photograph, none of them rounded.

Channels with means of their own need more than 256 levels in one range, and are rounded to it. A
network that takes differences of pixels makes that noise many times larger. Where the first layer
takes each channel's mean into its bias, and its deviation into its weights, a byte is a level.
"""

from dataclasses import dataclass

import numpy as np

from hil.compiler.program import Shape, Tensor

_LEAST = 128  # a level less this is a byte


@dataclass(frozen=True)
class Levels:
    """How an image is made of levels of 0 to 255: real = (level - mean) / deviation.

    Attributes:
        mean, deviation: by channel.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def tensor(self, name: str, shape: Shape) -> Tensor:
        """Make the input's tensor. Its zero point is the level of which padding is made.

        Args:
            name: of the tensor.
            shape: (rows, columns, channels).
        """
        zero_point = int(np.clip(np.rint(np.mean(self.mean)) - _LEAST, -128, 127))
        scales = 1.0 / np.array(self.deviation)
        scale = float(scales.max())
        apart = (zero_point + _LEAST - np.array(self.mean)) * scales
        factor = scales / scale
        return Tensor(
            name,
            shape,
            scale,
            zero_point,
            centre=tuple(float(c) for c in apart),
            factor=() if (factor == 1.0).all() else tuple(float(f) for f in factor),
        )
