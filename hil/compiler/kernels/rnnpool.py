"""The RNNPool layer, `rnnpool.c`, fed by rows of a map or of the convolution before it."""

from collections.abc import Mapping, Sequence
from math import gcd

import numpy as np

from hil.compiler.code.c import Constant, Fields, identifier, nested, structure
from hil.compiler.kernels.conv2d import CONV2D_FEED
from hil.compiler.kernels.convolution import conv_comment
from hil.compiler.kernels.cycles import Work, add
from hil.compiler.kernels.fastgrnn import CellCode, cell_bytes, pair_up
from hil.compiler.kernels.fastgrnn_sparse import suits as is_sparse
from hil.compiler.kernels.feed import Feed, FeedCode
from hil.compiler.kernels.heads import HEADS_FEED
from hil.compiler.kernels.kernel import (
    Access,
    Choices,
    Kernel,
    Scratch,
    Site,
    Step,
    StepCode,
    expect,
)
from hil.compiler.kernels.pool_store import store, suits_store
from hil.compiler.kernels.shapes import patch_grid, row_bytes
from hil.compiler.kernels.stem import STEM_FEED
from hil.compiler.kernels.windowed import WINDOWED_FEED
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.operators.fastgrnn import Cell
from hil.compiler.operators.gated_pool import GatedPool
from hil.compiler.operators.patch_pool import PatchPool
from hil.compiler.operators.rnnpool import RNNPool
from hil.compiler.program import Operator
from hil.limits import check_limit

FEEDS: tuple[Feed, ...] = (STEM_FEED, HEADS_FEED, WINDOWED_FEED, CONV2D_FEED)
"""The ways to compute the convolution before the layer; the first that takes it does."""

_MEMORY = (
    "row_table",
    "summary_table",
    "pixel_products",
    "row_products",
    "row_summaries",
    "row_states",
    "column_states",
)
_STORE = "(const int16_t *, const int16_t *, int32_t, int8_t *)"
_SUMMARY_CALLS = 1.5  # times a call's cycles: the summary's states go out as int8


class Pooling(Kernel):
    """RNNPool layers, each with the convolution before it where it alone reads it."""

    name = "rnnpool"
    parts = ("fastgrnn",)
    step_bytes = 600
    code_bytes = 2392

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take an RNNPool layer, or a convolution and the layer behind it."""
        conv, pool = conv_and_pool(rest, readers)
        if not isinstance(pool, RNNPool):
            return None
        for cell in (pool.row, pool.summary):
            check_limit(pool.name, "units", cell.units, "FASTGRNN_MOST_UNITS")
        return Step(
            pool.name,
            self,
            (conv, pool) if conv else (pool,),
            (conv or pool).inputs,
            (pool.output,),
            (*(lines_of(conv, choices) if conv else ()), *_scratch(pool, choices)),
            slack_of(conv, pool),
            choices.band,
        )

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count both cells' weights and tables, and the convolution's."""
        conv, pool = _fastgrnn(step.operators)
        feed = feed_of(conv).constant_bytes(conv, choices) if conv else 0
        return feed + cell_bytes(pool.row) + cell_bytes(pool.summary) + 3 * pool.offset.size

    def files(self, step: Step) -> tuple[str, ...]:
        """Add those of the convolution."""
        conv, _ = parts_of(step.operators)
        return (*super().files(step), *(feed_of(conv).files if conv else ()))

    def stack_bytes(self, step: Step) -> int:
        """Count what C keeps on the stack of a cell that has no code, or is given wide pixels."""
        _, pool = _fastgrnn(step.operators)
        row, summary, _ = _cells(pool)
        return max(row.stack_bytes(of_pixels=True), summary.stack_bytes(of_pixels=False))

    def work(self, site: Site) -> Work:
        """Count the convolution, and the updates of both cells."""
        conv, pool = _fastgrnn(site.step.operators)
        return add(feed_of(conv).work(conv, site) if conv else {}, _work(pool, site))

    def access(self, step: Step) -> Access:
        """Return a band of rows, or those under the convolution's windows of a band."""
        conv, pool = parts_of(step.operators)
        calls, band = rows_read(pool) // step.band, step.band
        if conv is None:
            return Access(calls, band, band, 0)
        top, kernel = conv.padding.top, conv.weight.shape[1]
        reach = (band - 1) * conv.stride - top + kernel
        return Access(calls, band * conv.stride, reach, -top)

    def made(self, step: Step, calls: int) -> int:
        """Count the patch rows that are complete; the last one is repeated to the output's end."""
        _, pool = parts_of(step.operators)
        rows = calls * step.band
        if rows < pool.patch:
            return 0
        made = (rows - pool.patch) // pool.stride + 1
        return made if made < patch_grid(pool)[0] else pool.output.shape[0]

    def bands(self, step: Step) -> int:
        """Return what divides both patch and stride."""
        _, pool = parts_of(step.operators)
        return gcd(pool.patch, pool.stride)

    def code(self, site: Site) -> StepCode:
        """Call `rnnpool_begin`, then `rnnpool_rows` for each band."""
        conv, pool = _fastgrnn(site.step.operators)
        name = identifier(pool.name)
        *cells, order = _cells(pool)
        before = feed_of(conv).code(conv, site) if conv else FeedCode()
        return StepCode(
            ("rnnpool.h", *before.headers),
            "\n * ".join([*([conv_comment(conv)] if conv else []), comment_of(pool)]),
            (
                *before.constants,
                *(constant for cell in cells for constant in cell.constants()),
                Constant(f"{name}_offset", pool.offset[order], f"{name}: [summary units]"),
                Constant(f"{name}_order", np.array(order, np.int8), "the channel of each unit"),
            ),
            "".join(cell.prototypes() for cell in cells)
            + (f"void {name}_store{_STORE};\n" if suits_store(len(order)) else "")
            + before.descriptor
            + structure("rnnpool_t", name, _fields(pool, cells, site)),
            _calls(site, name, before),
            made=f"rnnpool_made(&{name}, calls * {name}.band)",
        )

    def assembly(self, name: str, operators: tuple[Operator, ...], panel: int) -> str:
        """Write the convolution's functions and both cells'."""
        conv, pool = _fastgrnn(operators)
        feed = feed_of(conv).assembly(conv) if conv else ""
        *cells, order = _cells(pool)
        out = (
            store(f"{identifier(name)}_store", order, pool.shift).text
            if suits_store(len(order))
            else ""
        )
        return feed + "".join(cell.assembly() for cell in cells) + out


def feed_of(conv: Conv2D) -> Feed:
    """Return the way in which a convolution before the layer is computed."""
    return next(feed for feed in FEEDS if feed.takes(conv))


def conv_and_pool(
    rest: Sequence[Operator], readers: Mapping[str, int]
) -> tuple[Conv2D | None, Operator | None]:
    """Look for a layer that may be a pooling, and the convolution before it that it takes in.

    Args:
        rest: operators from here on.
        readers: how many operators read each tensor, by its name.

    Returns:
        The convolution, None without one, and the layer; None and None where others read the
        convolution's map too.
    """
    first = rest[0]
    if not (isinstance(first, Conv2D) and first.residual is None and len(rest) > 1):
        return None, first
    pool, between = rest[1], first.output.name
    feeds = pool.inputs[0].name == between and readers[between] == 1
    return (first, pool) if feeds else (None, None)


def parts_of(operators: Sequence[Operator]) -> tuple[Conv2D | None, PatchPool]:
    """Return the convolution of a step, if there is one, and the layer."""
    conv = expect(operators[0], Conv2D) if len(operators) == 2 else None
    return conv, expect(operators[-1], PatchPool)


def _fastgrnn(operators: Sequence[Operator]) -> tuple[Conv2D | None, RNNPool]:
    conv, pool = parts_of(operators)
    return conv, expect(pool, RNNPool)


def _cells(pool: RNNPool) -> tuple[CellCode, CellCode, list[int]]:
    """Return both cells as they are written, and the channel that each of RNN2's units is."""
    name = identifier(pool.name)
    row, summary, order = pair_up(pool.row, pool.summary)
    zero = pool.inputs[0].zero_point
    return CellCode(f"{name}_row", row, zero), CellCode(f"{name}_summary", summary, 0), order


def rows_read(pool: PatchPool) -> int:
    """Count the input rows that patches read."""
    return (patch_grid(pool)[0] - 1) * pool.stride + pool.patch


def lines_of(conv: Conv2D, choices: Choices) -> tuple[Scratch, ...]:
    """Return the memory of a band of the convolution's rows, and what computes them.

    Args:
        conv: the one that runs into the pooling layer.
        choices: the schedule's; `band` says how many rows.
    """
    lines = Scratch("lines", choices.band * row_bytes(conv.output), "sram", lasts=False)
    return lines, *feed_of(conv).scratch(conv, choices)


def _scratch(pool: RNNPool, choices: Choices) -> tuple[Scratch, ...]:
    columns = pool.inputs[0].shape[1]
    across = patch_grid(pool)[1]
    row, summary = pool.row.units, pool.summary.units
    started = -(-pool.patch // pool.stride)  # patch rows that are open at the same time
    tables = (
        Scratch("row_table", 4 * row << pool.row.index_bits),
        Scratch("summary_table", 4 * summary << pool.summary.index_bits, "sram"),
    )
    of_row = Scratch("row_products", 4 * pool.patch * across * summary)
    if choices.keeps_summaries and row % 2 == 0:
        of_row = Scratch("row_summaries", 2 * pool.patch * across * row)
    copied = 0 if choices.tables_in_flash else 1 if choices.summary_table_in_flash else 2
    return (
        *tables[:copied],
        Scratch("row_states", 2 * across * max(row, summary), lasts=False),
        of_row,
        Scratch("pixel_products", 4 * columns * max(choices.band * row, summary), lasts=False),
        Scratch("column_states", 2 * started * columns * row, "sram"),
    )


def slack_of(conv: Conv2D | None, pool: PatchPool) -> int:
    """Return how far after its input's start a pooled map may start.

    A pooled row is written when the last row under its patches has gone in, and the rows before
    the next band's are never read again; the last pooled row is written when all rows have.

    Args:
        conv: the one that runs into the pooling layer, if there is one.
        pool: the pooling layer.

    Returns:
        bytes; negative where the pooled map has to start first.
    """
    source = conv.inputs[0] if conv else pool.inputs[0]
    in_row, out_row = row_bytes(source), row_bytes(pool.output)
    slack = source.bytes - pool.output.bytes
    for row in range(patch_grid(pool)[0] - 1):
        unread = row * pool.stride + pool.patch
        if conv is not None:
            unread = max(0, unread * conv.stride - conv.padding.top)
        slack = min(slack, unread * in_row - (row + 1) * out_row)
    return slack


def _fields(pool: RNNPool, cells: Sequence[CellCode], site: Site) -> Fields:
    """Return the members of the `rnnpool_t`."""
    name = identifier(pool.name)
    patch_rows, patch_columns = patch_grid(pool)
    fields: Fields = {
        "row": nested(cells[0].fields(), 2),
        "summary": nested(cells[1].fields(), 2),
        "columns": pool.inputs[0].shape[1],
        "channels": pool.inputs[0].shape[2],
        "out_rows": pool.output.shape[0],
        "out_columns": pool.output.shape[1],
        "patch_rows": patch_rows,
        "patch_columns": patch_columns,
        "patch": pool.patch,
        "stride": pool.stride,
        "offset": f"{name}_offset",
        "order": f"{name}_order",
        "shift": pool.shift,
        "band": site.step.band,
        "chunk": _chunk(pool, site.step),
    }
    if suits_store(pool.summary.units):
        fields["store"] = f"HIL_CORTEX_M4_CODE({name}_store)"
    return fields | {memory: site.planned(memory) for memory in _MEMORY}


def _chunk(pool: RNNPool, step: Step) -> int:
    """Count the rows whose products fit where those of pixels were; 0 where products are kept."""
    if not step.scratch_bytes("row_summaries"):
        return 0
    row_bytes = 4 * patch_grid(pool)[1] * pool.summary.units
    return min(pool.patch, step.scratch_bytes("pixel_products") // row_bytes)


def _calls(site: Site, name: str, before: FeedCode) -> tuple[str, ...]:
    """Go band by band, or through the one band of a streamed call."""
    _, pool = parts_of(site.step.operators)
    source = site.map(site.step.inputs[0])
    target = site.map(pool.output)
    if before.call:
        feed = [
            f"int8_t *rows = {site.scratch('lines')};",
            before.call.format(source=source, row="first", count=f"{name}.band"),
        ]
    else:
        feed = [f"const int8_t *rows = {source} + first * {row_bytes(pool.inputs[0])};"]
    band = [*feed, f"rnnpool_rows(&{name}, rows, first, {target});"]
    if site.is_streamed:
        return (
            f"const int32_t first = row * {name}.band;",
            "if (first == 0) {",
            f"    rnnpool_begin(&{name});",
            "}",
            *band,
        )
    return (
        f"rnnpool_begin(&{name});",
        f"for (int32_t first = 0; first < {rows_read(pool)}; first += {name}.band) {{",
        *(f"    {line}" for line in band),
        "}",
    )


def _work(pool: RNNPool, site: Site) -> Work:
    patch_rows, patch_columns = patch_grid(pool)
    columns = pool.inputs[0].shape[1]
    rows = rows_read(pool)
    sweeps = rows * patch_columns + patch_rows * columns
    summaries = 4 * patch_rows * patch_columns
    calls = rows * patch_columns + patch_rows * columns * pool.patch / site.step.band
    product = "fastgrnn.sparse_product" if is_sparse(pool.summary) else "fastgrnn.dense_product"
    multiplied, summary_calls = sweeps, _SUMMARY_CALLS * summaries
    chunk = _chunk(pool, site.step)
    if chunk:
        chunks = -(-pool.patch // chunk)
        again = pool.patch + (chunks - 1) * chunk  # rows that a patch multiplies, both ways
        multiplied += patch_columns * (patch_rows * again - rows)
        summary_calls += 2 * (chunks - 1) * patch_rows * patch_columns
    of_rows = "pixel_products" if chunk else "row_products"
    return add(
        _updates(pool.row, sweeps * pool.patch, sweeps),
        _updates(pool.summary, summaries * pool.patch, summaries),
        _reads(pool.row, sweeps * pool.patch, site, ("row_table", "pixel_products")),
        _reads(pool.summary, summaries * pool.patch, site, ("summary_table", of_rows)),
        {_call(pool.row): calls},
        {_call(pool.summary): summary_calls},
        {"fastgrnn.pixel": rows * columns * pool.row.units},
        {product: multiplied * pool.summary.units},
    )


def _updates(cell: Cell, steps: float, starts: float) -> Work:
    """Count a cell's updates, the first of each sequence apart."""
    each = "fastgrnn.sparse_update" if is_sparse(cell) else "fastgrnn.dense_update"
    return {each: cell.units * (steps - starts), "fastgrnn.start": cell.units * starts}


def _reads(cell: Cell, steps: float, site: Site, memory: tuple[str, str]) -> Work:
    """Count updates whose table is in flash, and those whose products lie in another memory.

    In another memory than the weights a product's load hides behind none of theirs; the dense code
    loads products by themselves.
    """
    table, products = memory
    work: dict[str, float] = {}
    if table not in site.memory:
        work["flash.entry"] = site.wait_states * cell.units * steps
    if site.memory[products].region != "ccm" and is_sparse(cell):
        work["fastgrnn.apart"] = cell.units * steps
    return work


def _call(cell: Cell) -> str:
    return "fastgrnn.sparse_call" if is_sparse(cell) else "fastgrnn.dense_call"


def comment_of(pool: RNNPool | GatedPool) -> str:
    """Return a pooling layer's shape, for a comment."""
    rows, columns, channels = pool.inputs[0].shape
    out_rows, out_columns, out_channels = pool.output.shape
    return (
        f"{pool.name}: RNNPool, {pool.patch}x{pool.patch} patches every {pool.stride}, "
        f"{rows}x{columns}x{channels} -> {out_rows}x{out_columns}x{out_channels}, "
        f"{pool.row.units} and {pool.summary.units} units"
    )


RNNPOOL = Pooling()
