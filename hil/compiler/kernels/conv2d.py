"""The plain convolution, `conv2d.c`: any kernel, stride and padding, dense or depthwise."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from hil.compiler.code.c import Constant, Fields, identifier, structure
from hil.compiler.kernels.convolution import check_residual, conv_comment
from hil.compiler.kernels.cycles import Cost, Costs, Work
from hil.compiler.kernels.feed import Feed, FeedCode
from hil.compiler.kernels.kernel import (
    Access,
    Choices,
    Kernel,
    Scratch,
    Site,
    Step,
    StepCode,
    call,
    expect,
)
from hil.compiler.kernels.shapes import sources, window_access, window_slack
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Operator


class PlainConvolution(Kernel):
    """Convolutions that no other kernel takes."""

    name = "conv2d"
    y_type: ClassVar[str] = "int8_t"
    step_bytes = 152
    code_bytes = 1728
    cycles: ClassVar[Costs] = {
        "conv2d.mac": Cost(17.0, "a multiply-accumulate of a dense convolution"),
        "conv2d.depthwise_mac": Cost(42.3, "a multiply-accumulate of a depthwise one"),
    }

    def take(
        self,
        rest: Sequence[Operator],
        readers: Mapping[str, int],
        choices: Choices,
    ) -> Step | None:
        """Take any convolution."""
        conv = rest[0]
        if not isinstance(conv, Conv2D):
            return None
        slack = window_slack(conv)
        return Step(conv.name, self, (conv,), sources(conv), (conv.output,), slack=slack)

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count weights, biases and multipliers."""
        return conv_bytes(expect(step.operators[0], Conv2D))

    def work(self, site: Site) -> Work:
        """Count multiply-accumulates."""
        return _work(expect(site.step.operators[0], Conv2D))

    def access(self, step: Step) -> Access:
        """Return the window's rows."""
        return window_access(expect(step.operators[0], Conv2D))

    def code(self, site: Site) -> StepCode:
        """Call `conv2d_rows`, or what is that for another width."""
        conv = expect(site.step.operators[0], Conv2D)
        name = identifier(conv.name)
        x, y = site.map(conv.inputs[0]), site.row(conv.output)
        y = y if self.bits == 8 else f"({self.y_type} *)(void *)({y})"
        span = site.span(conv.output.shape[0])
        return StepCode(
            (f"{self.name}.h",),
            conv_comment(conv),
            conv_constants(conv),
            structure("conv2d_t", name, conv_fields(conv)),
            (call(f"{self.name}_rows", f"&{name}", x, site.residual(conv), *span, y),),
        )


class PlainConvolutionInt16(PlainConvolution):
    """Such convolutions whose outputs are int16."""

    name = "conv2d_int16"
    code_bytes = 1684
    bits = 16
    y_type = "int16_t"
    cycles: ClassVar[Costs] = {}


class PlainFeed(Feed):
    """A plain convolution that runs into another kernel."""

    files = ("conv2d",)

    def takes(self, conv: Conv2D) -> bool:
        """Take any convolution."""
        return True

    def scratch(self, conv: Conv2D, choices: Choices) -> tuple[Scratch, ...]:
        """Return none."""
        return ()

    def constant_bytes(self, conv: Conv2D, choices: Choices) -> int:
        """Count weights, biases and multipliers."""
        return conv_bytes(conv)

    def work(self, conv: Conv2D, site: Site) -> Work:
        """Count multiply-accumulates."""
        return _work(conv)

    def code(self, conv: Conv2D, site: Site) -> FeedCode:
        """Call `conv2d_rows`."""
        name = identifier(conv.name)
        return FeedCode(
            ("conv2d.h",),
            conv_constants(conv),
            structure("conv2d_t", name, conv_fields(conv)),
            f"conv2d_rows(&{name}, {{source}}, NULL, {{row}}, {{count}}, rows);",
        )


def _work(conv: Conv2D) -> Work:
    return {"conv2d.depthwise_mac" if conv.depthwise else "conv2d.mac": conv.macs}


def conv_bytes(conv: Conv2D) -> int:
    """Count the bytes of what `conv_constants` returns."""
    return conv.weight.size + 8 * len(conv.weight)


def conv_constants(conv: Conv2D) -> tuple[Constant, ...]:
    """Return a convolution's weights, biases and multipliers as the plain kernel reads them."""
    name = identifier(conv.name)
    layout = "[channels][rows][columns]" if conv.depthwise else "[out][rows][columns][in]"
    return (
        Constant(f"{name}_weight", conv.weight.astype(np.int8), f"{conv.name}: {layout}"),
        Constant(f"{name}_bias", conv.shifted_bias.astype(np.int32), "[out], shifted"),
        Constant(f"{name}_multiplier", conv.multiplier.astype(np.int32), "[out]"),
    )


def conv_fields(conv: Conv2D) -> Fields:
    """Return the members of a convolution's `conv2d_t`."""
    name = identifier(conv.name)
    rows, columns, channels = conv.inputs[0].shape
    out_rows, out_columns, out_channels = conv.output.shape
    fields: Fields = {
        "weight": f"{name}_weight",
        "bias": f"{name}_bias",
        "multiplier": f"{name}_multiplier",
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "out_rows": out_rows,
        "out_columns": out_columns,
        "out_channels": out_channels,
        "kernel_rows": conv.weight.shape[1],
        "kernel_columns": conv.weight.shape[2],
        "stride": conv.stride,
        "top": conv.padding.top,
        "left": conv.padding.left,
        "shift": conv.shift,
        "x_zero": conv.inputs[0].zero_point,
        "y_zero": conv.output.zero_point,
        "low": conv.low,
        "high": conv.high,
        "depthwise": conv.depthwise,
    }
    if conv.residual is not None:
        check_residual(conv)
        fields |= {
            "residual_zero": conv.residual.source.zero_point,
            "residual_multiplier": conv.residual.multiplier,
            "residual_shift": conv.residual.shift,
        }
    return fields


CONV2D = PlainConvolution()
CONV2D_INT16 = PlainConvolutionInt16()
CONV2D_FEED = PlainFeed()
