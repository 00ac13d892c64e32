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
_NEARNESS = 0.01  # likewise, where weights are fitted anew


def round_weights(weight: Float64, samples: Float64, scale: Float64, most: int = 127) -> Float64:
    """Round weights to integers, one after the other, so that their errors cancel.

    Args:
        weight: (out, taps) or of any shape that is read so.
        samples: of the inputs: (1, samples, taps), or (out, samples, taps) where every output has
            inputs of its own.
        scale: of the weights, (out,).
        most: greatest magnitude of a rounded weight.

    Returns:
        Whole numbers in the weights' shape.
    """
    covariance = _covariance(samples, samples)
    exact = weight.reshape(len(weight), -1) / scale[:, None]
    rounded: Float64 = _compensated(exact, covariance, most).reshape(weight.shape)
    return rounded


def refitted(weight: Float64, exact: Float64, met: Float64) -> Float64:
    """Change weights such that, on inputs that are not exact, they give what they gave on exact.

    It is the linear regression of the exact outputs on the inputs that are met, held near the
    weights; the means are the bias's matter.

    Args:
        weight: (out, taps) or of any shape that is read so.
        exact: samples of the inputs, as `round_weights` takes them.
        met: the same samples, as they are met.
    """
    share = max(_NEARNESS, met.shape[2] / met.shape[1])  # few samples say little
    covariance = _damped(_covariance(met, met), share)
    missing = _covariance(exact - met, met)
    change = torch.linalg.solve(torch.from_numpy(covariance), torch.from_numpy(missing).mT)
    flat = weight.reshape(len(weight), 1, -1)
    moved = flat + flat @ change.mT.numpy()
    fitted: Float64 = moved.reshape(weight.shape)
    return fitted


def _covariance(one: Float64, other: Float64) -> Float64:
    """(1 or out, taps, taps), of samples (1 or out, samples, taps)."""
    first, second = (torch.from_numpy(s - s.mean(axis=1, keepdims=True)) for s in (one, other))
    both: Float64 = (first.mT @ second / first.shape[1]).numpy()
    return both


def _damped(covariance: Float64, share: float) -> Float64:
    """Add so much of the mean variance to every variance."""
    taps = covariance.shape[1]
    variance = np.trace(covariance, axis1=1, axis2=2) / taps
    added = np.maximum(share * variance, 1e-12)
    damped: Float64 = covariance + added[:, None, None] * np.eye(taps)
    return damped


def round_to_nearest(weight: Float64, scale: Float64, most: int = 127) -> Float64:
    """Round each weight by itself, as `round_weights` does not.

    Args:
        weight: real values.
        scale: of a shape that fits; a weight is scale times its integer.
        most: the greatest absolute value of an integer.

    Returns:
        integers, of the weight's shape.
    """
    by_channel = scale.reshape(-1, *[1] * (weight.ndim - 1))
    rounded: Float64 = np.clip(np.rint(weight / by_channel), -most, most)
    return rounded


def _compensated(weight: Float64, covariance: Float64, most: int) -> Float64:
    """Round (out, taps) column by column; the covariance is that of all rows or of each."""
    taps = weight.shape[1]
    inverse = torch.linalg.inv(torch.from_numpy(_damped(covariance, _DAMPING)))
    factor = torch.linalg.cholesky(inverse).mT.numpy()
    rest = weight.copy()
    rounded = np.empty_like(weight)
    for k in range(taps):
        rounded[:, k] = np.clip(np.rint(rest[:, k]), -most, most)
        error = (rest[:, k] - rounded[:, k]) / factor[:, k, k]
        rest[:, k:] -= error[:, None] * factor[:, k, k:]
    return rounded
