"""What the quantiser could do in another way; `hil quantise --report` asks what that would cost."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Ranges: TypeAlias = Literal["least error", "whole", "percentile"]


@dataclass(frozen=True)
class Recipe:
    """How a network is quantised; the defaults are what every program is made with.

    Attributes:
        ranges: of maps: the one of least mean squared error, the whole calibrated range, or
            what lies between two percentiles.
        percentile: the upper of these; the lower is as far from 0 as this is from 100.
        rounding: of weights: such that errors cancel on real inputs, or each to the nearest.
        weight_scales: one per output channel, or one for the whole tensor.
        result_margin: by which the ranges of the result's maps are wider: of other photographs
            than calibration's some give more, and a value beyond its range is cut off.
        centres: whether a map's channels stand around centres of their own, where the layers
            that read it can take them into their biases.
        index_bits: of the FastGRNN cells' tables.
    """

    ranges: Ranges = "least error"
    percentile: float = 99.9
    rounding: Literal["cancelling", "nearest"] = "cancelling"
    weight_scales: Literal["channel", "tensor"] = "channel"
    result_margin: float = 1.25
    centres: bool = True
    index_bits: int = 8  # docs/quantisation.md: what 9 and 10 would buy, and cost


DEFAULT = Recipe()
