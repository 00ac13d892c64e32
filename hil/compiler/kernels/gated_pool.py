"""The RNNPool layer with GRU or LSTM cells, `gated_pool.c`, fed as `rnnpool.c` is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hil.compiler.code.c import Constant, Fields, identifier, nested, structure, wrap_int32
from hil.compiler.kernels.convolution import conv_comment
from hil.compiler.kernels.cycles import Cost, Part, Work, add
from hil.compiler.kernels.feed import FeedCode
from hil.compiler.kernels.kernel import Choices, Scratch, Site, Step, StepCode, expect
from hil.compiler.kernels.rnnpool import (
    Pooling,
    comment_of,
    conv_and_pool,
    feed_of,
    lines_of,
    parts_of,
    rows_read,
    slack_of,
)
from hil.compiler.kernels.shapes import even, patch_grid, row_bytes
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.operators.gated import GatedCell
from hil.compiler.operators.gated_pool import GatedPool
from hil.compiler.program import Int16, Int32, Operator

_MEMORY = (
    "table",
    "pixel",
    "products",
    "row_products",
    "state",
    "fresh",
    "column_states",
)


class GatedPooling(Pooling):
    """RNNPool layers of gated cells, each with the convolution before it where it alone reads it.

    Rows go in one by one.
    """

    name = "gated_pool"
    parts = ("gated",)
    step_bytes = 300
    code_bytes = 2868

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take a layer, or a convolution and the layer behind it."""
        conv, pool = conv_and_pool(rest, readers)
        if not isinstance(pool, GatedPool):
            return None
        choices = replace(choices, band=1)
        return Step(
            pool.name,
            self,
            (conv, pool) if conv else (pool,),
            (conv or pool).inputs,
            (pool.output,),
            (*(lines_of(conv, choices) if conv else ()), *_scratch(pool, choices)),
            slack_of(conv, pool),
        )

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count both cells' weights, the table, and the convolution's."""
        conv, pool = _gated(step.operators)
        feed = feed_of(conv).constant_bytes(conv, choices) if conv else 0
        cells = sum(_cell_bytes(cell) for cell in (pool.row, pool.summary))
        return feed + cells + pool.table.nbytes + 2 * pool.offset.size

    def stack_bytes(self, step: Step) -> int:
        """None: what the cells work in is in planned memory."""
        del step
        return 0

    def work(self, site: Site) -> Work:
        """Count the convolution, the products and the updates of both cells."""
        conv, pool = _gated(site.step.operators)
        return add(feed_of(conv).work(conv, site) if conv else {}, _work(pool, site))

    def bands(self, step: Step) -> int:
        """Go row by row, whatever the band of others is."""
        del step
        return 0

    def code(self, site: Site) -> StepCode:
        """Call `gated_pool_begin`, then `gated_pool_row` for each row."""
        conv, pool = _gated(site.step.operators)
        name = identifier(pool.name)
        before = feed_of(conv).code(conv, site) if conv else FeedCode()
        cells = {"row": pool.row, "summary": pool.summary}
        zeros = {"row": pool.inputs[0].zero_point, "summary": 0}
        table = Constant(f"{name}_sigmoid", pool.table, "the sigmoid over -8 .. 8")
        return StepCode(
            ("gated_pool.h", *before.headers),
            "\n * ".join([*([conv_comment(conv)] if conv else []), comment_of(pool)]),
            (
                *before.constants,
                *(
                    constant
                    for part, cell in cells.items()
                    for constant in _constants(f"{name}_{part}", cell, zeros[part])
                ),
                table,
                Constant(f"{name}_offset", pool.offset, f"{name}: [summary units]"),
            ),
            before.descriptor + structure("gated_pool_t", name, _fields(pool, name, site)),
            _calls(site, name, before),
            made=f"gated_pool_made(&{name}, calls)",
        )

    def assembly(self, name: str, operators: tuple[Operator, ...], panel: int) -> str:
        """Write the convolution's functions; the cells have none."""
        conv, _ = parts_of(operators)
        return feed_of(conv).assembly(conv) if conv else ""


def _gated(operators: Sequence[Operator]) -> tuple[Conv2D | None, GatedPool]:
    conv, pool = parts_of(operators)
    return conv, expect(pool, GatedPool)


def _product_values(cell: GatedCell) -> int:
    """Values of one input's products: one of each unit and gate."""
    return cell.gates * cell.units


def _state_values(cell: GatedCell) -> int:
    """Values of one sequence's state, an LSTM's memory included."""
    return even(cell.units) * (2 if cell.is_lstm else 1)


def _scratch(pool: GatedPool, choices: Choices) -> tuple[Scratch, ...]:
    columns, channels = pool.inputs[0].shape[1:]
    across = patch_grid(pool)[1]
    cells = (pool.row, pool.summary)
    started = -(-pool.patch // pool.stride)  # patch rows that are open at the same time
    products = columns * max(_product_values(cell) for cell in cells)
    table = (Scratch("table", pool.table.nbytes),)
    return (
        *(() if choices.tables_in_flash else table),
        Scratch("pixel", 2 * even(channels), lasts=False),
        Scratch("state", 2 * max(_state_values(cell) for cell in cells), lasts=False),
        Scratch("fresh", 4 * max(even(cell.units) for cell in cells), lasts=False),
        Scratch("products", 2 * products, lasts=False),
        Scratch("row_products", 2 * pool.patch * across * _product_values(pool.summary)),
        Scratch("column_states", 2 * started * columns * _state_values(pool.row), "sram"),
    )


def _cell_bytes(cell: GatedCell) -> int:
    """Bytes of a cell's arrays, odd rows padded."""
    rows = cell.gates * cell.units
    return rows * (2 * even(cell.w.shape[2]) + 2 * even(cell.units) + 8)


def _padded(weights: Int16) -> Int16:
    """Make rows even."""
    padded: Int16 = np.pad(weights, ((0, 0), (0, 0), (0, weights.shape[2] % 2)))
    return padded


def _bias(cell: GatedCell, zero_point: int) -> Int32:
    """The bias less the zero point's product with W, modulo 2**32."""
    of_zero = cell.w.astype(np.int64).sum(axis=2) * zero_point
    return wrap_int32(cell.bias.astype(np.int64) - of_zero)


def _constants(name: str, cell: GatedCell, zero_point: int) -> tuple[Constant, ...]:
    """Return a cell's arrays for weights.c."""
    return (
        Constant(f"{name}_w", _padded(cell.w), f"{name}: [gates][units][inputs]"),
        Constant(f"{name}_u", _padded(cell.u), "[gates][units][units]"),
        Constant(
            f"{name}_bias", _bias(cell, zero_point), "[gates][units], the zero point folded in"
        ),
        Constant(f"{name}_multiplier", cell.multiplier, "[gates][units]"),
    )


def _cell_fields(name: str, cell: GatedCell) -> Fields:
    """Return the members of a `gated_t`."""
    return {
        "w": f"{name}_w",
        "u": f"{name}_u",
        "bias": f"{name}_bias",
        "multiplier": f"{name}_multiplier",
        "units": cell.units,
        "inputs": int(cell.w.shape[2]),
        "product_shift": cell.product_shift,
        "index_shift": cell.index_shift,
        "index_bits": cell.index_bits,
        "memory_shift": cell.memory_shift,
    }


def _fields(pool: GatedPool, name: str, site: Site) -> Fields:
    """Return the members of the `gated_pool_t`."""
    patch_rows, patch_columns = patch_grid(pool)
    fields: Fields = {
        "row": nested(_cell_fields(f"{name}_row", pool.row), 2),
        "summary": nested(_cell_fields(f"{name}_summary", pool.summary), 2),
        "columns": pool.inputs[0].shape[1],
        "channels": pool.inputs[0].shape[2],
        "out_rows": pool.output.shape[0],
        "out_columns": pool.output.shape[1],
        "patch_rows": patch_rows,
        "patch_columns": patch_columns,
        "patch": pool.patch,
        "stride": pool.stride,
        "offset": f"{name}_offset",
        "shift": pool.shift,
        "sigmoid": f"{name}_sigmoid",
    }
    return fields | {memory: site.planned(memory) for memory in _MEMORY}


def _calls(site: Site, name: str, before: FeedCode) -> tuple[str, ...]:
    """Go row by row, or take the one row of a streamed call."""
    _, pool = parts_of(site.step.operators)
    source, target = site.map(site.step.inputs[0]), site.map(pool.output)
    if before.call:
        feed = [
            f"int8_t *rows = {site.scratch('lines')};",
            before.call.format(source=source, row="row", count="1"),
        ]
    else:
        feed = [f"const int8_t *rows = {source} + row * {row_bytes(pool.inputs[0])};"]
    one = [*feed, f"gated_pool_row(&{name}, rows, row, {target});"]
    if site.is_streamed:
        return ("if (row == 0) {", f"    gated_pool_begin(&{name});", "}", *one)
    return (
        f"gated_pool_begin(&{name});",
        f"for (int32_t row = 0; row < {rows_read(pool)}; row++) {{",
        *(f"    {line}" for line in one),
        "}",
    )


def _work(pool: GatedPool, site: Site) -> Work:
    patch_rows, patch_columns = patch_grid(pool)
    columns, rows = pool.inputs[0].shape[1], rows_read(pool)
    sweeps = rows * patch_columns + patch_rows * columns
    summaries = 4 * patch_rows * patch_columns
    works: list[Work] = []
    for cell, inputs, count, length in (
        (pool.row, rows * columns, sweeps, pool.patch),
        (pool.summary, sweeps, summaries, pool.patch),
    ):
        gates = cell.gates * cell.units
        updates = gates * count * length
        pairs = gates * even(cell.units) // 2 * count * (length - 1)
        pairs += gates * even(cell.w.shape[2]) // 2 * inputs
        works.append({"gated.product": gates * inputs, "gated.gate": updates, "gated.pair": pairs})
        if site.choices.tables_in_flash:
            works.append({"flash.entry": site.wait_states * updates})
    return add(*works)


GATED_POOL = GatedPooling()

GATED = Part(
    "gated",
    code_bytes=1324,
    cycles={
        "gated.product": Cost(73.9, "a gate's product with an input, but for its pairs"),
        "gated.gate": Cost(37.9, "a gate in an update of a unit, but for its pairs"),
        "gated.pair": Cost(9.5, "two multiply-accumulates of a gate, weights in flash"),
    },
)
