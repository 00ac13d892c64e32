"""What a kernel's work costs on a Cortex-M4: cycles of each kind of work, in one table.

A kernel counts its work by these names (`Kernel.work`). The sum of counts times cycles ranks
schedules; it does not replace a measurement. `hil bench kernels --fit` measures small layers on the
emulated board and prints what a fit gives beside these.
"""

from collections.abc import Mapping
from typing import TypeAlias

Work: TypeAlias = Mapping[str, float]
"""How much of each kind of work, by the names of `CYCLES`."""

CYCLES = {
    # products of matrices, `matmul.c`
    "product.step_1": 7.43,  # two inputs of a pixel and two channels
    "product.step_2": 9.18,  # two inputs of two pixels and two channels
    "product.step_3": 12.24,  # two inputs of three pixels and two channels
    "product.ends": 38.0,  # two channels of the pixels taken at a time: begin, requantise, store
    "product.residual": 18.0,  # two channels of the pixels taken at a time: add a map
    "widen.value": 2.6,  # a value widened to int16
    # flash
    "flash.word": 0.52,  # more for a word read in order from flash, for each wait state
    "flash.entry": 1.4,  # more for a word read from flash at random, for each wait state
    # kernels
    "conv2d.mac": 17.0,  # a multiply-accumulate of a dense convolution
    "conv2d.depthwise_mac": 41.1,  # a multiply-accumulate of a depthwise one
    "inverted_residual.mac": 36.1,  # a multiply-accumulate
    "depthwise.output": 14.0,  # an output
    "streamed_block.spread": 6.0,  # a value of a block without expansion
    "windowed.gather": 10.2,  # a value of a window whose channels are not in words
    "scale.value": 8.61,  # a value
    "concat.value": 9.47,  # a value
    "l2norm.value": 18.0,  # a value
    "lookup.value": 8.6,  # a value
    "maxout.value": 12.1,  # a value read
    "pool2d.average": 4.8,  # a value in a window
    "pool2d.max": 4.98,  # a value in a window
    "stem.pixel": 64.0,  # a pixel of four channels
    # FastGRNN cells, `fastgrnn.c`
    "fastgrnn.sparse_update": 16.1,  # an update of a unit, in straight-line code
    "fastgrnn.dense_update": 27.3,  # an update of a unit, in blocked code
    "fastgrnn.start": 6.5,  # a first update of a unit, from a zero state
    "fastgrnn.sparse_call": 34.0,  # a sequence and call: states in and out
    "fastgrnn.dense_call": 57.0,  # a sequence and call: states in and out
    "fastgrnn.apart": 1.0,  # more for an update whose products lie apart from the weights
    "fastgrnn.pixel": 5.0,  # a unit's product with a pixel
    "fastgrnn.sparse_product": 12.0,  # a unit's product with a state
    "fastgrnn.dense_product": 20.0,  # a unit's product with a state
    # GRUs, `gru.c`
    "gru.update": 41.0,  # an update of a unit
    "gru.state": 3.0,  # a state in an update of a unit: three multiply-accumulates
}
"""Cycles by name; the comments say of what."""


KEPT = (
    "product.step_2",
    "product.step_3",
    "product.ends",
    "product.residual",
    "widen.value",
    "flash.word",
    "flash.entry",
    "depthwise.output",
    "streamed_block.spread",
    "l2norm.value",
    "pool2d.average",
    "stem.pixel",
    "fastgrnn.sparse_update",
    "fastgrnn.dense_update",
    "fastgrnn.start",
    "fastgrnn.sparse_call",
    "fastgrnn.dense_call",
    "fastgrnn.apart",
    "fastgrnn.pixel",
    "fastgrnn.sparse_product",
    "fastgrnn.dense_product",
    "gru.update",
    "gru.state",
)
"""Work whose cycles stay, although a fit gives others: they choose today's schedules."""


def cycles_of(work: Work, cycles: Mapping[str, float] = CYCLES) -> float:
    """Return the cycles of some work."""
    return sum(cycles[name] * count for name, count in work.items())


def times(factor: float, work: Work) -> dict[str, float]:
    """Return a work so many times."""
    return {name: factor * count for name, count in work.items()}


def add(*works: Work) -> dict[str, float]:
    """Return several pieces of work as one."""
    total: dict[str, float] = {}
    for work in works:
        for name, count in work.items():
            total[name] = total.get(name, 0.0) + count
    return total
