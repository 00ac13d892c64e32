"""A small program for every kernel of the registry, in which it computes a step."""

from collections.abc import Callable
from dataclasses import dataclass, field

from random_programs import Builder

from hil.compiler.kernels.kernel import Choices
from hil.compiler.plan import Budget, Plan, place
from hil.compiler.program import Program, Tensor

ROOM = Budget(sram_bytes=120 << 10, ccm_bytes=48 << 10)
PANELS = Choices(panel_bytes=1500)
TRANSFORMS = Choices(transforms=True)
CODED = Choices(panel_bytes=9000, coded=True)

Make = Callable[[Builder], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Case:
    """A program, and the schedule in which the kernel computes a step of it.

    Attributes:
        make: adds the operators, and returns the program's outputs.
    """

    make: Make
    shape: tuple[int, int, int]
    choices: Choices = field(default_factory=Choices)

    def program(self) -> Program:
        """Return the program on seeded parameters."""
        b = Builder(7, self.shape)
        return b.program(*self.make(b))

    def plan(self, program: Program) -> Plan:
        """Place it as chosen."""
        return place(program, ROOM, self.choices)


def _normed(b: Builder) -> tuple[Tensor, ...]:
    normed = b.norm("norm", b.input)
    return normed, b.conv("conv", normed, 4, 3)


def _pooled(b: Builder) -> tuple[Tensor, ...]:
    return (b.pool("pool", b.conv("conv", b.input, 8, 3, 2, relu=True), 6, 2, (8, 8)),)


def _gated(b: Builder) -> tuple[Tensor, ...]:
    x = b.conv("conv", b.input, 8, 3, 2, relu=True)
    gru = b.gated_pool("gru", x, 4, 2, (4, 6))
    return gru, b.gated_pool("lstm", x, 5, 3, (5, 3), lstm=True)


def _heads(b: Builder) -> tuple[Tensor, ...]:
    normed = b.norm("norm", b.input)
    conf = b.maxout("most", b.conv("conf", normed, 4, 3), 3)
    return conf, b.conv("loc", normed, 4, 3)


def _coded_block(b: Builder) -> tuple[Tensor, ...]:
    b.deviation = 15.0
    return (b.inverted_residual("block", b.input, 32),)


def _coded_conv(b: Builder) -> tuple[Tensor, ...]:
    b.deviation = 15.0
    return (b.conv("conv", b.input, 96),)


def _heads_int16(b: Builder) -> tuple[Tensor, ...]:
    normed = b.norm("norm", b.input)
    conf = b.maxout("most", b.conv("conf", normed, 4, 3, bits=16), 3)
    return conf, b.conv("loc", normed, 4, 3, bits=16)


CASES: dict[str, Case] = {
    "add": Case(lambda b: (b.add("sum", b.input, b.scale("by", b.input)),), (9, 11, 5)),
    "concat": Case(lambda b: (b.concat("join", b.input, b.scale("by", b.input)),), (9, 11, 8)),
    "conv2d": Case(lambda b: (b.conv("conv", b.input, 5, 3),), (9, 11, 5)),
    "conv2d_int16": Case(lambda b: (b.conv("conv", b.input, 5, 3, bits=16),), (9, 11, 5)),
    "expand_filter": Case(
        lambda b: (b.inverted_residual("block", b.input, 32),), (9, 10, 32), PANELS
    ),
    "expand_filter_coded": Case(_coded_block, (9, 10, 48), CODED),
    "gated_pool": Case(_gated, (14, 16, 3)),
    "heads": Case(
        lambda b: (b.conv("conf", b.input, 2, 3), b.conv("loc", b.input, 4, 3)), (9, 11, 16)
    ),
    "heads_int16": Case(_heads_int16, (9, 11, 16)),
    "inverted_residual": Case(lambda b: (b.inverted_residual("block", b.input, 6),), (9, 10, 6)),
    "l2norm": Case(_normed, (9, 11, 5)),
    "lookup": Case(lambda b: (b.lookup("swish", b.input),), (9, 11, 6)),
    "maxout": Case(lambda b: (b.maxout("most", b.input, 3),), (9, 11, 6)),
    "one_pixel": Case(lambda b: (b.conv("conv", b.input, 18),), (1, 1, 44)),
    "panelled_block": Case(
        lambda b: (b.inverted_residual("block", b.input, 64),),
        (5, 6, 64),
        Choices(weights_by_row=True),
    ),
    "pointwise": Case(lambda b: (b.conv("conv", b.scale("norm", b.input), 16),), (9, 11, 24)),
    "pointwise_panels": Case(lambda b: (b.conv("conv", b.input, 32),), (9, 11, 48), PANELS),
    "pointwise_panels_coded": Case(_coded_conv, (9, 11, 48), CODED),
    "pool2d": Case(
        lambda b: (
            b.pool2d("average", b.input, "average", (3, 2), 2),
            b.pool2d("max", b.input, "max", (2, 3), 1),
        ),
        (9, 11, 8),
    ),
    "renet": Case(lambda b: (b.sweep("sweep", b.input, 8, 2, "columns"),), (10, 12, 8)),
    "rnnpool": Case(_pooled, (26, 30, 3)),
    "scale": Case(lambda b: (b.scale("norm", b.input),), (9, 11, 12)),
    "softmax": Case(lambda b: (b.softmax("chances", b.input),), (9, 11, 6)),
    "streamed_block": Case(lambda b: (b.inverted_residual("block", b.input, 16),), (9, 10, 16)),
    "winograd": Case(_heads, (9, 11, 16), TRANSFORMS),
    "windowed": Case(lambda b: (b.conv("conv", b.input, 16, 3, residual=b.input),), (9, 11, 16)),
}
