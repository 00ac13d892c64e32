"""The FastGRNN cell."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

Observer: TypeAlias = Callable[[Tensor, Tensor], None]
"""Told the pre-activations and the state that they meet, (..., units) each, at every step."""


def sparsify(weight: nn.Parameter, density: float) -> None:
    """Zero all but the largest weights of a matrix, such that this fraction is left, in place."""
    kept = round(weight.numel() * density)
    order = weight.detach().abs().flatten().argsort(descending=True, stable=True)
    with torch.no_grad():
        weight.view(-1)[order[kept:]] = 0.0


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

    def update(self, pre_activation: Tensor) -> Tensor:
        """What is added to the old state's share."""
        fresh = torch.sigmoid(self.zeta[0]) * (1.0 - self.gate(pre_activation))
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
        state = torch.zeros_like(projected[..., 0])
        for step in range(projected.shape[-1]):
            pre_activation = projected[..., step] + state @ self.U
            if observe is not None:
                observe(pre_activation, state)
            state = self.gate(pre_activation) * state + self.update(pre_activation)
        return state
