"""A block's expansion and depthwise convolution by panels, `expand_filter.c`.

An inverted residual whose weights need too much memory at once is cut in two: this kernel, and the
projection by itself. The map between them is stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from hil.compiler.code.c import Constant, Fields, identifier, nested, structure
from hil.compiler.kernels.block import block_of, expanded_of, front_of
from hil.compiler.kernels.coded import Coded
from hil.compiler.kernels.convolution import conv_comment
from hil.compiler.kernels.cycles import Work, add
from hil.compiler.kernels.depthwise import (
    DepthwiseRow,
    depthwise,
    narrow_depthwise,
    row_fields,
)
from hil.compiler.kernels.kernel import (
    Choices,
    Kernel,
    Scratch,
    Site,
    Step,
    StepCode,
    call,
    expect,
)
from hil.compiler.kernels.matmul import MatMul
from hil.compiler.kernels.panels import (
    PAIR,
    Panels,
    Storage,
    is_held,
    panel_channels,
    panels_assembly,
    panels_fields,
    panels_prototypes,
    widen_work,
    window_bytes,
)
from hil.compiler.kernels.product import STREAM, product_work
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Operator
from hil.errors import BuildError

_FILTER_BYTES = 4 * 12  # of a depthwise channel's weights and biases in memory
_NARROW_FILTER_BYTES = 4 * 5  # of the same in flash
_ROW = "(const int16_t *, const int32_t *, const int32_t *, int8_t *)"
_FILTERS = "for each channel: three rows of weights w0, w1, w1, w2, bias, multiplier"


class ExpandFilter(Kernel):
    """The first two convolutions of a block whose weights may not be copied at once.

    Attributes:
        storage: how the expansion's weights stand in flash.
    """

    name = "expand_filter"
    parts: tuple[str, ...] = ("matmul", "panels", "depthwise")
    step_bytes = 332
    code_bytes = 1096
    storage: ClassVar[Storage] = Storage()

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take the front of a packed block that needs more than `choices.panel_bytes`."""
        limit = choices.panel_bytes
        convs = expanded_of(rest, readers)
        block = block_of(*convs) if convs else None
        if convs is None or block is None or block.expand is None or limit is None:
            return None
        needed = 4 * block.weight_words + block.expand.window_bytes
        if choices.weights_in_flash or needed <= limit:
            return None
        expand, filtered, _ = convs
        row = _filter_row(block.filter, filtered, block.filter.channels)
        if not row.is_reachable:
            return None
        window = window_bytes(expand, block.expand, limit)
        stream_bytes = 4 * PAIR * block.expand.stream_words // block.expand.channels
        pair_bytes = stream_bytes + PAIR * _FILTER_BYTES
        table = self.storage.table_bytes
        panel = panel_channels(row.channels, pair_bytes, limit - window - table)
        if panel is None:
            return None
        if not self.storage.suits(expand, Panels.of(block.expand, panel), choices):
            return None
        return Step(
            filtered.name,
            self,
            (expand, filtered),
            expand.inputs,
            (filtered.output,),
            (
                Scratch("copy", panel // PAIR * stream_bytes + table),
                Scratch("filters", panel * _FILTER_BYTES),
                Scratch("pixels", window, lasts=False),
                Scratch("ring", 3 * panel * row.slot_bytes, "sram"),
            ),
            panel=panel,
        )

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count the product's weights and the filter's."""
        (expand, _), product, row = _parts(step.operators)
        narrow = self.storage.stream_bytes(expand, product, step.panel)
        return narrow + _NARROW_FILTER_BYTES * row.channels

    def work(self, site: Site) -> Work:
        """Count widening, the product, and the depthwise rows."""
        (expand, filtered), product, _ = _parts(site.step.operators)
        rows, columns, _ = expand.output.shape
        return add(
            widen_work(site.step, expand, product),
            product_work(product, rows * columns),
            {"depthwise.output": filtered.output.bytes},
            self.storage.work(product, site.step.panel),
        )

    def code(self, site: Site) -> StepCode:
        """Call `expand_filter`."""
        step = site.step
        (expand, filtered), product, row = _parts(step.operators)
        name = identifier(step.name)
        rows, columns, channels = expand.inputs[0].shape
        panels = Panels.of(product, step.panel)
        filters = _filters(name, row, filtered, panels)
        fields: Fields = {
            "expand": nested(panels_fields(f"{name}_expand", panels, expand, columns), 2),
            **{member: nested(_filter_fields(code, part), 2) for member, code, part in filters},
            "filter_shift": filtered.shift,
            "rows": rows,
            "columns": columns,
            "channels": channels,
            "out_rows": filtered.output.shape[0],
            "out_row_bytes": filtered.output.shape[1] * filtered.output.shape[2],
            "top": filtered.padding.top,
            "left": filtered.padding.left,
            "expand_weights": f"{name}_expand",
            "filter_weights": f"{name}_filters",
            "held": is_held(step, product),
        }
        memory = ("copy", "filters", "pixels", "ring")
        fields |= {member: site.scratch(member) for member in memory}
        x, y = site.arena(step.inputs[0]), site.arena(step.outputs[0])
        stream = self.storage.stream(expand, panels, planar=True)
        return StepCode(
            (f"{self.name}.h",),
            "\n * ".join(conv_comment(conv) for conv in (expand, filtered)),
            (
                Constant(f"{name}_expand", stream, STREAM),
                Constant(f"{name}_filters", narrow_depthwise(filtered), _FILTERS),
            ),
            panels_prototypes(f"{name}_expand", panels, columns)
            + "".join(f"void {code}{_ROW};\n" for _, code, _ in filters)
            + structure("expand_filter_t", name, fields),
            (call(self.name, f"&{name}", x, y),),
        )

    def assembly(self, name: str, operators: tuple[Operator, ...], panel: int) -> str:
        """Write the products and the depthwise rows of a panel and of the channels left over."""
        (_, filtered), product, row = _parts(operators)
        code, panels = identifier(name), Panels.of(product, panel)
        columns = filtered.inputs[0].shape[1]
        rows = _filters(code, row, filtered, panels)
        return panels_assembly(f"{code}_expand", panels, columns) + "".join(
            depthwise(function, part).text for _, function, part in rows
        )


class ExpandFilterCoded(ExpandFilter):
    """Such convolutions with the expansion's weights in an entropy code."""

    name = "expand_filter_coded"
    parts = ("matmul", "panels", "depthwise", "coded")
    storage = Coded()


def _filter_row(row: DepthwiseRow, depthwise: Conv2D, channels: int) -> DepthwiseRow:
    """Return so many channels of a block's filter, into a stored map of int8."""
    return replace(
        row,
        channels=channels,
        y_pixel_bytes=row.channels,
        y_bytes=1,
        y_zero=depthwise.output.zero_point,
    )


def _parts(operators: Sequence[Operator]) -> tuple[list[Conv2D], MatMul, DepthwiseRow]:
    convs = [expect(op, Conv2D) for op in operators]
    front = front_of(*convs)
    if front is None or front[0] is None:
        raise BuildError(f"{convs[-1].name} is planned as part of a block but is not of its kind")
    return convs, front[0], front[1]


def _filters(
    name: str, row: DepthwiseRow, filtered: Conv2D, panels: Panels
) -> list[tuple[str, str, DepthwiseRow]]:
    """Return the member, the function and the shape of each panel's depthwise row."""
    parts = [("filter", f"{name}_row", panels.product)]
    if panels.rest:
        parts.append(("filter_rest", f"{name}_rest_row", panels.rest))
    return [(m, code, _filter_row(row, filtered, part.channels)) for m, code, part in parts]


def _filter_fields(code: str, row: DepthwiseRow) -> Fields:
    """Return the members of a `expand_filter_row_t`."""
    fields = row_fields(code, row)
    function, high = fields.pop("code"), fields.pop("high")
    return fields | {"y_zero": row.y_zero, "high": high, "code": function}


EXPAND_FILTER = ExpandFilter()
EXPAND_FILTER_CODED = ExpandFilterCoded()
