"""What the compiler asks of every operator, and what it tells one.

A `Kind` is all that is known of an operator on this side of the firmware: which layers become it,
how its constants are chosen, what it computes in integers, what it costs. Tracing, quantisation,
the integer reference and the counts go through the registry of kinds and know none by name.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from torch import nn

from hil.compiler.integers.exact import Whole
from hil.compiler.integers.ranges import Affine, affine, chosen_affine
from hil.compiler.integers.recipe import Recipe
from hil.compiler.macs import Macs
from hil.compiler.program import Operator, Quantised, Shape, Tensor
from hil.errors import BuildError

Float64: TypeAlias = npt.NDArray[np.float64]
Kept: TypeAlias = Callable[[Whole], Whole]
"""What is kept of every state of a cell, to see what a coarser one would do."""

Permuted: TypeAlias = Literal["taken", "passed", "impossible"]
"""What became of an order of channels: a layer's weights took it in, or its output has it too."""

INPUT = "input"


@dataclass(frozen=True, eq=False)
class Node:
    """An operator with float weights.

    Attributes:
        inputs: names of the nodes it reads, or `INPUT`.
        shape: of its output: rows, columns, channels.
        value: the traced network's name for what it computes.
        macs: multiply-accumulates, nothing shared.
    """

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    value: str
    macs: int


@dataclass(frozen=True)
class Source:
    """A map that a layer reads.

    Attributes:
        name: of the node that computes it, or `INPUT`.
        node: None where it is the network's input.
        order: of its computation among all maps.
        is_shared: whether others read it too.
    """

    name: str
    shape: Shape
    node: Node | None
    order: int
    is_shared: bool


@dataclass(frozen=True)
class Place:
    """Where a layer stands in the traced network.

    Attributes:
        name: of the layer, or of the function's call; no other node has it.
        value: the traced network's name for the result.
        shape: of the result.
    """

    name: str
    value: str
    shape: Shape
    sources: tuple[Source, ...]

    def common(self, macs: int = 0) -> tuple[str, tuple[str, ...], Shape, str, int]:
        """Return the fields that every node begins with."""
        return (self.name, tuple(s.name for s in self.sources), self.shape, self.value, macs)


def refused(name: str, reason: str, hint: str, stage: str = "trace") -> BuildError:
    """Say which layer cannot be compiled, why, and what would work.

    Args:
        name: of the layer.
        reason: what of it is not taken.
        hint: what would work.
        stage: of the compilation.

    Returns:
        the error, to be raised.
    """
    return BuildError(f"{name}: {reason}", hint=hint, stage=stage)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What an operator is quantised by.

    Attributes:
        tensors: made so far, by node.
        activations: by node, (images, rows, columns, channels).
        chains: for maps that end in a concatenation, the last one of its chain.
        results: maps of the program's result, and those that give one its range.
        wide: maps that are int16.
        centred: maps of which every reader takes the channels' centres into its bias.
        factors: by map, of its channels, where every reader takes them into its weights.
        felt: by map, how much the task feels a squared error of each value; empty for alike.
        met: by map, what the integers gave in calibration, of the activations' shape; empty where
            the recipe does not ask for it.
    """

    tensors: Mapping[str, Tensor]
    activations: Mapping[str, Float64]
    chains: Mapping[str, str]
    recipe: Recipe
    results: frozenset[str] = frozenset()
    centred: frozenset[str] = frozenset()
    factors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    felt: Mapping[str, Float64] = field(default_factory=dict)
    met: Mapping[str, Quantised] = field(default_factory=dict)
    wide: frozenset[str] = frozenset()

    def inputs(self, node: Node) -> tuple[Tensor, ...]:
        """Return the tensors that a node reads."""
        return tuple(self.tensors[name] for name in node.inputs)

    def seen(self, node: Node) -> Float64:
        """Return what a node's first input held in calibration."""
        return self.activations[node.inputs[0]]

    def free(self, node: Node) -> Tensor:
        """Make a node's output, its range chosen on its own values or on its chain's."""
        chosen_on = self.chains.get(node.name, node.name)
        factor = self.factors.get(node.name, ())
        values = self.activations[chosen_on]
        if node.name in self.wide:
            reach = self.recipe.wide_margin
            return bound(node, affine(reach * float(values.min()), reach * float(values.max()), 16))
        how = chosen_affine(
            values / np.array(factor) if factor else values, self.recipe, self.felt.get(chosen_on)
        )
        if chosen_on in self.results:
            how = replace(how, scale=how.scale * self.recipe.result_margin)
        return replace(bound(node, how), factor=factor)


def bound(node: Node, how: Affine) -> Tensor:
    """Make a node's output, its range given.

    Args:
        node: whose output it is.
        how: scale and zero point.
    """
    return Tensor(node.name, node.shape, how.scale, how.zero_point, bits=how.bits)


@dataclass(frozen=True)
class Given:
    """Where a range comes from that is not chosen: in few letters, and in words."""

    short: str
    words: str


ITS_INPUTS = Given("= input", "its input's")
ITS_STATES = Given("bound", "the state's, which its tables bound")


NodeT = TypeVar("NodeT", bound=Node)
OperatorT = TypeVar("OperatorT", bound=Operator)
LayerT = TypeVar("LayerT", bound=nn.Module)


class Kind(ABC, Generic[NodeT, OperatorT, LayerT]):
    """One operator, from a layer to its integers.

    Attributes:
        node: its class in the graph.
        operator: its class in a program.
        layers: modules that become it, alone or by being taken in.
        functions: of a traced network's calls that become it.
        joins: whether it copies its inputs, which then had better have its range.
        has_cells: whether it holds states and tables, of which the recipe chooses the bits.
    """

    node: type[NodeT]
    operator: type[OperatorT]
    layers: ClassVar[tuple[type[nn.Module], ...]]
    functions: ClassVar[tuple[Callable[..., Any], ...]] = ()
    joins: ClassVar[bool] = False
    has_cells: ClassVar[bool] = False

    @abstractmethod
    def trace(self, layer: LayerT, place: Place) -> NodeT:
        """Make a layer a node.

        A node of the name of one that stands already takes its place: it has taken it in.

        Args:
            layer: a module of `layers`.
            place: where it stands in the network.

        Raises:
            BuildError: the layer is set up in a way that has no integers.
        """

    def trace_call(self, place: Place) -> NodeT:
        """Make a call of one of `functions` a node, as `trace` does a layer.

        Raises:
            BuildError: the operator takes no such call.
        """
        raise refused(place.name, "it is called as a function", hint="call a layer instead")

    def put_in_order(self, layer: LayerT) -> Sequence[int] | None:
        """Give a layer the order of channels that the operator has, in place.

        Returns:
            For each channel of its output, which one it was; None where they are as they were.
        """
        del layer
        return None

    def permute(self, layer: LayerT, order: Sequence[int]) -> Permuted:
        """Let a layer find in channel i of its input what was in channel order[i], in place.

        Args:
            layer: that reads the map.
            order: of the input's channels, one of each.

        Returns:
            "taken" where its weights have taken the order in, "passed" where its own outputs have
            that order now, "impossible" where neither can be.
        """
        del layer, order
        return "impossible"

    @abstractmethod
    def quantise(self, node: NodeT, by: Calibration) -> OperatorT:
        """Choose the integers.

        Args:
            node: of the graph.
            by: what calibration and recipe say.

        Raises:
            BuildError: a sum would not fit 32 bits.
        """

    @abstractmethod
    def compute(
        self, operator: OperatorT, maps: Mapping[str, Quantised], kept: Kept | None
    ) -> Quantised:
        """Compute the output exactly as the operator's docstring states it.

        Args:
            operator: the operator.
            maps: it reads, by name.
            kept: of its cells' states; None for all.
        """

    def given(self, of: NodeT | OperatorT) -> Given | None:
        """Where its output's range comes from; None where it is chosen on the map's values."""
        del of
        return None

    def least_side(self, node: NodeT) -> int:
        """Rows and columns of its input that it must see to be quantised."""
        del node
        return 1

    def takes_centre(self, node: NodeT, source: str) -> bool:
        """Whether it takes the centres of the channels of a map that it reads into its bias.

        Args:
            node: of the graph.
            source: the map's name.
        """
        del node, source
        return False

    def gives_factors(self, node: NodeT) -> bool:
        """Whether its output's channels may each have a factor of their own."""
        del node
        return False

    def takes_factors(self, node: NodeT, source: str) -> float:
        """How far it takes the factors of a map that it reads into its weights.

        Args:
            node: of the graph.
            source: the map's name.

        Returns:
            1 where that costs nothing, less where it makes weights coarser, 0 where it cannot.
        """
        del node, source
        return 0.0

    def gives_int16(self, node: NodeT) -> bool:
        """Whether its output can be int16: its own, or where it has its input's range, with it."""
        del node
        return False

    def takes_levels(self, node: NodeT) -> bool:
        """Whether it reads an input whose channels have centres and factors, if it is padded too.

        What pads such a map is its zero point, in each channel a few levels off what it stands for.
        """
        del node
        return False

    def plausible(self, node: NodeT, drawn: Float64, maps: Mapping[str, Float64]) -> Float64:
        """Turn values of N(0, 1) into what the output might be where these maps are read.

        Args:
            node: of the graph.
            drawn: of the output's shape, (1, rows, columns, channels).
            maps: that it reads, by name.
        """
        del node, maps
        return drawn

    def macs(self, layer: LayerT, x: Shape, y: Shape) -> Macs:
        """Count a layer from its input's to its output's shape.

        Args:
            layer: a module of `layers`.
            x: shape of its input, (rows, columns, channels).
            y: shape of its output.
        """
        del layer, x, y
        return Macs()

    def constant_bytes(self, layer: LayerT) -> int:
        """Bytes of the arrays that a layer's operator will have."""
        del layer
        return 0

    def weights(self, operator: OperatorT) -> str:
        """Say bits and scales of the weights, or nothing."""
        del operator
        return ""
