"""The shape of every value of a traced network."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from hil.compiler.front import refusals
from hil.compiler.operators.kind import refused
from hil.compiler.program import Shape
from hil.models.threads import one_thread


def observe(
    traced: fx.GraphModule,
    input_shape: Shape,
    batch: int,
    see: Callable[[fx.Node, Any], None],
) -> None:
    """Run a traced network on black images and show every value.

    Args:
        traced: the network.
        input_shape: rows, columns, channels.
        batch: images; of none, every shape is there and little is computed.
        see: called with each node and its value.

    Raises:
        BuildError: a layer cannot be computed on what it reads.
    """
    rows, columns, channels = input_shape

    class Observer(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            try:
                value = super().run_node(n)
            except Exception as error:  # PyTorch's layers raise errors of many kinds
                said = f"{error}".partition("\n")[0]  # behind it PyTorch tells of its own graph
                raise refused(
                    refusals.owner(n),
                    f"it cannot be computed on what it reads: {said}",
                    hint=f"is the input, {rows} x {columns} x {channels}, the network's?",
                ) from error
            see(n, value)
            return value

    with one_thread(), torch.inference_mode():
        Observer(traced).run(torch.zeros(batch, channels, rows, columns, dtype=torch.float64))
