"""The dense convolution over gathered windows, `windowed.c`."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from hil.compiler.code.c import Constant, Fields, identifier, nested, structure
from hil.compiler.kernels.conv2d import conv_fields
from hil.compiler.kernels.convolution import check_residual, conv_comment
from hil.compiler.kernels.cycles import Cost, Costs, Work, add
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
from hil.compiler.kernels.matmul import MOST_SHIFT, MatMul, of_depth
from hil.compiler.kernels.product import (
    STREAM,
    copied_product_work,
    flash_work,
    product_assembly,
    product_bytes,
    product_fields,
    product_prototypes,
    product_scratch,
)
from hil.compiler.kernels.shapes import even, sources, window_access, window_slack
from hil.compiler.kernels.weights import Inputs, is_narrow, product_stream
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Operator
from hil.errors import BuildError


class Windowed(Kernel):
    """Dense convolutions of any window, as a product over gathered windows."""

    name = "windowed"
    parts = ("matmul",)
    step_bytes = 192
    code_bytes = 1020
    cycles: ClassVar[Costs] = {
        "windowed.gather": Cost(7.15, "a value of a window whose channels are not in words"),
    }

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take a dense convolution whose product can be reached."""
        conv = rest[0]
        if not isinstance(conv, Conv2D) or not (product := windowed_of(conv)):
            return None
        scratch = product_scratch(product, choices)
        slack = window_slack(conv)
        return Step(conv.name, self, (conv,), sources(conv), (conv.output,), scratch, slack)

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count the product's weights."""
        conv, product = _conv_and_product(step)
        return product_bytes(product, [conv], copied=not choices.weights_in_flash)

    def work(self, site: Site) -> Work:
        """Count gathering and the product."""
        conv, product = _conv_and_product(site.step)
        return _work(conv, product, site)

    def access(self, step: Step) -> Access:
        """Return the window's rows."""
        return window_access(expect(step.operators[0], Conv2D))

    def code(self, site: Site) -> StepCode:
        """Call `windowed_rows`."""
        conv, product = _conv_and_product(site.step)
        check_residual(conv)
        x, y = site.map(conv.inputs[0]), site.row(conv.output)
        span = site.span(conv.output.shape[0])
        name = identifier(conv.name)
        return StepCode(
            ("windowed.h",),
            conv_comment(conv),
            (_constant(conv, copied=site.copied),),
            _descriptor(site, conv, product),
            (call("windowed_rows", f"&{name}", x, site.residual(conv), *span, y),),
        )

    def assembly(self, name: str, operators: tuple[Operator, ...], panel: int) -> str:
        """Write the product."""
        conv = expect(operators[0], Conv2D)
        product = windowed_of(conv)
        return product_assembly(f"{identifier(conv.name)}_product", product) if product else ""


class WindowedFeed(Feed):
    """A dense convolution over windows that runs into another kernel."""

    files = ("windowed", "matmul")

    def takes(self, conv: Conv2D) -> bool:
        """Take a dense convolution whose product can be reached."""
        return windowed_of(conv) is not None

    def scratch(self, conv: Conv2D, choices: Choices) -> tuple[Scratch, ...]:
        """Return the product's working memory."""
        return product_scratch(_product(conv), choices)

    def constant_bytes(self, conv: Conv2D, choices: Choices) -> int:
        """Count the product's weights."""
        return product_bytes(_product(conv), [conv], copied=not choices.weights_in_flash)

    def work(self, conv: Conv2D, site: Site) -> Work:
        """Count gathering and the product."""
        return _work(conv, _product(conv), site)

    def code(self, conv: Conv2D, site: Site) -> FeedCode:
        """Call `windowed_rows`."""
        return FeedCode(
            ("windowed.h",),
            (_constant(conv, copied=site.copied),),
            _descriptor(site, conv, _product(conv)),
            f"windowed_rows(&{identifier(conv.name)}, {{source}}, NULL, {{row}}, {{count}}, rows);",
        )

    def assembly(self, conv: Conv2D) -> str:
        """Write the product."""
        return product_assembly(f"{identifier(conv.name)}_product", _product(conv))


def windowed_of(conv: Conv2D) -> MatMul | None:
    """Return the product over gathered windows that computes a dense convolution, if one does."""
    _, kernel_rows, kernel_columns, inputs = conv.weight.shape
    product = of_depth(conv, even(kernel_rows * kernel_columns * inputs))
    fits = not conv.depthwise and conv.shift <= MOST_SHIFT and product.is_reachable
    return product if fits else None


def _product(conv: Conv2D) -> MatMul:
    product = windowed_of(conv)
    if product is None:
        raise BuildError(f"{conv.name} is planned as a product but is none")
    return product


def _conv_and_product(step: Step) -> tuple[Conv2D, MatMul]:
    conv = expect(step.operators[0], Conv2D)
    return conv, _product(conv)


def _work(conv: Conv2D, product: MatMul, site: Site) -> Work:
    rows, columns, _ = conv.output.shape
    pixels = rows * columns
    each = "windowed.gather" if conv.inputs[0].shape[2] % 4 else "widen.value"
    return add(
        {each: pixels * product.depth},
        flash_work(product, pixels, site),
        copied_product_work(product, pixels, site),
    )


def _constant(conv: Conv2D, *, copied: bool) -> Constant:
    """Return the weights as the product reads them."""
    by_words = conv.inputs[0].shape[2] % 4 == 0
    order = Inputs.WIDENED if by_words else Inputs.IN_ORDER
    stream = product_stream([conv], inputs=order, narrow=is_narrow([conv], copied=copied))
    return Constant(f"{identifier(conv.name)}_weights", stream, STREAM)


def _descriptor(site: Site, conv: Conv2D, product: MatMul) -> str:
    """Define the `windowed_t`, and declare its functions in kernels.S."""
    name = identifier(conv.name)
    shape = conv_fields(conv)
    described = product_fields(f"{name}_product", product, [conv], copied=site.copied)
    fields: Fields = {"product": nested(described, 2), "weights": f"{name}_weights"}
    maps = ("rows", "columns", "channels", "out_rows", "out_columns", "out_channels")
    kernel = ("kernel_rows", "kernel_columns", "stride", "top", "left", "x_zero")
    fields |= {member: shape[member] for member in (*maps, *kernel)}
    fields |= {memory: site.planned(memory) for memory in ("copy", "window")}
    prototypes = product_prototypes(f"{name}_product", product)
    return prototypes + structure("windowed_t", name, fields)


WINDOWED = Windowed()
WINDOWED_FEED = WindowedFeed()
