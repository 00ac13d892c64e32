"""The L2 normalisation of each pixel's channels, `l2norm.c`."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from hil.compiler.code.c import Constant, Fields, identifier, structure
from hil.compiler.kernels.cycles import Cost, Costs, Work
from hil.compiler.kernels.kernel import (
    Access,
    Choices,
    Kernel,
    Site,
    Step,
    StepCode,
    call,
    expect,
)
from hil.compiler.kernels.shapes import pixel_access
from hil.compiler.operators.l2norm import L2Norm
from hil.compiler.program import Operator
from hil.limits import check_limit


class Norm(Kernel):
    """L2 normalisations that no convolutions take in."""

    name = "l2norm"
    step_bytes = 80
    code_bytes = 1116
    cycles: ClassVar[Costs] = {
        "l2norm.value": Cost(24.4, "a value"),
    }

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take a normalisation."""
        norm = rest[0]
        if not isinstance(norm, L2Norm):
            return None
        return Step(norm.name, self, (norm,), norm.inputs, (norm.output,), slack=0)

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count the multipliers."""
        return norm_bytes(expect(step.operators[0], L2Norm))

    def work(self, site: Site) -> Work:
        """Count values."""
        return norm_work(expect(site.step.operators[0], L2Norm))

    def access(self, step: Step) -> Access:
        """Return a row for a row."""
        return pixel_access(step.operators[0])

    def code(self, site: Site) -> StepCode:
        """Call `l2norm`."""
        norm = expect(site.step.operators[0], L2Norm)
        x, y = site.row(norm.inputs[0]), site.row(norm.output)
        return StepCode(
            ("l2norm.h",),
            norm_comment(norm),
            (norm_constant(norm),),
            norm_structure(norm),
            (call("l2norm", f"&{identifier(norm.name)}", site.pixels(norm.output), x, y),),
        )


def norm_bytes(norm: L2Norm) -> int:
    """Count the bytes of what `norm_constant` returns."""
    return 4 * len(norm.multiplier)


def norm_work(norm: L2Norm) -> Work:
    """Count a norm's values."""
    return {"l2norm.value": norm.output.bytes}


def norm_comment(norm: L2Norm) -> str:
    """Return a norm's shape, for a comment."""
    return f"{norm.name}: each pixel's {norm.output.shape[2]} channels over their length"


def norm_constant(norm: L2Norm) -> Constant:
    """Return a norm's multipliers.

    Raises:
        BuildError: a sum of so many squares would overflow.
    """
    check_limit(norm.name, "channels", norm.output.shape[2], "L2NORM_MOST_CHANNELS")
    return Constant(
        f"{identifier(norm.name)}_multiplier", norm.multiplier.astype(np.int32), "[channels]"
    )


def norm_structure(norm: L2Norm) -> str:
    """Define a norm's `l2norm_t`."""
    name = identifier(norm.name)
    fields: Fields = {
        "multiplier": f"{name}_multiplier",
        "channels": norm.output.shape[2],
        "x_zero": norm.inputs[0].zero_point,
        "y_zero": norm.output.zero_point,
    }
    return structure("l2norm_t", name, fields)


L2NORM = Norm()
