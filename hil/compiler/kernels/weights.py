"""Weights in the order in which the packed kernels read them, zero points and shifts folded in."""

from collections.abc import Sequence
from enum import Enum

import numpy as np
import numpy.typing as npt

from hil.compiler.code.c import wrap_int32
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Int32

Int64 = npt.NDArray[np.int64]
WIDENED_ORDER = (0, 2, 1, 3)  # the order in which SXTB16 widens four bytes


class Inputs(Enum):
    """How a product's int16 inputs stand."""

    WIDENED = 1  # int8 in the order of `widen`, zero point included
    IN_ORDER = 2  # int8 in their own order, zero point included
    CENTRED = 3  # in their own order, zero point taken off


def product_stream(
    convs: Sequence[Conv2D],
    *,
    inputs: Inputs,
    narrow: bool,
    segments: int = 1,
    planar: bool = False,
) -> Int32:
    """The stream of a matrix product, two channels at a time.

    Biases, weights of two inputs by turns, multipliers, the zero point of both.

    Args:
        convs: whose output channels stand side by side.
        inputs: what stands where the product reads them.
        segments: of a pixel's window; the weights of each are rounded up to an even number.
        narrow: the weights are int8, four in a word, for `matmul_unpack` to widen; unshifted.
        planar: the outputs are int16 with their zero point taken off.
    """
    flat = _flat if narrow else shifted
    weight = np.concatenate([flat(conv) for conv in convs])
    bias = np.concatenate(
        [stream_bias(conv, with_zero_point=inputs is not Inputs.CENTRED) for conv in convs]
    )
    multiplier = np.concatenate([conv.multiplier.astype(np.int64) for conv in convs])
    zero = np.concatenate(
        [np.full(len(conv.weight), 0 if planar else conv.output.zero_point) for conv in convs]
    )
    of_segments = weight.reshape(len(weight), segments, -1)
    missing = of_segments.shape[2] % 2
    weight = np.pad(of_segments, ((0, 0), (0, 0), (0, missing))).reshape(len(weight), -1)
    if inputs is Inputs.WIDENED:
        weight = weight.reshape(len(weight), -1, 4)[:, :, WIDENED_ORDER].reshape(len(weight), -1)
    words = pack(weight[:, 0::2], weight[:, 1::2])
    pairs = []
    for c in range(0, len(weight), 2):
        both = words[c : c + 2].T.reshape(-1)
        ends = bias[c : c + 2], multiplier[c : c + 2], zero[c : c + 1]
        pairs.append(np.concatenate([ends[0], narrow_words(both) if narrow else both, *ends[1:]]))
    return wrap_int32(np.concatenate(pairs))


def is_narrow(convs: Sequence[Conv2D], *, copied: bool) -> bool:
    """Whether a product's weights stand as int8 in flash: they are copied, with one shift.

    Args:
        convs: of one product.
        copied: whether weights are copied to memory before they are read.
    """
    return copied and len({conv.shift for conv in convs}) == 1


def narrow_words(words: Int64) -> Int64:
    """Put two words of two int16 each, int8 in value, in one of four bytes."""
    first, second = words[0::2], words[1::2]
    even = (first & 0xFF) | (first >> 16 & 0xFF) << 16
    odd = (second & 0xFF) | (second >> 16 & 0xFF) << 16
    return even | odd << 8


def _flat(conv: Conv2D) -> Int64:
    return conv.weight.astype(np.int64).reshape(len(conv.weight), -1)


def shifted(conv: Conv2D) -> Int64:
    """Return the weights times 2**shift, (outputs, everything else)."""
    return _flat(conv) << conv.shift


def stream_bias(conv: Conv2D, *, with_zero_point: bool) -> Int64:
    """Return the biases times 2**shift, less the zero point's share if that is folded in.

    Args:
        conv: a convolution.
        with_zero_point: whether the input's zero point is folded in.

    Returns:
        by output channel.
    """
    bias = conv.shifted_bias
    if with_zero_point:
        bias = bias - conv.inputs[0].zero_point * shifted(conv).sum(axis=1)
    return bias


def pack(bottom: Int64, top: Int64) -> Int64:
    """Put two int16 in the halves of a word.

    Args:
        bottom: values for bits 0 to 15.
        top: values for bits 16 to 31, of the same shape.
    """
    return (bottom & 0xFFFF) | (top & 0xFFFF) << 16
