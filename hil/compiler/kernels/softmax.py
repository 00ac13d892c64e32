"""Softmax over channels, `softmax.c`."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

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
from hil.compiler.operators.softmax import Softmax
from hil.compiler.program import Operator


class SoftmaxKernel(Kernel):
    """Softmax by a table of exponentials."""

    name = "softmax"
    step_bytes = 72
    code_bytes = 416
    cycles: ClassVar[Costs] = {
        "softmax.value": Cost(54.6, "a value"),
    }

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take a softmax; it may write over its input."""
        softmax = rest[0]
        if not isinstance(softmax, Softmax):
            return None
        return Step(softmax.name, self, (softmax,), softmax.inputs, (softmax.output,), slack=0)

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count the table."""
        return expect(step.operators[0], Softmax).table.nbytes

    def work(self, site: Site) -> Work:
        """Count values, of which each is looked up twice."""
        return {"softmax.value": site.step.outputs[0].bytes}

    def access(self, step: Step) -> Access:
        """Return a row for a row."""
        return pixel_access(step.operators[0])

    def code(self, site: Site) -> StepCode:
        """Call `softmax`."""
        softmax = expect(site.step.operators[0], Softmax)
        name = identifier(softmax.name)
        channels = softmax.output.shape[2]
        fields: Fields = {"table": f"{name}_table", "channels": channels}
        x, y = site.row(softmax.inputs[0]), site.row(softmax.output)
        return StepCode(
            ("softmax.h",),
            f"{softmax.name}: softmax of {channels} channels",
            (Constant(f"{name}_table", softmax.table, "[distance from the greatest value]"),),
            structure("softmax_t", name, fields),
            (call("softmax", f"&{name}", site.pixels(softmax.output), x, y),),
        )


SOFTMAX = SoftmaxKernel()
