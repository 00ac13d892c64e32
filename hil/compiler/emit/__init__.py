"""The sources of a planned program: model.c, weights.c, weights.h and kernels.S."""

from hil.compiler.emit.model import write

__all__ = ["write"]
