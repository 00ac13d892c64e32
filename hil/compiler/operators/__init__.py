"""Every operator, one module each: from a layer to its integers and their costs.

`kind.py` says what a module holds. A new operator is its module, named in `KINDS`.
"""

from typing import Any, TypeAlias

from torch import nn

from hil.compiler.operators import (
    add,
    concat,
    conv2d,
    gated_pool,
    gru_sweep,
    l2norm,
    lookup,
    maxout,
    pool2d,
    rnnpool,
    softmax,
)
from hil.compiler.operators.kind import Kind, Node
from hil.compiler.program import Operator
from hil.errors import BuildError

AnyKind: TypeAlias = Kind[Any, Any, Any]

KINDS: tuple[AnyKind, ...] = (
    conv2d.Conv2DKind(),
    gated_pool.GatedPoolKind(),  # before the layer of which theirs is a kind
    rnnpool.RNNPoolKind(),
    gru_sweep.GRUSweepKind(),
    l2norm.L2NormKind(),
    maxout.MaxOutKind(),
    pool2d.Pool2DKind(),
    concat.ConcatKind(),
    lookup.LookupKind(),
    add.AddKind(),
    softmax.SoftmaxKind(),
)


def knows_layer(layer: nn.Module) -> bool:
    """Say whether an operator is made of such layers."""
    return any(isinstance(layer, kind.layers) for kind in KINDS)


def knows_function(function: object) -> bool:
    """Say whether an operator is made of calls of such a function."""
    return any(function in kind.functions for kind in KINDS)


def of_layer(layer: nn.Module) -> AnyKind:
    """Find the operator that a layer becomes; there has to be one."""
    return next(kind for kind in KINDS if isinstance(layer, kind.layers))


def of_function(function: object) -> AnyKind:
    """Find the operator that a call in a network becomes; there has to be one."""
    return next(kind for kind in KINDS if function in kind.functions)


def of(made: Node | Operator) -> AnyKind:
    """Find the operator that a graph's node or a program's step is of.

    Raises:
        BuildError: there is none.
    """
    for kind in KINDS:
        if isinstance(made, kind.node | kind.operator):
            return kind
    raise BuildError(
        f"{made.name}: {type(made).__name__} is no operator of the compiler",
        hint=f"there are {', '.join(kind.operator.__name__ for kind in KINDS)}",
    )


def layer_names() -> str:
    """Name the layers that can be compiled, for a person."""
    return ", ".join(layer.__name__ for kind in KINDS for layer in kind.layers)
