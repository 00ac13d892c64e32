"""The FastGRNN cell."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

Observer: TypeAlias = Callable[[Tensor, Tensor], None]
"""Told the pre-activations and the state that they meet, (..., units) each, at every step."""

_MAPS = 5  # dimensions of the sequences of a batch of maps
_PART_ROWS = 16  # whose states stay in a core's cache; whole vectors, so that none is cut in two


def sparsify(weight: nn.Parameter, density: float) -> None:
    """Zero all but the largest weights of a matrix, such that this fraction is left, in place.

    Args:
        weight: which is changed.
        density: 0 to 1.
    """
    kept = round(weight.numel() * density)
    order = weight.detach().abs().flatten().argsort(descending=True, stable=True)
    with torch.no_grad():
        weight.view(-1)[order[kept:]] = 0.0


def in_parts(sweep: Callable[[Tensor], Tensor], projected: Tensor) -> Tensor:
    """Sweep the sequences of a batch of maps a few rows at a time, where nobody learns from it.

    All at once every step's states leave the caches, and take several times as long.

    Args:
        sweep: makes (..., units, steps) the last states, (..., units).
        projected: (images, rows, columns, units, steps), or of other sizes, which are not parted.
    """
    if projected.is_meta:  # no values, and every state has the shape of the first
        return torch.empty_like(projected[..., 0], memory_format=torch.contiguous_format)
    if projected.dim() != _MAPS or torch.is_grad_enabled() or not projected.numel():
        return sweep(projected)
    try:
        lines = projected.view(1, -1, *projected.shape[2:])
    except RuntimeError:  # the rows of two images do not lie alike
        lines = projected
    parts = [sweep(rows) for image in lines for rows in image.split(_PART_ROWS)]
    return torch.cat(parts).view(*projected.shape[:3], -1)


class FastGRNN(nn.Module):
    """A gated recurrent cell whose gate and candidate share one pre-activation.

        a  = x W + h U
        z  = sigmoid(a + bias_gate)
        h' = z h + (sigmoid(zeta) (1 - z) + sigmoid(nu)) tanh(a + bias_update)

    RNNPool starts zeta at 100 and nu at -100, which makes h' a mean of h and the candidate,
    weighted by z.

    Args:
        inputs, units: sizes of x and h.
        density: the fractions of W and of U that are not zero (see `sparsify`).

    Source: FastGRNN (Kusupati et al., 2018), section 3.2; names and shapes of the parameters are
        EdgeML's.
    """

    gates = 1  # which have weights of their own

    def __init__(
        self, inputs: int, units: int, *, density: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.units = units
        self.density = density
        self.W = nn.Parameter(0.1 * torch.randn(inputs, units))
        self.U = nn.Parameter(0.1 * torch.randn(units, units))
        self.bias_gate = nn.Parameter(torch.ones(1, units))
        self.bias_update = nn.Parameter(torch.ones(1, units))
        self.zeta = nn.Parameter(torch.full((1, 1), 100.0))
        self.nu = nn.Parameter(torch.full((1, 1), -100.0))

    def sparsify(self) -> None:
        """Zero all but the largest weights of W and U, to the cell's density."""
        for weight, density in zip((self.W, self.U), self.density, strict=True):
            sparsify(weight, density)

    def gate(self, pre_activation: Tensor) -> Tensor:
        """z, the share of the old state."""
        return torch.sigmoid(pre_activation + self.bias_gate[0])

    def update(self, pre_activation: Tensor, gate: Tensor) -> Tensor:
        """What is added to the old state's share, which `gate` is.

        Args:
            pre_activation: W x + U h, (..., units).
            gate: the old state's share, (..., units), 0 to 1.
        """
        fresh = torch.sigmoid(self.zeta[0]) * (1.0 - gate)
        candidate = torch.tanh(pre_activation + self.bias_update[0])
        return (fresh + torch.sigmoid(self.nu[0])) * candidate

    def project(self, x: Tensor) -> Tensor:
        """Compute x W, (..., inputs) to (..., units), which all sweeps over an input can share."""
        return x @ self.W

    def sweep(self, projected: Tensor, observe: Observer | None = None) -> Tensor:
        """Run the cell over a sequence from a zero state.

        Args:
            projected: x W, (..., units, steps).
            observe: told every step.

        Returns:
            The last state, (..., units).
        """
        return in_parts(lambda part: self._sweep(part, observe), projected)

    def _sweep(self, projected: Tensor, observe: Observer | None) -> Tensor:
        state = torch.zeros_like(projected[..., 0])
        for step in range(projected.shape[-1]):
            pre_activation = projected[..., step] + state @ self.U
            if observe is not None:
                observe(pre_activation, state)
            gate = self.gate(pre_activation)
            state = gate * state + self.update(pre_activation, gate)
        return state
