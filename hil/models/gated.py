"""RNNPool with GRU or LSTM cells in the place of FastGRNN's."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from hil.models.fastgrnn import Observer, in_parts, sparsify
from hil.models.rnnpool import Order, RNNPool

CellName: TypeAlias = Literal["fastgrnn", "gru", "lstm"]


class GatedCell(nn.Module, ABC):
    """A recurrent cell whose gates have weights of their own, which FastGRNN's share.

    Args:
        inputs, units: sizes of x and h.
        density: the fractions of each W and each U that are not zero.

    Source: names and shapes of the parameters are EdgeML's, graph/rnn.py.
    """

    gates: ClassVar[int]
    biases: ClassVar[tuple[str, ...]]  # of each gate, in the order of W1, W2, ...
    candidate: ClassVar[int]  # the gate whose curve is tanh

    def __init__(
        self, inputs: int, units: int, *, density: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.units = units
        self.density = density
        for gate in range(1, self.gates + 1):
            self.register_parameter(f"W{gate}", nn.Parameter(0.1 * torch.randn(inputs, units)))
            self.register_parameter(f"U{gate}", nn.Parameter(0.1 * torch.randn(units, units)))
        for bias in self.biases:
            self.register_parameter(bias, nn.Parameter(torch.ones(1, units)))

    def weights(self, kind: Literal["W", "U"]) -> list[nn.Parameter]:
        """Return every gate's W, (inputs, units), or U, (units, units)."""
        return [self.get_parameter(f"{kind}{gate}") for gate in range(1, self.gates + 1)]

    def offsets(self) -> list[Tensor]:
        """Return every gate's bias, (units,), in the order of the weights."""
        return [self.get_parameter(name)[0] for name in self.biases]

    def sparsify(self) -> None:
        """Zero all but the largest weights of each W and U, to the cell's density."""
        for kind, density in (("W", self.density[0]), ("U", self.density[1])):
            for weight in self.weights("W" if kind == "W" else "U"):
                sparsify(weight, density)

    def project(self, x: Tensor) -> Tensor:
        """Compute x W of all gates, (..., inputs) to (..., gates * units)."""
        return torch.cat([x @ w for w in self.weights("W")], dim=-1)

    def sweep(self, projected: Tensor, observe: Observer | None = None) -> Tensor:
        """Run the cell over a sequence from a zero state.

        Args:
            projected: x W, (..., gates * units, steps).
            observe: told the pre-activations of all gates and the memory that a step leaves.

        Returns:
            The last state, (..., units).
        """
        return in_parts(lambda part: self._sweep(part, observe), projected)

    def _sweep(self, projected: Tensor, observe: Observer | None) -> Tensor:
        h = torch.zeros_like(projected[..., : self.units, 0])
        memory = h
        for step in range(projected.shape[-1]):
            h, memory = self.step(projected[..., step], h, memory)
            if observe is not None:
                observe(projected[..., step], memory)
        return h

    @abstractmethod
    def step(self, projected: Tensor, h: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Go one step: x W of all gates, state and memory to state and memory.

        Args:
            projected: x W of all gates, (sequences, gates * units).
            h: states, (sequences, units).
            memory: of the cell, (sequences, units).

        Returns:
            the next state and the next memory.
        """


class GRU(GatedCell):
    """A gated recurrent unit that resets the state before it multiplies it.

        r  = sigmoid(x W1 + h U1 + bias_r)
        z  = sigmoid(x W2 + h U2 + bias_gate)
        n  = tanh(x W3 + (r h) U3 + bias_update)
        h' = z h + (1 - z) n

    Source: Learning Phrase Representations using RNN Encoder-Decoder (Cho et al., 2014), section
        2.3; EdgeML's GRULRCell.
    """

    gates = 3
    biases = ("bias_r", "bias_gate", "bias_update")
    candidate = 2

    def step(self, projected: Tensor, h: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Go one step; it has no memory beside the state."""
        del memory
        u, b = self.weights("U"), self.offsets()
        of_r, of_z, of_n = projected.chunk(3, dim=-1)
        r = torch.sigmoid(of_r + h @ u[0] + b[0])
        z = torch.sigmoid(of_z + h @ u[1] + b[1])
        n = torch.tanh(of_n + (r * h) @ u[2] + b[2])
        after = z * h + (1.0 - z) * n
        return after, after


class LSTM(GatedCell):
    """A long short-term memory: what it keeps, c, is not what it tells, h.

        i  = sigmoid(x W1 + h U1 + bias_i)
        f  = sigmoid(x W2 + h U2 + bias_f)
        g  = tanh(x W3 + h U3 + bias_c)
        o  = sigmoid(x W4 + h U4 + bias_o)
        c' = f c + i g
        h' = o tanh(c')

    Source: Learning to Forget (Gers et al., 2000); EdgeML's LSTMLRCell.
    """

    gates = 4
    biases = ("bias_i", "bias_f", "bias_c", "bias_o")
    candidate = 2

    def step(self, projected: Tensor, h: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Go one step."""
        u, b = self.weights("U"), self.offsets()
        sums = [
            of_x + h @ weight + bias
            for of_x, weight, bias in zip(projected.chunk(4, dim=-1), u, b, strict=True)
        ]
        i, f, o = (torch.sigmoid(sums[gate]) for gate in (0, 1, 3))
        memory = f * memory + i * torch.tanh(sums[2])
        return o * torch.tanh(memory), memory


class GatedRNNPool(RNNPool):
    """An RNNPool layer of GRU or LSTM cells; the paper's table 18 compares them.

    Args:
        cell: of both.
        channels: as for `RNNPool`, like all others.
    """

    row: GatedCell  # type: ignore[assignment]
    summary: GatedCell  # type: ignore[assignment]

    def __init__(
        self,
        channels: int,
        hidden: tuple[int, int],
        *,
        cell: Literal["gru", "lstm"],
        patch: int,
        stride: int,
        repeat_last: int = 1,
        density: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
        order: Order = "rows_first",
    ) -> None:
        super().__init__(
            channels,
            hidden,
            patch=patch,
            stride=stride,
            repeat_last=repeat_last,
            density=density,
            order=order,
        )
        kind = {"gru": GRU, "lstm": LSTM}[cell]
        self.row = kind(channels, hidden[0], density=density[:2])
        self.summary = kind(hidden[0], hidden[1], density=density[2:])


def rnnpool(
    channels: int,
    hidden: tuple[int, int],
    *,
    cell: CellName,
    patch: int,
    stride: int,
    repeat_last: int = 1,
    density: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
    order: Order = "rows_first",
) -> RNNPool:
    """Make an RNNPool layer of cells of a kind; the arguments are `RNNPool`'s.

    Args:
        channels: of the map.
        hidden: units of RNN1 and of RNN2.
        cell: "gru" or "lstm".
        patch: pixels of a patch's side.
        stride: pixels from patch to patch.
        repeat_last: times that the last row and column of patches stands in the output.
        density: of the cells' weights W and U, of RNN1 and of RNN2; 1 for dense.
        order: of the outputs in the weights.
    """
    if cell == "fastgrnn":
        return RNNPool(
            channels,
            hidden,
            patch=patch,
            stride=stride,
            repeat_last=repeat_last,
            density=density,
            order=order,
        )
    return GatedRNNPool(
        channels,
        hidden,
        cell=cell,
        patch=patch,
        stride=stride,
        repeat_last=repeat_last,
        density=density,
        order=order,
    )
