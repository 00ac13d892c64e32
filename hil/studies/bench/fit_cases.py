"""Small networks on which cycles are fitted: every kind of work, in several shapes.

A network is branches side by side that read one map, so that one image measures many layers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from hil.compiler.kernels.kernel import Choices

if TYPE_CHECKING:
    from torch import nn

    Make: TypeAlias = Callable[[], "nn.Module"]

IN_FLASH = Choices(weights_in_flash=True, tables_in_flash=True)
TRANSFORMED = Choices(transforms=True)
_APART = Choices(ccm_bytes=12_000)  # so that not all working memory is in CCM


@dataclass(frozen=True)
class Case:
    """A network, and how it is scheduled.

    Attributes:
        shape: rows, columns, channels of the map that all branches read.
        branches: each gives one.
        choices: the schedule's.
        sparse: most of its RNNs' weights are zeros.
    """

    name: str
    shape: tuple[int, int, int]
    branches: tuple["Make", ...]
    choices: Choices = field(default_factory=Choices)
    sparse: bool = False

    def network(self) -> "nn.Module":
        """Return the network."""
        from hil.models.blocks import Branches

        return Branches(*(make() for make in self.branches))


def cases() -> Iterator[Case]:
    """Yield every case."""
    yield from plain_cases()
    yield from product_cases()
    yield from transformed_cases()
    yield from block_cases()
    yield from recurrent_cases()


def plain_cases() -> Iterator[Case]:
    """Yield kernels whose work is of one kind each."""
    from torch import nn

    from hil.models.blocks import L2Norm, MaxOut, MBConv

    yield Case(
        "plain 12",
        (20, 20, 12),
        (
            partial(MaxOut, 3),
            partial(L2Norm, 12, scale=10.0),
            nn.Hardswish,
            partial(nn.BatchNorm2d, 12),
            partial(nn.MaxPool2d, 2),
            partial(nn.MaxPool2d, 3, stride=1),
            partial(nn.AvgPool2d, 4),
            partial(nn.Conv2d, 12, 5, 3, padding=1),
            partial(nn.Conv2d, 12, 12, 5, padding=2, groups=12),
        ),
    )
    yield Case(
        "plain 10",
        (16, 20, 10),
        (
            partial(MaxOut, 5),
            partial(L2Norm, 10, scale=10.0),
            partial(nn.Conv2d, 10, 3, 1),
            partial(nn.Conv2d, 10, 10, 3, padding=1, groups=10),
            partial(MBConv, 10, 10, expansion=2),
            partial(MBConv, 10, 6, expansion=3),
        ),
    )
    for channels in (8, 12):
        yield Case(f"sums of {channels}", (16, 20, channels), (_added, partial(nn.Softmax, 1)))


def product_cases() -> Iterator[Case]:
    """Yield convolutions of few and of many inputs, from memory and from flash."""
    from torch import nn

    from hil.models.densenet import DenseLayer

    ends = tuple(partial(nn.Conv2d, 128, count, 1) for count in (10, 200))
    yield Case("one pixel", (1, 1, 128), ends)
    for rows, inputs, outputs in (
        (20, 8, (16, 64)), (20, 64, (8, 48)), (8, 512, (4, 16)), (3, 1200, (8,)), (3, 2400, (4,)),
    ):  # fmt: skip
        branches: list[Make] = [partial(nn.Conv2d, inputs, count, 1) for count in outputs]
        if inputs == 64:
            branches.append(partial(DenseLayer, inputs, 16))
        if inputs == 8:
            branches.append(partial(nn.Conv2d, inputs, 32, 7, padding=3))
        shape = (rows, 20, inputs) if rows > 3 else (rows, 4, inputs)
        yield Case(f"products of {inputs}", shape, tuple(branches))
        if inputs in {8, 64}:
            yield Case(f"products of {inputs} in flash", shape, tuple(branches), IN_FLASH)
    for inputs, outputs in ((16, (6,)), (48, (6,)), (5, (32,))):
        yield Case(
            f"windows of {inputs}",
            (15, 20, inputs),
            (
                *(partial(nn.Conv2d, inputs, count, 3, padding=1) for count in outputs),
                partial(nn.Conv2d, inputs, 32, 7, stride=2, padding=3),
            ),
        )


def transformed_cases() -> Iterator[Case]:
    """Yield 3x3 convolutions through Winograd's transform."""
    from torch import nn

    for inputs, outputs in ((16, 8), (32, 2), (32, 12), (64, 4)):
        branches = (partial(nn.Conv2d, inputs, outputs, 3, padding=1),)
        name = f"transforms of {inputs} to {outputs}"
        yield Case(name, (16, 22, inputs), branches, TRANSFORMED)


def block_cases() -> Iterator[Case]:
    """Yield blocks with an expansion and without, and with a residual and without."""
    from hil.models.blocks import MBConv, Separable

    for channels in (16, 48):
        branches = (
            partial(MBConv, channels, channels, expansion=2),
            partial(MBConv, channels, 24, expansion=3, stride=2),
            partial(MBConv, channels, 12, expansion=3),
            partial(Separable, channels, 32),
            partial(Separable, channels, 16, stride=2),
        )
        yield Case(f"blocks of {channels}", (16, 20, channels), branches)
        if channels == 16:
            yield Case("blocks in flash", (16, 20, channels), branches, IN_FLASH)


def recurrent_cases() -> Iterator[Case]:
    """Yield RNNPool layers of sparse and dense cells, and GRU sweeps."""
    from hil.models.renet import ReNet
    from hil.models.rnnpool import RNNPool

    shapes = ((8, 4, 16, 16), (4, 4, 16, 16), (8, 2, 8, 8), (6, 3, 8, 16), (4, 2, 16, 8))
    pools = tuple(
        partial(RNNPool, 4, (first, second), patch=patch, stride=stride)
        for patch, stride, first, second in shapes
    )
    for sparse in (True, False):
        for choices, how in ((Choices(), ""), (IN_FLASH, " in flash"), (_APART, " apart")):
            name = f"{'sparse' if sparse else 'dense'} pools{how}"
            if sparse or choices is not _APART:
                yield Case(name, (32, 40, 4), pools, choices, sparse=sparse)
    sweeps = tuple(partial(ReNet, 8, units, patch=4) for units in (8, 16, 24))
    yield Case("sweeps", (24, 28, 8), sweeps)
    yield Case("sweeps in flash", (24, 28, 8), sweeps, IN_FLASH)
    yield Case("gated pools", (24, 28, 4), tuple(_gated_pools()))
    yield Case("stem", (32, 48, 1), (_stem,), sparse=True)


def _added() -> "nn.Module":
    """The sum of a map's two activations, of which neither can take the addition in."""
    from torch import Tensor, nn

    class Added(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Hardswish(), nn.Sigmoid()

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.one(x) + self.other(x)
            return y

    return Added()


def _gated_pools() -> Iterator["Make"]:
    from hil.models.gated import rnnpool

    for patch, stride, first, second in ((8, 4, 16, 16), (6, 3, 8, 16), (4, 2, 8, 8)):
        yield partial(rnnpool, 4, (first, second), cell="gru", patch=patch, stride=stride)
        yield partial(rnnpool, 4, (first, second), cell="lstm", patch=patch, stride=stride)


def _stem() -> "nn.Module":
    from torch import nn

    from hil.models.blocks import ConvBNReLU6
    from hil.models.rnnpool import RNNPool

    return nn.Sequential(
        ConvBNReLU6(1, 4, kernel=3, stride=2), RNNPool(4, (8, 8), patch=8, stride=4)
    )
