"""The first channels of each pixel reduced to their maximum, `maxout.c`."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from hil.compiler.code.c import Fields, identifier, structure
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
from hil.compiler.operators.maxout import MaxOut
from hil.compiler.program import Operator


class Maximum(Kernel):
    """Max-outs that no convolutions take in."""

    name = "maxout"
    step_bytes = 72
    code_bytes = 312
    cycles: ClassVar[Costs] = {
        "maxout.value": Cost(12.1, "a value read"),
    }

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take a max-out."""
        most = rest[0]
        if not isinstance(most, MaxOut):
            return None
        return Step(most.name, self, (most,), most.inputs, (most.output,), slack=0)

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Return 0: there are none."""
        return 0

    def work(self, site: Site) -> Work:
        """Count values read."""
        return {"maxout.value": site.step.inputs[0].bytes}

    def access(self, step: Step) -> Access:
        """Return a row for a row."""
        return pixel_access(step.operators[0])

    def code(self, site: Site) -> StepCode:
        """Call `maxout`."""
        most = expect(site.step.operators[0], MaxOut)
        name = identifier(most.name)
        channels = most.inputs[0].shape[2]
        fields: Fields = {"channels": channels, "groups": most.groups}
        x, y = site.row(most.inputs[0]), site.row(most.output)
        return StepCode(
            ("maxout.h",),
            f"{most.name}: the first {most.groups} of {channels} channels become their maximum",
            (),
            structure("maxout_t", name, fields),
            (call("maxout", f"&{name}", site.pixels(most.output), x, y),),
        )


MAXOUT = Maximum()
