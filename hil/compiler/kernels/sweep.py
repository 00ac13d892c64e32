"""The shape of a GRU sweep on the chip: its lines, its product, its working memory, its slack."""

from dataclasses import dataclass

from hil.compiler.kernels.kernel import Choices, Scratch
from hil.compiler.kernels.matmul import MOST_PIXELS, MatMul
from hil.compiler.kernels.shapes import even, row_bytes
from hil.compiler.operators.gru_sweep import GRUSweep

_INT16 = 2**15
_GATES = 3


@dataclass(frozen=True)
class Lines:
    """What a sweep goes along: how many lines side by side, and how far apart in memory.

    Attributes:
        sequences, steps: lines, and patches of each.
        x_sequence, x_step: bytes from one patch to the next across and along the lines.
        y_sequence, y_step: likewise of the output's pixels.
    """

    sequences: int
    steps: int
    x_sequence: int
    x_step: int
    y_sequence: int
    y_step: int


def lines_of(sweep: GRUSweep) -> Lines:
    """Return the lines of a sweep."""
    rows, columns, channels = sweep.output.shape
    across, down = sweep.patch * sweep.inputs[0].shape[2], sweep.patch * row_bytes(sweep.inputs[0])
    along = row_bytes(sweep.output)
    if sweep.along == "columns":
        return Lines(columns, rows, across, down, channels, along)
    return Lines(rows, columns, down, across, along, channels)


def product_of(sweep: GRUSweep) -> MatMul:
    """Return the product of patches with W: r, z and n of every unit in turn, int16."""
    channels = even(_GATES * sweep.forward.units)
    depth = even(sweep.forward.w.shape[2])
    return MatMul(
        depth=depth,
        segments=1,
        segment_bytes=0,
        pixel_bytes=2 * depth,
        channels=channels,
        y_bytes=2,
        y_channel_bytes=2,
        y_pixel_bytes=2 * channels,
        low=-_INT16,
        high=_INT16 - 1,
        runs=(lines_of(sweep).sequences,),
    )


def recurrent_words(sweep: GRUSweep) -> int:
    """Count the words of U as the kernel reads it: for each unit a bias and three rows."""
    units = sweep.forward.units
    return units * (1 + _GATES * state_units(sweep) // 2)


def state_units(sweep: GRUSweep) -> int:
    """Return the states of one sequence in memory, an even number."""
    return even(sweep.forward.units)


def sweep_scratch(sweep: GRUSweep, choices: Choices) -> tuple[Scratch, ...]:
    """Return the working memory.

    Along columns the states of the backward direction wait apart until the forward one has read
    the rows under which the output may lie.

    Args:
        sweep: along columns or rows.
        choices: the schedule's.
    """
    product = product_of(sweep)
    sequences = even(lines_of(sweep).sequences)
    weights = (
        Scratch("weights", 4 * product.stream_words),
        Scratch("recurrent", 4 * recurrent_words(sweep)),
    )
    table = (Scratch("table", 2 << sweep.index_bits),)
    waiting = (Scratch("backward", sweep.output.bytes // 2),)
    return (
        *(() if choices.weights_in_flash else weights),
        *(() if choices.tables_in_flash else table),
        Scratch("window", MOST_PIXELS * product.pixel_bytes),
        Scratch("products", sequences * product.y_pixel_bytes),
        Scratch("states", 2 * 2 * sequences * state_units(sweep)),
        *(waiting if sweep.along == "columns" else ()),
    )


def sweep_slack(sweep: GRUSweep) -> int | None:
    """Return how far after its input's start the output may start.

    Along columns an output row is written when its patches have been read for the last time; along
    rows the first column is written while all rows are still to be read.
    """
    if sweep.along == "rows":
        return None
    source = sweep.inputs[0]
    in_row, out_row = sweep.patch * row_bytes(source), row_bytes(sweep.output)
    last = sweep.output.shape[0]
    slack = source.bytes - sweep.output.bytes
    return min([slack, *(row * (in_row - out_row) for row in range(1, last))])
