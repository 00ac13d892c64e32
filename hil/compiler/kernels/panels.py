"""Products whose weights do not fit the memory as a whole: panels of output channels, in turn.

Flash holds the weights as int8. A panel holds the weights of a few output channels, widened to
int16 in memory. The kernel applies one panel to every pixel of the map before it loads the next, so
that each weight is widened only once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from hil.compiler.code.c import Fields, nested
from hil.compiler.kernels.cycles import Part, Work
from hil.compiler.kernels.kernel import Choices, Step
from hil.compiler.kernels.matmul import MatMul
from hil.compiler.kernels.product import (
    narrow_bytes,
    product_assembly,
    product_fields,
    product_prototypes,
)
from hil.compiler.kernels.weights import Inputs, product_stream
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Int32

PAIR = 2  # channels that a product takes at a time
_HELD = 0.6  # of a step's memory may hold the widened map, so that it is widened once


@dataclass(frozen=True)
class Panels:
    """A product by panels, `panels_t` in firmware/kernels/panels.h.

    Attributes:
        product: of one panel's channels.
        rest: of the channels after the whole panels, None where they come out even.
        whole: panels.
    """

    product: MatMul
    rest: MatMul | None
    whole: int

    @classmethod
    def of(cls, product: MatMul, channels: int) -> "Panels":
        """Cut a product into panels of so many channels, an even number.

        Args:
            product: of the whole convolution.
            channels: of a panel; the last one may have fewer.
        """
        whole, left = divmod(product.channels, channels)
        rest = replace(product, channels=left) if left else None
        return cls(replace(product, channels=channels), rest, whole)

    @property
    def count(self) -> int:
        """Panels, the rest included."""
        return self.whole + (self.rest is not None)


class Storage:
    """How panels of weights stand in flash: here as int8, `panels_unpack` in C.

    Attributes:
        table_bytes: of working memory that unpacking takes behind a panel's weights.
    """

    table_bytes: ClassVar[int] = 0

    def suits(self, conv: Conv2D, panels: Panels, choices: Choices) -> bool:
        """Whether weights may stand so.

        Args:
            conv: whose weights they are.
            panels: how its product is cut.
            choices: the schedule's.
        """
        return True

    def stream(self, conv: Conv2D, panels: Panels, *, planar: bool = False) -> Int32:
        """Return the words in flash.

        Args:
            conv: whose weights they are.
            panels: how its product is cut.
            planar: as `product_stream` takes it.
        """
        return product_stream([conv], inputs=Inputs.WIDENED, narrow=True, planar=planar)

    def stream_bytes(self, conv: Conv2D, product: MatMul, panel: int) -> int:
        """Count the bytes of the words in flash.

        Args:
            conv: whose weights they are.
            product: of all its channels.
            panel: channels of a panel.
        """
        return narrow_bytes(product)

    def work(self, product: MatMul, panel: int) -> Work:
        """Count what unpacking takes beside copying.

        Args:
            product: of all channels.
            panel: channels of a panel.
        """
        return {}


def is_held(step: Step, product: MatMul) -> bool:
    """Tell whether all pixels of the step's map are widened once, not for each panel anew.

    Args:
        step: with panels of weights.
        product: of the whole convolution.
    """
    rows, columns, _ = step.inputs[0].shape
    window = step.scratch_bytes("window") or step.scratch_bytes("pixels")
    return window >= rows * columns * product.pixel_bytes


def widen_work(step: Step, conv: Conv2D, product: MatMul) -> Work:
    """Count widening a step's pixels, all of them once or for each panel anew.

    Args:
        step: with panels of weights.
        conv: whose pixels are widened.
        product: of the whole convolution.
    """
    times = 1 if is_held(step, product) else -(-product.channels // step.panel)
    return {"widen.value": conv.inputs[0].bytes * times}


def window_bytes(conv: Conv2D, product: MatMul, limit: int) -> int:
    """Return the bytes of widened pixels: all of them, or as many as a product takes at a time.

    Args:
        conv: whose pixels are widened.
        product: of the whole convolution.
        limit: bytes of a panel; pixels that are few beside it are widened all at once.
    """
    rows, columns, _ = conv.inputs[0].shape
    whole = rows * columns * product.pixel_bytes
    return whole if whole <= _HELD * limit else product.window_bytes


def panel_channels(channels: int, pair_bytes: int, limit: int) -> int | None:
    """Choose the channels of a panel: as many as fit, or rather fewer that leave no rest.

    Args:
        channels: of the product.
        pair_bytes: of working memory, for two channels.
        limit: bytes of working memory.

    Returns:
        An even number, None where not even two fit.
    """
    pairs = channels // PAIR
    most = min(pairs, limit // pair_bytes)
    if most < 1:
        return None
    divides = max(n for n in range(1, most + 1) if pairs % n == 0)
    return PAIR * (divides if -(-pairs // divides) <= -(-pairs // most) + 1 else most)


def panels_fields(name: str, panels: Panels, conv: Conv2D, pixels: int) -> Fields:
    """Return the members of a `panels_t`, whose products are called over rows of so many pixels.

    Args:
        name: the variable's.
        panels: how the product is cut.
        conv: whose weights they are.
        pixels: of a row.
    """
    fields: Fields = {}
    for member, part, product in _parts(name, panels, pixels):
        described = product_fields(part, product, [conv], copied=True) | {"narrow": True}
        fields[member] = nested(described, 3)
    return fields | {"whole": panels.whole}


def panels_prototypes(name: str, panels: Panels, pixels: int) -> str:
    """Declare the products' functions in kernels.S, for the pixels they are called with.

    Args:
        name: the variable's, with which the functions' names begin.
        panels: how the product is cut.
        pixels: of a row.

    Returns:
        C declarations.
    """
    return "".join(
        product_prototypes(part, product) for _, part, product in _parts(name, panels, pixels)
    )


def panels_assembly(name: str, panels: Panels, pixels: int) -> str:
    """Write the functions that `panels_prototypes` declares.

    Args:
        name: the variable's, with which the functions' names begin.
        panels: how the product is cut.
        pixels: of a row.

    Returns:
        text for kernels.S.
    """
    return "".join(
        product_assembly(part, product) for _, part, product in _parts(name, panels, pixels)
    )


def _parts(name: str, panels: Panels, pixels: int) -> Iterator[tuple[str, str, MatMul]]:
    """Yield the member and the name of each product, and its shape."""
    yield "product", name, replace(panels.product, runs=(pixels,))
    if panels.rest:
        yield "rest", f"{name}_rest", replace(panels.rest, runs=(pixels,))


PANELS = Part(
    "panels",
    code_bytes=76,
)
