"""Weights rounded so that their errors cancel on real inputs.

Rounding each weight to the nearest integer makes errors that add up wherever inputs go together, as
neighbouring pixels and channels of one sign do. Here each weight in turn is rounded, and its error
is made up for by the weights still to be rounded, as far as the inputs' covariance lets them; what
is left on average goes into the bias.

Matrices are PyTorch's, which keeps to one thread where it is told to; numpy's wait for each other
on a busy machine.

Source: Optimal Brain Surgeon (Hassibi and Stork, 1993), in the sequential form of GPTQ (Frantar et
al., 2023), section 3.
"""

import numpy as np
import torch

from hil.compiler.graph import Convolution, Float64

_SAMPLES = 6_000  # windows
_DAMPING = 0.003  # of the mean variance, added to every variance


def round_weights(
    node: Convolution, x: Float64, scale: Float64, most: int = 127
) -> tuple[Float64, Float64]:
    """Round a convolution's weights.

    Args:
        node: the convolution.
        x: its input on the calibration images, (images, rows, columns, channels).
        scale: of the weights, (out,).
        most: greatest magnitude of a rounded weight.

    Returns:
        Whole numbers in the weights' shape, and the bias that makes up for the mean error, (out,).
    """
    windows = _windows(node, x)
    out = len(node.weight)
    # Depthwise, every output channel has inputs of its own: (channels, samples, taps).
    by_channel = windows.transpose(2, 0, 1)
    samples = by_channel if node.depthwise else windows.reshape(1, len(windows), -1)
    mean = samples.mean(axis=1)
    centred = torch.from_numpy(samples - mean[:, None, :])
    covariance = (centred.mT @ centred / centred.shape[1]).numpy()
    weight = node.weight.reshape(out, -1) / scale[:, None]
    rounded = _compensated(weight, covariance, most)
    left = (weight - rounded) * scale[:, None]
    return rounded.reshape(node.weight.shape), node.bias + (left * mean).sum(axis=1)


def round_to_nearest(node: Convolution, scale: Float64, most: int = 127) -> Float64:
    """Round each of a convolution's weights by itself, as `round_weights` does not."""
    by_channel = scale.reshape(-1, 1, 1, 1)
    rounded: Float64 = np.clip(np.rint(node.weight / by_channel), -most, most)
    return rounded


def _compensated(weight: Float64, covariance: Float64, most: int) -> Float64:
    """Round (out, taps) column by column; the covariance is that of all rows or of each."""
    taps = weight.shape[1]
    variance = np.trace(covariance, axis1=1, axis2=2) / taps
    damping = np.maximum(_DAMPING * variance, 1e-12)
    damped = covariance + damping[:, None, None] * np.eye(taps)
    inverse = torch.linalg.inv(torch.from_numpy(damped))
    factor = torch.linalg.cholesky(inverse).mT.numpy()
    rest = weight.copy()
    rounded = np.empty_like(weight)
    for k in range(taps):
        rounded[:, k] = np.clip(np.rint(rest[:, k]), -most, most)
        error = (rest[:, k] - rounded[:, k]) / factor[:, k, k]
        rest[:, k:] -= error[:, None] * factor[:, k, k:]
    return rounded


def _windows(node: Convolution, x: Float64) -> Float64:
    """Sample the windows that the convolution sees: (samples, taps, channels)."""
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
    return np.stack(taps, axis=1)
