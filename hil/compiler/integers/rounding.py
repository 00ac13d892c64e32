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

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

Float64: TypeAlias = npt.NDArray[np.float64]

_DAMPING = 0.003  # of the mean variance, added to every variance


def round_weights(
    weight: Float64, samples: Float64, scale: Float64, most: int = 127
) -> tuple[Float64, Float64]:
    """Round weights.

    Args:
        weight: (out, taps) or of any shape that is read so.
        samples: of the inputs: (1, samples, taps), or (out, samples, taps) where every output has
            inputs of its own.
        scale: of the weights, (out,).
        most: greatest magnitude of a rounded weight.

    Returns:
        Whole numbers in the weights' shape, and the mean error that they leave, (out,), in the
        output's units.
    """
    mean = samples.mean(axis=1)
    centred = torch.from_numpy(samples - mean[:, None, :])
    covariance = (centred.mT @ centred / centred.shape[1]).numpy()
    exact = weight.reshape(len(weight), -1) / scale[:, None]
    rounded = _compensated(exact, covariance, most)
    left = (exact - rounded) * scale[:, None]
    return rounded.reshape(weight.shape), (left * mean).sum(axis=1)


def round_to_nearest(weight: Float64, scale: Float64, most: int = 127) -> Float64:
    """Round each weight by itself, as `round_weights` does not."""
    by_channel = scale.reshape(-1, *[1] * (weight.ndim - 1))
    rounded: Float64 = np.clip(np.rint(weight / by_channel), -most, most)
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
