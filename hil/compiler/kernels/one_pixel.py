"""The 1x1 convolution of a single pixel, `one_pixel.c`, whose weights are read in flash as int8."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from hil.compiler.code.c import Constant, Fields, identifier, structure
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
from hil.compiler.kernels.one_pixel_assembly import OnePixel, one_pixel
from hil.compiler.kernels.pointwise import pointwise_of
from hil.compiler.kernels.product import STREAM, narrow_bytes
from hil.compiler.kernels.weights import Inputs, product_stream
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Operator
from hil.errors import BuildError


class OnePixelKernel(Kernel):
    """Fully connected layers: 1x1 convolutions of a map of one pixel."""

    name = "one_pixel"
    step_bytes = 96
    code_bytes = 272
    cycles: ClassVar[Costs] = {
        "one_pixel.mac": Cost(2.22, "a multiply-accumulate, its weight read in flash"),
    }

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take a 1x1 convolution of one pixel, to which no other map is added."""
        conv = rest[0]
        if not isinstance(conv, Conv2D) or _product_of(conv) is None:
            return None
        window = Scratch("window", 2 * conv.inputs[0].bytes, lasts=False)
        return Step(conv.name, self, (conv,), conv.inputs, (conv.output,), (window,), slack=0)

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count the weights as int8."""
        product = pointwise_of(expect(step.operators[0], Conv2D))
        return narrow_bytes(product) if product else 0

    def work(self, site: Site) -> Work:
        """Count multiply-accumulates."""
        return {"one_pixel.mac": site.step.operators[0].macs}

    def code(self, site: Site) -> StepCode:
        """Call `one_pixel`."""
        conv, product = _parts(site.step.operators)
        name = identifier(conv.name)
        fields: Fields = {
            "inputs": product.inputs,
            "channels": product.channels,
            "shift": product.shift,
            "low": product.low,
            "high": product.high,
            "weights": f"{name}_weights",
            "window": site.scratch("window"),
            "code": f"HIL_CORTEX_M4_CODE({name}_product)",
        }
        stream = product_stream([conv], inputs=Inputs.WIDENED, narrow=True)
        x, y = site.arena(conv.inputs[0]), site.arena(conv.output)
        return StepCode(
            ("one_pixel.h",),
            conv_comment(conv),
            (Constant(f"{name}_weights", stream, STREAM),),
            f"void {name}_product(const int16_t *, const int32_t *, int8_t *);\n"
            + structure("one_pixel_t", name, fields),
            (call("one_pixel", f"&{name}", x, y),),
        )

    def assembly(self, name: str, operators: tuple[Operator, ...], panel: int) -> str:
        """Write the product."""
        return one_pixel(f"{identifier(name)}_product", _parts(operators)[1]).text


def _product_of(conv: Conv2D) -> OnePixel | None:
    """Return the product that computes a convolution of one pixel, None where none does."""
    rows, columns, inputs = conv.inputs[0].shape
    if rows * columns != 1 or conv.residual is not None or pointwise_of(conv) is None:
        return None
    product = OnePixel(inputs, conv.output.shape[2], conv.shift, conv.low, conv.high)
    return product if product.is_reachable else None


def _parts(operators: Sequence[Operator]) -> tuple[Conv2D, OnePixel]:
    conv = expect(operators[0], Conv2D)
    product = _product_of(conv)
    if product is None:
        raise BuildError(f"{conv.name} is planned as a product of one pixel but is none")
    return conv, product


ONE_PIXEL = OnePixelKernel()
