"""Weights of panels in an entropy code, which `coded.c` decodes where a panel comes to memory.

Two weights of a channel make a pair. Its low bits are as good as random and stand as they are; a
canonical Huffman code of its high bits follows. A code has at most `CODED_MOST_BITS` bits, so one
look into a table of 512 words decodes a pair. Each panel has a code of its own.

Source: Larmore, Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", Journal of
the ACM 37(3), 1990: the lengths of the codes, by package-merge.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hil.compiler.code.c import wrap_int32
from hil.compiler.kernels.cycles import Factor, Part, Work
from hil.compiler.kernels.kernel import Choices
from hil.compiler.kernels.matmul import MatMul
from hil.compiler.kernels.panels import Panels, Storage
from hil.compiler.kernels.product import narrow_bytes
from hil.compiler.kernels.weights import Inputs, product_stream
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Int32
from hil.limits import limit

Int64 = npt.NDArray[np.int64]

DECODED = Factor(
    3.0,
    "cycles that decoding a weight takes beyond copying it, over those of widening a value",
    measured=3.0,
    kept="",
)

_MOST_BITS = limit("CODED_MOST_BITS")
_SIDE = 8  # values of a weight's high bits
_SYMBOLS = _SIDE * _SIDE
_RAW = (3, 4, 5)  # low bits that stand as they are, the fewest first
_PER_WORD = 8  # lengths of codes
_ENDS = (0, 1, -3, -2)  # of a pair's words: biases and multipliers
_ZERO = -1


@dataclass(frozen=True)
class _Panel:
    """What a panel's stream is made of.

    Attributes:
        ends: (pairs, 4) biases and multipliers of two channels.
        weights: (count, 2) of inputs that follow each other, in the order in which they are read.
        raw: low bits of a weight that stand as they are.
        lengths: (64,) bits of each symbol's code.
    """

    ends: Int64
    weights: Int64
    zero: int
    raw: int
    lengths: Int64

    @property
    def symbols(self) -> Int64:
        """(count,) what the codes are of."""
        return _symbols(self.weights, self.raw)

    @property
    def code_words(self) -> int:
        """Words of the codes, with the one that ends them."""
        return _words(int(self.lengths[self.symbols].sum()) + 2 * self.raw * len(self.weights)) + 1

    @property
    def words(self) -> int:
        """Words in all."""
        return 3 + _SYMBOLS // _PER_WORD + self.ends.size + self.code_words


class Coded(Storage):
    """Weights in an entropy code, `coded_unpack` in C."""

    table_bytes = 4 * limit("CODED_TABLE_WORDS")

    def suits(self, conv: Conv2D, panels: Panels, choices: Choices) -> bool:
        """Whether codes are asked for, weights are not shifted, and codes are shorter."""
        if not choices.coded or conv.shift:
            return False
        channels = panels.product.channels
        product = replace(panels.product, channels=conv.output.shape[2])
        return _coded_bytes(conv, product, channels) < narrow_bytes(product)

    def stream(self, conv: Conv2D, panels: Panels, *, planar: bool = False) -> Int32:
        """Return the words that `coded_unpack` reads, panel by panel."""
        return coded_stream(_wide(conv, planar=planar), panels)

    def stream_bytes(self, conv: Conv2D, product: MatMul, panel: int) -> int:
        """Count them, without making them."""
        return _coded_bytes(conv, product, panel)

    def work(self, product: MatMul, panel: int) -> Work:
        """Count decoding every weight once, and for each panel the entries of its table."""
        weights = product.channels * product.segments * product.depth
        entries = Panels.of(product, panel).count * self.table_bytes // 4
        return {"widen.value": DECODED.factor * (weights + entries)}


@lru_cache(maxsize=1024)
def _coded_bytes(conv: Conv2D, product: MatMul, panel: int) -> int:
    return 4 * sum(part.words for part in _cut(_wide(conv), Panels.of(product, panel)))


def _wide(conv: Conv2D, *, planar: bool = False) -> Int32:
    return product_stream([conv], inputs=Inputs.WIDENED, narrow=False, planar=planar)


def coded_stream(wide: Int32, panels: Panels) -> Int32:
    """Put a product's weights into codes, panel by panel.

    Args:
        wide: the stream of the whole product with weights of int16, unshifted.
        panels: how the product is cut.

    Returns:
        the words that `coded_unpack` reads: firmware/kernels/coded.h.
    """
    return wrap_int32(np.concatenate([_words_of(panel) for panel in _cut(wide, panels)]))


def code_lengths(counts: Int64) -> Int64:
    """Choose the bits of each symbol's code, so that all together are the fewest.

    Args:
        counts: (64,) how often each symbol comes.

    Returns:
        (64,) of at most `CODED_MOST_BITS` bits, 0 of a symbol that does not come. The code is
        complete: where there is one symbol only, another has a code that is not used.
    """
    used = [int(symbol) for symbol in np.flatnonzero(counts)]
    used += [symbol for symbol in range(2) if symbol not in used][: 2 - min(2, len(used))]
    coins = sorted((max(1, int(counts[symbol])), (symbol,)) for symbol in used)
    packages: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(_MOST_BITS):
        merged = sorted(coins + packages)
        packages = [
            (a[0] + b[0], a[1] + b[1]) for a, b in zip(merged[0::2], merged[1::2], strict=False)
        ]
    lengths = np.zeros(_SYMBOLS, np.int64)
    for _, symbols in packages[: len(used) - 1]:
        for symbol in symbols:
            lengths[symbol] += 1
    return lengths


def _cut(wide: Int32, panels: Panels) -> Iterator[_Panel]:
    """Yield the panels of a product's stream."""
    product = panels.product
    pairs = wide.astype(np.int64).reshape(-1, product.stream_words // (product.channels // 2))
    for first in range(0, len(pairs), product.channels // 2):
        panel = pairs[first : first + product.channels // 2]
        words = panel[:, 2:-3].reshape(-1)
        weights = np.stack([(words & 0xFFFF ^ 0x8000) - 0x8000, words >> 16], axis=1)
        raw = next(raw for raw in _RAW if _is_within(weights, raw))
        lengths = code_lengths(np.bincount(_symbols(weights, raw), minlength=_SYMBOLS))
        yield _Panel(panel[:, _ENDS], weights, int(panel[0, _ZERO]), raw, lengths)


def _is_within(weights: Int64, raw: int) -> bool:
    least, most = -(_SIDE // 2) << raw, (_SIDE // 2 << raw) - 1
    return bool(least <= weights.min() and weights.max() <= most)


def _symbols(weights: Int64, raw: int) -> Int64:
    high = (weights >> raw) + _SIDE // 2
    symbols: Int64 = _SIDE * high[:, 0] + high[:, 1]
    return symbols


def _words(bits: int) -> int:
    return -(-bits // 32)


def _words_of(panel: _Panel) -> Int64:
    nibbles = panel.lengths.reshape(-1, _PER_WORD) << 4 * np.arange(_PER_WORD)
    return np.concatenate(
        [
            [panel.words, panel.raw, panel.zero],
            nibbles.sum(axis=1),
            panel.ends.reshape(-1),
            _codes(panel),
        ]
    )


def _codes(panel: _Panel) -> Int64:
    """Put two weights after two weights into words, the first bit lowest."""
    symbols, raw = panel.symbols, panel.raw
    low = panel.weights & (1 << raw) - 1
    value = low[:, 0] | low[:, 1] << raw | _canonical(panel.lengths)[symbols] << 2 * raw
    length = panel.lengths[symbols] + 2 * raw
    at = np.cumsum(length) - length
    words = np.zeros(panel.code_words, np.int64)
    # Bits of different weights never meet, so that adding them is as good as or.
    np.add.at(words, at // 32, value << at % 32 & 0xFFFFFFFF)
    np.add.at(words, at // 32 + 1, value << at % 32 >> 32)
    return words


def _canonical(lengths: Int64) -> Int64:
    """Return the codes by symbol: shorter ones first, each with its first bit lowest."""
    codes = np.zeros(_SYMBOLS, np.int64)
    code = 0
    previous = 0
    for length, symbol in sorted((int(n), s) for s, n in enumerate(lengths) if n):
        code <<= length - previous
        previous = length
        codes[symbol] = int(f"{code:0{length}b}"[::-1], 2)
        code += 1
    return codes


CODED = Part("coded", code_bytes=1088)
