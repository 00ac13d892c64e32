"""3x3 convolutions of few output channels through Winograd's transform, `winograd.c`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from hil.compiler.code.c import Constant, Fields, identifier, nested, structure
from hil.compiler.kernels import winograd_assembly
from hil.compiler.kernels.cycles import Cost, Costs, Work, add, cycles_of
from hil.compiler.kernels.heads import Heads, heads_fields, heads_parts, heads_work
from hil.compiler.kernels.kernel import Access, Choices, Scratch, Site, Step
from hil.compiler.kernels.l2norm import norm_bytes, norm_work
from hil.compiler.kernels.matmul import MATMUL
from hil.compiler.kernels.winograd_shape import (
    POINTS,
    SIDE,
    SUM_BYTES,
    Tiles,
    tiles_of,
    winograd_stream,
)
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Operator
from hil.errors import BuildError

_STREAM = (
    "for 16 points, two channels, two inputs: a word of each; then biases, multipliers, zero points"
)


class Winograd(Heads):
    """Alike 3x3 convolutions of one map, its norm before and their max-outs after them.

    It takes fewer cycles than `Heads` and more memory, so a schedule has to ask for it.
    """

    name = "winograd"
    parts = ("l2norm",)
    step_bytes = 320
    code_bytes = 1412
    cycles: ClassVar[Costs] = {
        "winograd.enter": Cost(110.0, "two channels of a tile: transform the inputs"),
        "winograd.step": Cost(15.2, "two inputs of four tiles, of a point and two channels"),
        "winograd.leave": Cost(123.0, "an output channel of a tile: transform and store"),
    }

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take convolutions that have a transform, where it takes fewer cycles."""
        step = super().take(rest, readers, choices) if choices.transforms else None
        if step is None:
            return None
        convs = [op for op in step.operators if isinstance(op, Conv2D)]
        tiles = tiles_of(convs)
        if tiles is None:
            return None
        costs = {name: cost.cycles for name, cost in [*self.cycles.items(), *MATMUL.cycles.items()]}
        if cycles_of(_work(convs, tiles), costs) >= cycles_of(heads_work(convs), costs):
            return None
        return replace(step, scratch=_scratch(tiles), slack=None)

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count the transformed weights, and the norm's multipliers."""
        norms, convs = heads_parts(step.operators)
        return sum(map(norm_bytes, norms)) + 4 * _tiles(convs).words

    def work(self, site: Site) -> Work:
        """Count normalising, widening, the transforms and the products."""
        norms, convs = heads_parts(site.step.operators)
        return add(_work(convs, _tiles(convs)), *map(norm_work, norms))

    def access(self, step: Step) -> Access | None:
        """Return none: two rows are computed at once."""
        return None

    def call(self, name: str, x: str, span: str) -> str:
        """Write the statement that computes all rows to `y`."""
        return f"{self.name}(&{name}, {x}, y);"

    def define(
        self, name: str, site: Site, norm: str, groups: Mapping[str, int]
    ) -> tuple[Constant, str]:
        """Return the transformed weights, and the `winograd_t` with its functions in kernels.S."""
        _, convs = heads_parts(site.step.operators)
        tiles = _tiles(convs)
        product: Fields = {
            "segments": SIDE,
            "segment_bytes": tiles.slot_bytes,
            "channels": tiles.outputs,
            "low": tiles.low,
            "high": tiles.high,
        }
        heads = {"product": nested(product, 3)} | heads_fields(convs, norm, groups)
        fields: Fields = {
            "heads": nested(heads | {"ring": site.scratch("ring")}, 2),
            "weights": f"{name}_weights",
            "out_rows": convs[0].output.shape[0],
            "fours": tiles.fours,
            "threes": tiles.threes,
            "tile_bytes": tiles.tile_bytes,
            "line_bytes": tiles.line_bytes,
            "excess": tiles.excess,
            "enter": f"HIL_CORTEX_M4_CODE({name}_enter)",
            "multiply": f"{{{', '.join(_products(name, tiles))}}}",
            "leave": f"HIL_CORTEX_M4_CODE({name}_leave)",
        }
        fields |= {memory: site.scratch(memory) for memory in ("copy", "v", "m", "line")}
        prototypes = _prototypes(name, tiles)
        constant = Constant(f"{name}_weights", winograd_stream(convs), _STREAM)
        return constant, prototypes + structure("winograd_t", name, fields)

    def assembly(self, name: str, operators: tuple[Operator, ...], panel: int) -> str:
        """Write the transforms and the products."""
        tiles, name = _tiles(heads_parts(operators)[1]), identifier(name)
        parts = [winograd_assembly.enter(f"{name}_enter", tiles)]
        for pixels, groups in _groups(tiles).items():
            parts.append(winograd_assembly.multiply(f"{name}_{pixels}", tiles, pixels, groups))
        return "".join(p.text for p in [*parts, winograd_assembly.leave(f"{name}_leave", tiles)])


def _groups(tiles: Tiles) -> dict[int, int]:
    """How many groups of so many tiles there are, of those that there are."""
    return {size: groups for size, groups in ((4, tiles.fours), (3, tiles.threes)) if groups}


def _products(name: str, tiles: Tiles) -> list[str]:
    """The products' functions as C expressions."""
    groups = _groups(tiles)
    return [f"HIL_CORTEX_M4_CODE({name}_{n})" if n in groups else "NULL" for n in (4, 3)]


def _prototypes(name: str, tiles: Tiles) -> str:
    products = "".join(
        f"void {name}_{pixels}(const int16_t *, const int32_t *, int32_t *);\n"
        for pixels in _groups(tiles)
    )
    return (
        f"void {name}_enter(const int16_t *const *, int16_t *);\n{products}"
        f"void {name}_leave(const int32_t *, const int32_t *, int8_t *);\n"
    )


def _tiles(convs: Sequence[Conv2D]) -> Tiles:
    tiles = tiles_of(convs)
    if tiles is None:
        raise BuildError(f"{convs[0].name} is planned as Winograd's transform but has none")
    return tiles


def _scratch(tiles: Tiles) -> tuple[Scratch, ...]:
    return (
        Scratch("copy", 4 * tiles.words),
        Scratch("v", tiles.count * POINTS * tiles.point_bytes),
        Scratch("ring", SIDE * tiles.slot_bytes),
        Scratch("m", tiles.count * tiles.outputs * SUM_BYTES),
        Scratch("line", 2 * tiles.row_bytes),
    )


def _work(convs: Sequence[Conv2D], tiles: Tiles) -> Work:
    pairs = -(-convs[0].output.shape[0] // 2)  # of rows
    count = pairs * tiles.count
    steps = count / 4 * POINTS * tiles.channels / 2 * tiles.outputs / 2
    return {
        "widen.value": convs[0].inputs[0].bytes,
        "winograd.enter": count * tiles.channels / 2,
        "winograd.step": steps,
        "winograd.leave": count * tiles.outputs,
    }


WINOGRAD = Winograd()
