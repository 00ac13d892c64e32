"""An inverted residual whose weights are widened panel by panel in each row, `panelled_block.c`.

A streamed block holds the weights of three convolutions in memory, beside its ring. This one keeps
them in flash as int8 and holds one panel of a few output channels. Each weight is widened once for
each row of pixels, which costs a few cycles in a hundred and saves most of the weights' memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from hil.compiler.kernels.block import Block
from hil.compiler.kernels.cycles import Costs, Work, add
from hil.compiler.kernels.kernel import Choices, Scratch, Site, Step, StepCode
from hil.compiler.kernels.matmul import MatMul
from hil.compiler.kernels.panels import PAIR
from hil.compiler.kernels.streamed_block import StreamedBlock, packed_block
from hil.compiler.program import Operator

_PANEL_BYTES = 2560  # of widened weights, at most, if a pair of channels does not need more
_FOUR = 4  # weights that are widened at once
_WIDEN = 1.2  # times a pixel's value, for a weight: it comes from flash, and is shifted


class PanelledBlock(StreamedBlock):
    """Blocks with an expansion, where the schedule says that weights go by panels in each row."""

    name = "panelled_block"
    code_bytes = 988
    cycles: ClassVar[Costs] = {}

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take what a streamed block with an expansion takes."""
        step = super().take(rest, readers, choices) if choices.weights_by_row else None
        if step is None or choices.weights_in_flash:
            return None
        block = packed_block(step.operators)
        if block.expand is None or block.project.depth % _FOUR:
            return None
        return replace(step, scratch=_scratch(self.shape(step.operators)))

    def work(self, site: Site) -> Work:
        """Add the weights that are widened in each row."""
        block = packed_block(site.step.operators)
        rows, out_rows = site.step.inputs[0].shape[0], site.step.outputs[0].shape[0]
        wide = block.filter.channels * (block.project.channels * out_rows)
        if block.expand:
            wide += block.filter.channels * block.expand.depth * rows
        return add(super().work(site), {"widen.value": _WIDEN * wide})

    def code(self, site: Site) -> StepCode:
        """Call `panelled_block_rows`."""
        code = super().code(site)
        calls = tuple(c.replace("streamed_block_rows", "panelled_block_rows") for c in code.calls)
        return replace(code, headers=("panelled_block.h",), calls=calls)

    def shape(self, operators: Sequence[Operator]) -> Block:
        """Return the block with the products of one panel."""
        block = packed_block(operators)
        columns = operators[0].inputs[0].shape[1]
        return replace(
            block,
            expand=_panel(block.expand, columns) if block.expand else None,
            project=_panel(block.project, block.filter.columns),
            rows_at_once=1,
        )


def _panel(product: MatMul, columns: int) -> MatMul:
    """The product, along a row, of as many channels as a panel has: they divide all."""
    pairs = product.channels // PAIR
    pair_bytes = 4 * product.stream_words // pairs
    most = max(1, _PANEL_BYTES // pair_bytes)
    divides = max(n for n in range(1, pairs + 1) if pairs % n == 0 and n <= most)
    return replace(product, channels=PAIR * divides, runs=(columns,))


def _scratch(block: Block) -> tuple[Scratch, ...]:
    products = [product for product in (block.expand, block.project) if product]
    of_row = [4 * product.stream_words for product in products]
    pixels = block.expand.pixel_bytes * block.expand.runs[0] if block.expand else 0
    return (
        Scratch("weights", max(of_row), lasts=False),
        Scratch("pixels", pixels, lasts=False),
        Scratch("ring", 3 * block.filter.channels * block.filter.slot_bytes, "sram"),
        Scratch("filtered", block.filtered_bytes, lasts=False),
    )


PANELLED_BLOCK = PanelledBlock()
