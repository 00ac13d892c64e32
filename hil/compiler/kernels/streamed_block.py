"""The streamed inverted residual, `streamed_block.c`: row by row, its expanded map never stored."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from hil.compiler.code.c import Constant, Fields, identifier, nested, structure
from hil.compiler.kernels.block import (
    Block,
    at_once,
    block_name,
    block_of,
    block_slack,
    expanded_of,
    inputs_of,
    separable_of,
)
from hil.compiler.kernels.convolution import check_residual, conv_comment
from hil.compiler.kernels.cycles import Cost, Costs, Factor, Work, add, times
from hil.compiler.kernels.depthwise import (
    depthwise,
    depthwise_biases,
    depthwise_weights,
    row_fields,
)
from hil.compiler.kernels.kernel import (
    Access,
    Choices,
    Kernel,
    Scratch,
    Site,
    Step,
    StepCode,
    call,
    expect,
)
from hil.compiler.kernels.product import (
    STREAM,
    product_assembly,
    product_bytes,
    product_fields,
    product_prototypes,
    product_work,
)
from hil.compiler.kernels.spread import Spread, spread
from hil.compiler.kernels.weights import Inputs, is_narrow, product_stream
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Operator
from hil.errors import BuildError

_ROW = "(const int16_t *, const int32_t *, const int32_t *, int16_t *)"
BLOCK_IN_TWO_MEMORIES = Factor(
    1.05,
    "cycles of a block whose weights and pixels lie in two memories, over those in one",
    measured=1.07,
    kept="vww_renet would get another schedule",
)
_FILTER_WORDS = 12  # of a depthwise channel's weights and biases
_SLOTS = 3  # of the ring, for each channel


class StreamedBlock(Kernel):
    """Inverted residuals by packed kernels, with an expansion or without."""

    name = "streamed_block"
    parts = ("matmul", "depthwise")
    step_bytes = 324
    code_bytes = 1328
    cycles: ClassVar[Costs] = {
        "streamed_block.spread": Cost(6.03, "a value of a block without expansion"),
    }

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take expansion, depthwise and projection, or the last two, if the block is packed."""
        convs = expanded_of(rest, readers) or separable_of(rest, readers)
        block = _block(convs) if convs else None
        if convs is None or block is None:
            return None
        return Step(
            block_name(convs[-1].name),
            self,
            convs,
            inputs_of(convs),
            (convs[-1].output,),
            _scratch(block, convs[0].inputs[0].shape[1], choices),
            block_slack(*convs[-2:], x=convs[0].inputs[0]),
        )

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count the weights of all three convolutions."""
        convs, block = _parts(step.operators)
        copied = not choices.weights_in_flash
        expand = product_bytes(block.expand, convs[:1], copied=copied) if block.expand else 0
        project = product_bytes(block.project, convs[-1:], copied=copied)
        return expand + 4 * _FILTER_WORDS * block.filter.channels + project

    def work(self, site: Site) -> Work:
        """Count widening, two products, and the depthwise rows between."""
        convs, block = _parts(site.step.operators)
        rows, columns, channels = site.step.inputs[0].shape
        out_rows, out_columns, _ = convs[-1].output.shape
        read = "widen.value" if block.expand else "streamed_block.spread"
        held = [site.memory.get(name) for name in ("weights", "filtered", "pixels")]
        is_apart = len({memory.region for memory in held if memory}) > 1
        works: list[Work] = [
            {read: rows * columns * channels},
            {"depthwise.output": out_rows * out_columns * block.filter.channels},
        ]
        words = 0
        products = [(block.expand, rows, columns)] if block.expand else []
        for product, y_rows, y_columns in (*products, (block.project, out_rows, out_columns)):
            works.append(product_work(product, y_rows * y_columns))
            words += y_rows * -(-y_columns // product.most_pixels) * product.stream_words
        work = times(BLOCK_IN_TWO_MEMORIES.factor if is_apart else 1.0, add(*works))
        return work if site.copied else add(work, {"flash.word": site.wait_states * words})

    def shape(self, operators: Sequence[Operator]) -> Block:
        """Return the shape that the code is written for.

        Args:
            operators: a step's.
        """
        return packed_block(operators)

    def access(self, step: Step) -> Access:
        """Return the window's rows; a residual is still needed when its row is written."""
        filtered, project = (expect(op, Conv2D) for op in step.operators[-2:])
        stride, rows = filtered.stride, project.output.shape[0]
        reach = 3 - filtered.padding.top
        return Access(rows, stride, reach, 0 if project.residual else reach - stride)

    def code(self, site: Site) -> StepCode:
        """Call `streamed_block_rows`."""
        step = site.step
        convs, _ = _parts(step.operators)
        check_residual(convs[-1])
        name = identifier(step.name)
        block = self.shape(step.operators)
        fields = _fields(name, block, convs, copied=site.copied)
        memory = ("weights", "pixels", "ring", "filtered")
        fields |= {member: site.planned(member) for member in memory}
        x, y = site.map(step.inputs[0]), site.row(step.outputs[0])
        span = site.span(convs[-1].output.shape[0])
        return StepCode(
            ("streamed_block.h",),
            "\n * ".join(conv_comment(conv) for conv in convs),
            _constants(name, convs, copied=site.copied),
            _prototypes(name, convs, block) + structure("streamed_block_t", name, fields),
            (call("streamed_block_rows", f"&{name}", x, site.residual(convs[-1]), *span, y),),
        )

    def assembly(self, name: str, operators: tuple[Operator, ...], panel: int) -> str:
        """Write the products and the depthwise row."""
        convs, _ = _parts(operators)
        block = self.shape(operators)
        code = identifier(name)
        enter = product_assembly(f"{code}_expand", block.expand) if block.expand else ""
        if pairs := _spread(convs, block):
            enter = spread(f"{code}_spread", pairs).text
        row = depthwise(f"{code}_filter_row", block.filter).text
        return enter + row + product_assembly(f"{code}_project", block.project)


def _block(convs: Sequence[Conv2D]) -> Block | None:
    return block_of(convs[0] if len(convs) == 3 else None, *convs[-2:])


def _parts(operators: Sequence[Operator]) -> tuple[list[Conv2D], Block]:
    convs = [expect(op, Conv2D) for op in operators]
    block = _block(convs)
    if block is None:
        raise BuildError(f"{convs[-1].name} is planned as a streamed block but is not of its kind")
    return convs, block


def packed_block(operators: Sequence[Operator]) -> Block:
    """Return the packed block that a step computes.

    Args:
        operators: the step's.
    """
    return _parts(operators)[1]


def _spread(convs: Sequence[Conv2D], block: Block) -> Spread | None:
    """Return a row's pairs of pixels that go into the ring without expansion, None for no code."""
    filtered = convs[-2]
    _, columns, channels = filtered.inputs[0].shape
    pairs = (columns - filtered.padding.left) // 2
    row = Spread(channels, pairs, _SLOTS * block.filter.slot_bytes)
    return row if block.expand is None and row.is_reachable else None


def _scratch(block: Block, x_columns: int, choices: Choices) -> tuple[Scratch, ...]:
    wide = block.filter.channels
    copied = (Scratch("weights", 4 * block.weight_words),)
    pixels: tuple[Scratch, ...] = ()
    if block.expand:
        window = at_once(block.expand, x_columns) * block.expand.pixel_bytes
        pixels = (Scratch("pixels", window, lasts=False),)
    return (
        *(() if choices.weights_in_flash else copied),
        *pixels,
        Scratch("ring", _SLOTS * wide * block.filter.slot_bytes, "sram"),
        Scratch("filtered", block.filtered_bytes, lasts=False),
    )


def _constants(name: str, convs: Sequence[Conv2D], *, copied: bool) -> tuple[Constant, ...]:
    """Return the weights as the kernels read them."""
    *expands, filtered, project = convs
    widened = [
        product_stream(
            [expand],
            inputs=Inputs.WIDENED,
            narrow=is_narrow([expand], copied=copied),
            planar=True,
        )
        for expand in expands
    ]
    centred = product_stream(
        [project], inputs=Inputs.CENTRED, narrow=is_narrow([project], copied=copied)
    )
    return (
        *(Constant(f"{name}_expand", stream, STREAM) for stream in widened),
        Constant(f"{name}_filter", depthwise_weights(filtered), "rows 0, 1, 2, 0, 1 in two words"),
        Constant(f"{name}_filter_biases", depthwise_biases(filtered), "bias, multiplier"),
        Constant(f"{name}_project", centred, STREAM),
    )


def _fields(name: str, block: Block, convs: Sequence[Conv2D], *, copied: bool) -> Fields:
    """Return the members of the `streamed_block_t` but for the working memory."""
    x = convs[0].inputs[0]
    rows, columns, channels = x.shape
    out_rows, out_columns, out_channels = convs[-1].output.shape
    padding = convs[-2].padding
    expand: Fields = {"x_zero": x.zero_point}
    if _spread(convs, block):
        expand["spread"] = f"HIL_CORTEX_M4_CODE({name}_spread)"
    if block.expand:
        product = product_fields(f"{name}_expand", block.expand, convs[:1], copied=copied)
        expand = {"expand": nested(product, 2), "expand_weights": f"{name}_expand"}
        expand["at_once"] = at_once(block.expand, columns)
    project = product_fields(f"{name}_project", block.project, convs[-1:], copied=copied)
    return {
        **expand,
        "filter": nested(row_fields(f"{name}_filter_row", block.filter), 2),
        "project": nested(project, 2),
        "rows_at_once": block.rows_at_once,
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "out_rows": out_rows,
        "out_columns": out_columns,
        "out_channels": out_channels,
        "top": padding.top,
        "left": padding.left,
        "filter_weights": f"{name}_filter",
        "filter_biases": f"{name}_filter_biases",
        "project_weights": f"{name}_project",
    }


def _prototypes(name: str, convs: Sequence[Conv2D], block: Block) -> str:
    """Declare its functions in kernels.S."""
    enter = product_prototypes(f"{name}_expand", block.expand) if block.expand else ""
    if _spread(convs, block):
        enter = f"void {name}_spread(const int8_t *, int32_t, int16_t *);\n"
    row = f"void {name}_filter_row{_ROW};\n"
    return enter + row + product_prototypes(f"{name}_project", block.project)


STREAMED_BLOCK = StreamedBlock()
