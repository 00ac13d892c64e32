"""The plain inverted residual, `inverted_residual.c`: where the packed one cannot."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from hil.compiler.code.c import Fields, identifier, nested, structure
from hil.compiler.kernels.block import block_name, block_slack, expanded_of, inputs_of
from hil.compiler.kernels.conv2d import conv_bytes, conv_constants, conv_fields
from hil.compiler.kernels.convolution import conv_comment
from hil.compiler.kernels.cycles import Cost, Costs, Work
from hil.compiler.kernels.kernel import (
    Choices,
    Kernel,
    Scratch,
    Site,
    Step,
    StepCode,
    call,
    expect,
)
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Operator


class InvertedResidual(Kernel):
    """Expansion, depthwise and projection in one, each computed as the plain convolution is."""

    name = "inverted_residual"
    parts = ("conv2d",)
    step_bytes = 340
    code_bytes = 260
    cycles: ClassVar[Costs] = {
        "inverted_residual.mac": Cost(35.4, "a multiply-accumulate"),
    }

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take any block with an expansion."""
        convs = expanded_of(rest, readers)
        if convs is None:
            return None
        _, depthwise, project = convs
        inputs = inputs_of(convs)
        return Step(
            block_name(project.name),
            self,
            convs,
            inputs,
            (project.output,),
            _scratch(depthwise),
            block_slack(depthwise, project, x=inputs[0]),
        )

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count weights, biases and multipliers."""
        return sum(conv_bytes(expect(op, Conv2D)) for op in step.operators)

    def work(self, site: Site) -> Work:
        """Count multiply-accumulates."""
        return {"inverted_residual.mac": site.step.macs}

    def code(self, site: Site) -> StepCode:
        """Call `inverted_residual`."""
        step = site.step
        convs = [expect(op, Conv2D) for op in step.operators]
        name = identifier(step.name)
        members = ("expand", "depthwise", "project")
        parts: Fields = {
            member: nested(conv_fields(conv), 2)
            for member, conv in zip(members, convs, strict=True)
        }
        return StepCode(
            ("inverted_residual.h",),
            "\n * ".join(conv_comment(conv) for conv in convs),
            tuple(constant for conv in convs for constant in conv_constants(conv)),
            structure("inverted_residual_t", name, parts),
            (
                call(
                    "inverted_residual",
                    f"&{name}",
                    site.arena(step.inputs[0]),
                    site.residual(convs[-1]),
                    site.scratch("ring"),
                    site.scratch("line"),
                    site.arena(step.outputs[0]),
                ),
            ),
        )


def _scratch(depthwise: Conv2D) -> tuple[Scratch, ...]:
    _, columns, channels = depthwise.inputs[0].shape
    return (
        Scratch("ring", depthwise.weight.shape[1] * columns * channels),
        Scratch("line", depthwise.output.shape[1] * channels),
    )


INVERTED_RESIDUAL = InvertedResidual()
