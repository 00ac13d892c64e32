"""What the quantiser could do in another way; `hil quantise --report` asks what that would cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from hil.errors import UsageError

Ranges: TypeAlias = Literal["least error", "task", "whole", "percentile"]


@dataclass(frozen=True)
class Recipe:
    """How a network is quantised; the defaults are what every program is made with.

    Attributes:
        ranges: of maps: the one of least mean squared error, of least error as the task's loss
            feels it, the whole calibrated range, or what lies between two percentiles.
        percentile: the upper of these; the lower is as far from 0 as this is from 100.
        rounding: of weights: such that errors cancel on real inputs; such that they make up for
            what the integers before have done to the inputs too; or each to the nearest.
        corrected: whether biases take in what the integers before have done to the mean.
        equalised: whether channels of a map have factors of their own, where the layers that read
            it can take them into their weights.
        exact_input: whether the input's bytes are a photograph's levels, each channel's mean and
            deviation being the first layer's matter.
        weight_scales: one per output channel, or one for the whole tensor.
        narrow_from: weights of a 1x1 convolution that has so many and more are of seven bits, -63
            to 63, so that codes of them are shorter by one; None where all are of eight.
        result_margin: by which the ranges of the result's maps are wider: of other photographs
            than calibration's some give more, and a value beyond its range is cut off.
        wide_results: whether the result's maps are int16.
        wide_margin: by which the range of an int16 map is wider than all that calibration met.
        centres: whether a map's channels stand around centres of their own, where the layers
            that read it can take them into their biases.
        index_bits: of the FastGRNN cells' tables.
    """

    ranges: Ranges = "least error"
    percentile: float = 99.9
    rounding: Literal["cancelling", "learned", "nearest"] = "cancelling"
    corrected: bool = False
    equalised: bool = False
    exact_input: bool = False
    weight_scales: Literal["channel", "tensor"] = "channel"
    narrow_from: int | None = None
    result_margin: float = 1.25
    wide_results: bool = False
    wide_margin: float = 4.0  # two of sixteen bits, so that next to nothing is cut off
    centres: bool = True
    index_bits: int = 8  # docs/quantisation.md: what 7, 9 and 10 would buy, and cost

    @property
    def asks_for_integers(self) -> bool:
        """Whether layers are quantised on what the integers before them give in calibration."""
        return self.corrected or self.rounding == "learned"


DEFAULT = Recipe()

AUTO = "auto"
"""In place of options: those that measurably help on the calibration photographs."""

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "input": {"exact_input": True},
    "equalise": {"equalised": True},
    "bias": {"corrected": True},
    "learned": {"rounding": "learned", "corrected": True},
    "task": {"ranges": "task"},
    "whole": {"ranges": "whole"},
    "int16": {"wide_results": True},
    "tables128": {"index_bits": 7},
    "tables512": {"index_bits": 9},
    "weights7": {"narrow_from": 32_768},
}
"""What a scenario may ask for beside the defaults, by name."""

FREE = ("input", "equalise", "bias", "learned", "task", "whole")
"""Options that cost neither cycles nor bytes."""

PLANNED = ("int16", "tables128", "tables512", "weights7")
"""Options that change what is planned: memory, flash or cycles."""

TRIED = (*FREE, "int16", "tables512")
"""The order in which `auto` tries them: what costs something last."""


def with_options(names: Sequence[str], recipe: Recipe = DEFAULT) -> Recipe:
    """Change a recipe as options say.

    Args:
        names: of `OPTIONS`, in the order in which they are applied.
        recipe: that is changed.

    Raises:
        UsageError: there is no such option.
    """
    for name in names:
        if name not in OPTIONS:
            raise UsageError.unknown("quantiser's option", name, [AUTO, *OPTIONS])
        recipe = replace(recipe, **OPTIONS[name])
    return recipe
