"""The 1x1 convolution, `pointwise.c`, with a batch norm before it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hil.compiler.code.c import Constant, Fields, identifier, nested, structure
from hil.compiler.kernels import scale
from hil.compiler.kernels.convolution import check_residual, conv_comment
from hil.compiler.kernels.cycles import Work, add
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
from hil.compiler.kernels.shapes import is_unpadded, pixel_access, sources, window_slack
from hil.compiler.kernels.weights import Inputs, is_narrow, product_stream
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Operator
from hil.errors import BuildError

_NORMALISED_BYTES = 2  # of a value between a batch norm and the product: int16


class Pointwise(Kernel):
    """1x1 convolutions, with the batch norm or activation before them that nothing else reads.

    The convolution widens its pixels anyway, so that the normalised map is never stored.
    """

    name = "pointwise"
    parts = ("matmul", "scale")
    step_bytes = 216
    code_bytes = 308

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take a 1x1 convolution, or a batch norm and the one behind it."""
        first = rest[0]
        if not isinstance(first, Conv2D):
            return None
        if pointwise_of(first):
            return self._step(first, (), choices)
        second = rest[1] if len(rest) > 1 else None
        if not (scale.is_scale(first) and isinstance(second, Conv2D) and pointwise_of(second)):
            return None
        name = first.output.name
        alone = second.inputs[0].name == name and readers[name] == 1
        return self._step(second, (first,), choices) if alone else None

    def _step(self, conv: Conv2D, scales: tuple[Conv2D, ...], choices: Choices) -> Step:
        product = _product_of(conv, scales)
        maps = [*(s.inputs[0] for s in scales), *sources(conv)]
        between = {s.output.name for s in scales}
        inputs = {tensor.name: tensor for tensor in maps if tensor.name not in between}
        factors = [memory for s in scales for memory in scale.scratch(s, choices)]
        return Step(
            conv.name,
            self,
            (*scales, conv),
            tuple(inputs.values()),
            (conv.output,),
            (*(product_scratch(product, choices) if product else ()), *factors),
            window_slack(conv),
        )

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count the product's weights, and the norm's factors."""
        scales, conv, product = _parts(step.operators)
        factors = sum(4 * scale.words(s) for s in scales)
        return factors + product_bytes(product, [conv], copied=not choices.weights_in_flash)

    def work(self, site: Site) -> Work:
        """Count the norm, widening, and the product."""
        scales, conv, product = _parts(site.step.operators)
        rows, columns, _ = conv.inputs[0].shape
        pixels = rows * columns
        return add(
            *(scale.work(s, site) for s in scales),
            {"widen.value": conv.inputs[0].bytes},
            flash_work(product, pixels, site),
            copied_product_work(product, pixels, site),
        )

    def access(self, step: Step) -> Access:
        """Return a row for a row."""
        return pixel_access(step.operators[-1])

    def code(self, site: Site) -> StepCode:
        """Call `pointwise_rows`."""
        step = site.step
        scales, conv, product = _parts(step.operators)
        check_residual(conv)
        name = identifier(step.name)
        rows, columns, channels = conv.inputs[0].shape
        described = product_fields(f"{name}_product", product, [conv], copied=site.copied)
        fields: Fields = {
            "product": nested(described, 2),
            "scale": f"&{identifier(scales[0].name)}" if scales else "NULL",
            "weights": f"{name}_weights",
            "columns": columns,
            "channels": channels,
            "copy": site.planned("copy"),
            "window": site.planned("window"),
        }
        x, y = site.map(step.inputs[0]), site.row(step.outputs[0])
        narrow = is_narrow([conv], copied=site.copied)
        stream = product_stream([conv], inputs=Inputs.WIDENED, narrow=narrow)
        norms = (scale.descriptor(site, s, y_bytes=_NORMALISED_BYTES) for s in scales)
        return StepCode(
            ("pointwise.h",),
            "\n * ".join(conv_comment(c) for c in (*scales, conv)),
            (*map(scale.constant, scales), Constant(f"{name}_weights", stream, STREAM)),
            "".join(norms)
            + product_prototypes(f"{name}_product", product)
            + structure("pointwise_t", name, fields),
            (call("pointwise_rows", f"&{name}", x, site.residual(conv), *site.span(rows), y),),
        )

    def assembly(self, name: str, operators: tuple[Operator, ...], panel: int) -> str:
        """Write the norm and the product."""
        scales, _, product = _parts(operators)
        norms = (scale.assembly(s, y_bytes=_NORMALISED_BYTES) for s in scales)
        return "".join(norms) + product_assembly(f"{identifier(name)}_product", product)


def pointwise_of(conv: Conv2D) -> MatMul | None:
    """Return the product that computes a 1x1 convolution by itself, None where none does."""
    inputs = conv.inputs[0].shape[2]
    if (
        conv.depthwise
        or conv.weight.shape[1:3] != (1, 1)
        or conv.stride != 1
        or not is_unpadded(conv)
        or inputs % 4
        or conv.shift > MOST_SHIFT
    ):
        return None
    rows, columns, _ = conv.output.shape
    product = replace(of_depth(conv, inputs), runs=tuple({rows * columns, columns}))
    return product if product.is_reachable else None


def _product_of(conv: Conv2D, scales: Sequence[Conv2D]) -> MatMul | None:
    """Return the product of as many pixels at a time as the norm before it takes."""
    product = pointwise_of(conv)
    return replace(product, limit=scale.MOST_PIXELS) if product and scales else product


def _parts(operators: Sequence[Operator]) -> tuple[list[Conv2D], Conv2D, MatMul]:
    """Return the norm if there is one, the convolution, and its product."""
    *scales, conv = (expect(op, Conv2D) for op in operators)
    product = _product_of(conv, scales)
    if product is None:
        raise BuildError(f"{conv.name} is planned as a product but is none")
    return scales, conv, product


POINTWISE = Pointwise()
