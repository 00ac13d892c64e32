"""How a convolution's weights and biases become integers."""

from dataclasses import dataclass, replace

import numpy as np

from hil.compiler.integers.rounding import refitted, round_to_nearest, round_weights
from hil.compiler.operators.fusing import Conv2DNode
from hil.compiler.operators.kind import Calibration, Float64
from hil.compiler.program import Tensor

_SAMPLES = 6_000  # windows that weights are rounded on
_MOST, _MOST_NARROW = 127, 63  # magnitude of a rounded weight
_LEAST_SCALE = 1e-30  # of weights; below, double precision ends


@dataclass(frozen=True)
class Chosen:
    """A convolution's weights.

    Attributes:
        rounded: whole numbers, of the weights' shape.
        scale: (out,), real value of one of them where the input's factors are 1.
        bias: (out,), real; the centres of the input and what rounding leaves are in it.
    """

    rounded: Float64
    scale: Float64
    bias: Float64


def choose_weights(node: Conv2DNode, by: Calibration) -> Chosen:
    """Choose the integers of a convolution, in the way that the recipe asks for.

    Args:
        node: the convolution.
        by: calibration and recipe.
    """
    x = by.inputs(node)[0]
    bias = node.bias + _of_centres(node, x)
    node = _with_factors(node, x)
    if by.recipe.rounding == "nearest" and not by.recipe.asks_for_integers:
        scale = _scales(node, x.scale, by)
        return Chosen(round_to_nearest(node.weight, scale, _most(node, by)), scale, bias)
    exact = _sampled(node, _apart(by.seen(node), x))
    met = exact
    if by.recipe.asks_for_integers:
        met = _sampled(node, _apart(x.dequantise(by.met[x.name]), x))
    if by.recipe.rounding == "learned":
        node_to_round = replace(node, weight=refitted(node.weight, exact, met))
    else:
        node_to_round = node
    scale = _scales(node_to_round, x.scale, by)
    if by.recipe.rounding == "nearest":
        rounded = round_to_nearest(node_to_round.weight, scale, _most(node, by))
    else:
        samples = met if by.recipe.rounding == "learned" else exact
        rounded = round_weights(node_to_round.weight, samples, scale, _most(node, by))
    if not by.recipe.asks_for_integers:
        by_channel = scale[:, None, None, None]
        return Chosen(
            rounded,
            scale,
            bias + _mean((node.weight / by_channel - rounded) * by_channel, exact),
        )
    left = _mean(node.weight, exact) - _mean(rounded * scale[:, None, None, None], met)
    return Chosen(rounded, scale, bias + left + _of_residual(node, by))


def _with_factors(node: Conv2DNode, x: Tensor) -> Conv2DNode:
    """Let the weights take in the factors of the channels that they read."""
    if not x.factor:
        return node
    factor = np.array(x.factor)
    by_tap = factor[:, None, None, None] if node.depthwise else factor
    return replace(node, weight=node.weight * by_tap)


def _of_centres(node: Conv2DNode, x: Tensor) -> Float64:
    """What the centres of the input's channels add to every sum."""
    if not x.centre:
        return np.zeros(len(node.bias))
    centre = np.array(x.centre)
    of_all_taps = node.weight.sum(axis=(1, 2))
    products = of_all_taps * (centre[:, None] if node.depthwise else centre)
    total: Float64 = products.sum(axis=1)
    return total


def _apart(reals: Float64, x: Tensor) -> Float64:
    """Take centres and factors off, as the map's bytes do."""
    apart = reals - np.array(x.centre) if x.centre else reals
    return apart / np.array(x.factor) if x.factor else apart


def _mean(weight: Float64, samples: Float64) -> Float64:
    """Mean of the sums of products, (out,), over samples as `_sampled` gives them."""
    mean = samples.mean(axis=1)
    total: Float64 = (weight.reshape(len(weight), -1) * mean).sum(axis=1)
    return total


def _of_residual(node: Conv2DNode, by: Calibration) -> Float64:
    """What the integers took, on average, from the map that is added."""
    if node.residual is None:
        return np.zeros(len(node.bias))
    tensor = by.tensors[node.residual]
    missing = by.activations[node.residual] - tensor.dequantise(by.met[node.residual])
    mean: Float64 = missing.mean(axis=(0, 1, 2))
    return mean


def _scales(node: Conv2DNode, x_scale: float, by: Calibration) -> Float64:
    scale = _weight_scales(node, x_scale, _most(node, by))
    if by.recipe.weight_scales == "tensor":
        return np.full_like(scale, scale.max())
    return scale


def _most(node: Conv2DNode, by: Calibration) -> int:
    """Return the greatest magnitude of a rounded weight."""
    narrow_from = by.recipe.narrow_from
    is_pointwise = not node.depthwise and node.weight.shape[1:3] == (1, 1)
    is_narrow = is_pointwise and narrow_from is not None and node.weight.size >= narrow_from
    return _MOST_NARROW if is_narrow else _MOST


def _weight_scales(node: Conv2DNode, x_scale: float, most: int) -> Float64:
    """One scale per output channel: by its largest weight, unless the bias asks for more."""
    largest = np.abs(node.weight).max(axis=(1, 2, 3)) / most
    for_bias = np.abs(node.bias) / (x_scale * 2.0**29)
    scales = np.maximum(largest, for_bias)
    # Zeros have any scale; a small one asks for no larger multiplier than the others'.
    chosen: Float64 = np.where(scales > 0.0, np.maximum(scales, _LEAST_SCALE), 1e-12)
    return chosen


def _sampled(node: Conv2DNode, x: Float64) -> Float64:
    """Sample the windows that a convolution sees: (1, samples, taps), or per channel depthwise."""
    pad = node.padding
    edges = ((0, 0), (pad.top, pad.bottom), (pad.left, pad.right), (0, 0))
    padded = np.pad(x, edges)
    rows, columns, _ = node.shape
    count = len(x) * rows * columns
    # An odd stride, prime to the common sizes of maps, so that no column is left out.
    positions = np.arange(0, count, max(1, count // _SAMPLES) | 1)
    image, row, column = np.unravel_index(positions, (len(x), rows, columns))
    _, kernel_rows, kernel_columns, _ = node.weight.shape
    taps = [
        padded[image, row * node.stride + i, column * node.stride + j]
        for i in range(kernel_rows)
        for j in range(kernel_columns)
    ]
    stacked = np.stack(taps, axis=1)  # samples, taps, channels
    if node.depthwise:
        return stacked.transpose(2, 0, 1)
    return stacked.reshape(1, len(stacked), -1)
