"""Convolutions that share a product over a ring of widened rows, `heads.c`.

They read one map, with an L2 normalisation before them and max-outs after them.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from hil.compiler.code.c import Constant, Fields, identifier, nested, structure
from hil.compiler.kernels.convolution import conv_comment
from hil.compiler.kernels.cycles import Work, add
from hil.compiler.kernels.feed import Feed, FeedCode
from hil.compiler.kernels.kernel import Access, Choices, Kernel, Scratch, Site, Step, StepCode
from hil.compiler.kernels.l2norm import (
    norm_bytes,
    norm_comment,
    norm_constant,
    norm_structure,
    norm_work,
)
from hil.compiler.kernels.matmul import MOST_SHIFT, MatMul
from hil.compiler.kernels.product import (
    STREAM,
    product_assembly,
    product_bytes,
    product_fields,
    product_prototypes,
    product_work,
)
from hil.compiler.kernels.shapes import even, ring_slack
from hil.compiler.kernels.weights import Inputs, is_narrow, product_stream
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.operators.l2norm import L2Norm
from hil.compiler.operators.maxout import MaxOut
from hil.compiler.program import Operator
from hil.errors import BuildError
from hil.limits import limit

MOST_HEADS = limit("HEADS_MOST_PARTS")  # convolutions in one product
_MOST_TURNED_BYTES = 49_152  # of weights in as many copies as a kernel has rows


class Heads(Kernel):
    """Alike convolutions of one map, its norm before and their max-outs after them."""

    name = "heads"
    parts: tuple[str, ...] = ("matmul", "l2norm")
    step_bytes = 284
    code_bytes = 1824
    y_type: ClassVar[str] = "int8_t"

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take the convolutions of a map that can share a product, its norm and their max-outs."""
        first = rest[0]
        norm = first if isinstance(first, L2Norm) else None
        if norm is None and not (isinstance(first, Conv2D) and heads_of([first])):
            return None
        tensor = norm.output if norm else first.inputs[0]
        convs: list[Conv2D] = []
        for operator in rest:
            if not isinstance(operator, Conv2D) or operator.inputs[0].name != tensor.name:
                continue
            if heads_of([*convs, operator]):
                convs.append(operator)
        product = heads_of(convs) if convs else None
        if product is None or (norm and readers[tensor.name] != len(convs)):
            return None
        operators: list[Operator] = [norm] if norm else []
        outputs = []
        for conv in convs:
            most = _maxout_of(conv, rest, readers)
            operators += [conv, most] if most else [conv]
            outputs.append((most or conv).output)
        is_alone = len(operators) == 1
        return Step(
            convs[0].name if is_alone else f"heads.{tensor.name}",
            self,
            tuple(operators),
            first.inputs[:1],
            tuple(outputs),
            _scratch(convs[0], product, normalised=norm is not None),
            _slack(convs[0]) if is_alone else None,
        )

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count the product's weights, and the norm's multipliers."""
        norms, convs, product = _parts(step.operators)
        return sum(map(norm_bytes, norms)) + product_bytes(product, convs, copied=True)

    def work(self, site: Site) -> Work:
        """Count normalising, widening and the product."""
        norms, convs, product = _parts(site.step.operators)
        return add(_work(convs, product), *map(norm_work, norms))

    def access(self, step: Step) -> Access | None:
        """Return the rows that the ring does not hold yet."""
        conv = next(op for op in step.operators if isinstance(op, Conv2D))
        unread = conv.weight.shape[1] - conv.padding.top
        return Access(conv.output.shape[0], conv.stride, unread, unread - conv.stride)

    def code(self, site: Site) -> StepCode:
        """Call `heads_rows`, or what is that for another width."""
        step = site.step
        norms, convs = heads_parts(step.operators)
        groups = {op.inputs[0].name: op.groups for op in step.operators if isinstance(op, MaxOut)}
        name = identifier(step.name)
        outputs_at = ", ".join(self._at(site.row(tensor)) for tensor in step.outputs)
        span = ", ".join(site.span(convs[0].output.shape[0]))
        norm = f"&{identifier(norms[0].name)}" if norms else "NULL"
        constant, descriptor = self.define(name, site, norm, groups)
        return StepCode(
            (f"{self.name}.h",),
            "\n * ".join([*map(norm_comment, norms), *map(conv_comment, convs)]),
            (*map(norm_constant, norms), constant),
            "".join(map(norm_structure, norms)) + descriptor,
            (
                f"{self.y_type} *const y[] = {{{outputs_at}}};",
                self.call(name, site.map(step.inputs[0]), span),
            ),
        )

    def call(self, name: str, x: str, span: str) -> str:
        """Write the statement that computes rows to `y`.

        Args:
            name: of the descriptor.
            x: where the map stands.
            span: the first row and how many.
        """
        return f"{self.name}_rows(&{name}, {x}, {span}, y);"

    def define(
        self, name: str, site: Site, norm: str, groups: Mapping[str, int]
    ) -> tuple[Constant, str]:
        """Return the weights and the descriptor.

        Args:
            name: in C.
            site: whose working memory it takes.
            norm: the L2 norm before the convolutions, as a C expression.
            groups: of channels that a max-out reduces, by a convolution's output.
        """
        _, convs, product = _parts(site.step.operators)
        descriptor = _descriptor(name, site, (product, convs), norm=norm, groups=groups)
        return _constant(name, product, convs), descriptor

    def _at(self, place: str) -> str:
        """Return a map's place as a pointer to its values."""
        return place if self.bits == 8 else f"({self.y_type} *)(void *)({place})"

    def assembly(self, name: str, operators: tuple[Operator, ...], panel: int) -> str:
        """Write the product."""
        return product_assembly(f"{identifier(name)}_product", _parts(operators)[2])


class HeadsInt16(Heads):
    """Such convolutions whose outputs are int16, a single 1x1 one included."""

    name = "heads_int16"
    parts = ("matmul", "l2norm")
    code_bytes = 1880
    bits = 16
    y_type = "int16_t"


class HeadsFeed(Feed):
    """A convolution over a ring of widened rows that runs into another kernel."""

    files = ("heads", "matmul", "l2norm")

    def takes(self, conv: Conv2D) -> bool:
        """Take a convolution whose product can be reached."""
        return heads_of([conv]) is not None

    def scratch(self, conv: Conv2D, choices: Choices) -> tuple[Scratch, ...]:
        """Return turned weights, the ring and a line."""
        return _scratch(conv, _product([conv]))

    def constant_bytes(self, conv: Conv2D, choices: Choices) -> int:
        """Count the product's weights."""
        return product_bytes(_product([conv]), [conv], copied=True)

    def work(self, conv: Conv2D, site: Site) -> Work:
        """Count widening and the product."""
        return _work([conv], _product([conv]))

    def code(self, conv: Conv2D, site: Site) -> FeedCode:
        """Call `heads_rows`."""
        name, product = identifier(conv.name), _product([conv])
        return FeedCode(
            ("heads.h",),
            (_constant(name, product, [conv]),),
            _descriptor(name, site, (product, [conv])),
            f"heads_rows(&{name}, {{source}}, {{row}}, {{count}}, (int8_t *const[]){{{{rows}}}});",
        )

    def assembly(self, conv: Conv2D) -> str:
        """Write the product."""
        return product_assembly(f"{identifier(conv.name)}_product", _product([conv]))


def heads_of(convs: Sequence[Conv2D]) -> MatMul | None:
    """Return the product that computes several alike convolutions of one map, if one does.

    A pixel's window has a segment for each kernel row, in a ring of widened rows.
    """
    first = convs[0]
    columns, channels = first.inputs[0].shape[1:]
    _, kernel_rows, kernel_columns, _ = first.weight.shape
    outputs = sum(conv.output.shape[2] for conv in convs)
    pixel_bytes = 2 * first.stride * channels
    y_bytes = first.output.bits // 8
    if not all(_is_alike(conv, first) for conv in convs) or not 1 <= len(convs) <= MOST_HEADS:
        return None
    depth = kernel_columns * channels
    width = max(
        first.padding.left + columns,
        (first.output.shape[1] - 1) * first.stride + kernel_columns,
    )
    product = MatMul(
        depth=depth + depth % 2,
        segments=kernel_rows,
        segment_bytes=2 * even(width * channels + depth % 2),
        pixel_bytes=pixel_bytes,
        channels=outputs,
        y_bytes=y_bytes,
        y_channel_bytes=y_bytes,
        y_pixel_bytes=y_bytes * outputs,
        low=first.low,
        high=first.high,
        runs=(first.output.shape[1],),
    )
    turned_bytes = 4 * kernel_rows * product.stream_words
    fits = product.is_reachable and pixel_bytes % 4 == 0 and turned_bytes <= _MOST_TURNED_BYTES
    return product if fits and (kernel_rows > 1 or y_bytes > 1) else None


def _is_alike(conv: Conv2D, first: Conv2D) -> bool:
    """Tell whether a convolution can share a product with the first, and is one of the kind."""
    return (
        not conv.depthwise
        and conv.weight.shape[1:] == first.weight.shape[1:]
        and conv.stride == first.stride <= conv.weight.shape[1]
        and (conv.padding.top, conv.padding.left) == (first.padding.top, first.padding.left)
        and conv.output.shape[:2] == first.output.shape[:2]
        and conv.output.bits == first.output.bits
        and conv.output.shape[2] % 2 == 0
        and conv.residual is None
        and (conv.low, conv.high) == (first.low, first.high)
        and conv.shift <= MOST_SHIFT
    )


def heads_parts(operators: Sequence[Operator]) -> tuple[list[L2Norm], list[Conv2D]]:
    """Return a step's norms and its convolutions."""
    norms = [op for op in operators if isinstance(op, L2Norm)]
    return norms, [op for op in operators if isinstance(op, Conv2D)]


def _parts(operators: Sequence[Operator]) -> tuple[list[L2Norm], list[Conv2D], MatMul]:
    norms, convs = heads_parts(operators)
    return norms, convs, _product(convs)


def _product(convs: Sequence[Conv2D]) -> MatMul:
    product = heads_of(convs)
    if product is None:
        raise BuildError(f"{convs[0].name} is planned as one product but is none")
    return product


def _maxout_of(conv: Conv2D, rest: Sequence[Operator], readers: Mapping[str, int]) -> MaxOut | None:
    for operator in rest:
        if isinstance(operator, MaxOut) and operator.inputs[0].name == conv.output.name:
            return operator if readers[conv.output.name] == 1 else None
    return None


def _scratch(conv: Conv2D, product: MatMul, *, normalised: bool = False) -> tuple[Scratch, ...]:
    _, columns, channels = conv.inputs[0].shape
    of_outputs = conv.output.shape[1] * product.y_pixel_bytes
    line = max(columns * channels if normalised and channels % 4 else 0, of_outputs)
    return (
        Scratch("turned", 4 * product.segments * product.stream_words),
        Scratch("ring", product.segments * product.segment_bytes),
        Scratch("line", line, lasts=False),
    )


def _slack(conv: Conv2D) -> int:
    return ring_slack(
        conv.inputs[0],
        conv.output,
        stride=conv.stride,
        top=conv.padding.top,
        kernel_rows=conv.weight.shape[1],
    )


def heads_work(convs: Sequence[Conv2D]) -> Work:
    """Count the work of convolutions that share a product."""
    return _work(convs, _product(convs))


def _work(convs: Sequence[Conv2D], product: MatMul) -> Work:
    out_rows, out_columns, _ = convs[0].output.shape
    widened = {"widen.value": convs[0].inputs[0].bytes}
    return add(widened, product_work(product, out_rows * out_columns))


def _constant(name: str, product: MatMul, convs: Sequence[Conv2D]) -> Constant:
    """Return the weights as the product reads them."""
    in_fours = convs[0].inputs[0].shape[2] % 4 == 0
    stream = product_stream(
        convs,
        inputs=Inputs.WIDENED if in_fours else Inputs.IN_ORDER,
        narrow=is_narrow(convs, copied=True),
        segments=product.segments,
    )
    return Constant(f"{name}_weights", stream, STREAM)


def _descriptor(
    name: str,
    site: Site,
    of: tuple[MatMul, Sequence[Conv2D]],
    *,
    norm: str = "NULL",
    groups: Mapping[str, int] | None = None,
) -> str:
    """Define the `heads_t`, and declare its functions in kernels.S.

    Args:
        name: in C.
        site: whose working memory it takes.
        of: the product, and its convolutions.
        norm: the L2 norm before them, as a C expression.
        groups: of channels that a max-out reduces, by a convolution's output.
    """
    product, convs = of
    fields: Fields = {
        "product": nested(product_fields(f"{name}_product", product, convs, copied=True), 2),
        "weights": f"{name}_weights",
    }
    fields |= heads_fields(convs, norm, groups or {})
    fields |= {memory: site.scratch(memory) for memory in ("turned", "ring", "line")}
    prototypes = product_prototypes(f"{name}_product", product)
    return prototypes + structure("heads_t", name, fields)


def heads_fields(convs: Sequence[Conv2D], norm: str, groups: Mapping[str, int]) -> Fields:
    """Return the members of a `heads_t` that say what map it reads and what parts there are.

    Args:
        convs: alike, of one map.
        norm: the L2 norm before them, as a C expression.
        groups: of channels that a max-out reduces, by a convolution's output.
    """
    first = convs[0]
    rows, columns, channels = first.inputs[0].shape
    parts, begin = [], 0
    for conv in convs:
        outputs = conv.output.shape[2]
        parts.append(f"{{{begin}, {outputs}, {groups.get(conv.output.name, 1)}}}")
        begin += outputs
    return {
        "norm": norm,
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "out_columns": first.output.shape[1],
        "stride": first.stride,
        "top": first.padding.top,
        "left": first.padding.left,
        "x_zero": first.inputs[0].zero_point,
        "parts": len(convs),
        "part": f"{{{', '.join(parts)}}}",
    }


HEADS = Heads()
HEADS_INT16 = HeadsInt16()
HEADS_FEED = HeadsFeed()
