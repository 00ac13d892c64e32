"""The 1x1 convolution by panels, `pointwise_panels.c`: weights need too much memory at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from hil.compiler.code.c import Constant, Fields, identifier, nested, structure
from hil.compiler.kernels.coded import Coded
from hil.compiler.kernels.convolution import check_residual, conv_comment
from hil.compiler.kernels.cycles import Work, add
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
from hil.compiler.kernels.matmul import MatMul
from hil.compiler.kernels.panels import (
    PAIR,
    Panels,
    Storage,
    is_held,
    panel_channels,
    panels_assembly,
    panels_fields,
    panels_prototypes,
    widen_work,
    window_bytes,
)
from hil.compiler.kernels.pointwise import pointwise_of
from hil.compiler.kernels.product import STREAM, copied_product_work
from hil.compiler.kernels.shapes import sources
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Operator
from hil.errors import BuildError


class PointwisePanels(Kernel):
    """1x1 convolutions whose weights may not be copied in one piece.

    Attributes:
        storage: how the weights stand in flash.
    """

    name = "pointwise_panels"
    parts: tuple[str, ...] = ("matmul", "panels")
    step_bytes = 236
    code_bytes = 336
    storage: ClassVar[Storage] = Storage()

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take a 1x1 convolution that needs more than `choices.panel_bytes`."""
        conv = rest[0]
        product = pointwise_of(conv) if isinstance(conv, Conv2D) else None
        limit = choices.panel_bytes
        if not isinstance(conv, Conv2D) or product is None or limit is None:
            return None
        if choices.weights_in_flash or 4 * product.stream_words + product.window_bytes <= limit:
            return None
        window = window_bytes(conv, product, limit)
        pair_bytes = 4 * PAIR * product.stream_words // product.channels
        table = self.storage.table_bytes
        panel = panel_channels(product.channels, pair_bytes, limit - window - table)
        if panel is None or not self.storage.suits(conv, Panels.of(product, panel), choices):
            return None
        copy = Scratch("copy", panel // PAIR * pair_bytes + table)
        step = Step(
            conv.name,
            self,
            (conv,),
            sources(conv),
            (conv.output,),
            (copy, Scratch("window", window, lasts=False)),
            panel=panel,
        )
        overlays = is_held(step, product) and conv.residual is None
        return replace(step, slack=conv.inputs[0].bytes) if overlays else step

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count the product's weights."""
        return self.storage.stream_bytes(*_parts(step.operators), step.panel)

    def work(self, site: Site) -> Work:
        """Count widening and the product."""
        conv, product = _parts(site.step.operators)
        rows, columns, _ = conv.inputs[0].shape
        pixels = rows * columns
        return add(
            widen_work(site.step, conv, product),
            copied_product_work(product, pixels, site),
            self.storage.work(product, site.step.panel),
        )

    def code(self, site: Site) -> StepCode:
        """Call `pointwise_panels`."""
        step = site.step
        conv, product = _parts(step.operators)
        check_residual(conv)
        name = identifier(step.name)
        rows, columns, channels = conv.inputs[0].shape
        pixels = rows * columns
        panels = Panels.of(product, step.panel)
        fields: Fields = {
            "panels": nested(panels_fields(f"{name}_product", panels, conv, pixels), 2),
            "weights": f"{name}_weights",
            "pixels": pixels,
            "channels": channels,
            "outputs": conv.output.shape[2],
            "held": is_held(step, product),
            "copy": site.scratch("copy"),
            "window": site.scratch("window"),
        }
        x, y = site.arena(step.inputs[0]), site.arena(step.outputs[0])
        stream = self.storage.stream(conv, panels)
        return StepCode(
            (f"{self.name}.h",),
            conv_comment(conv),
            (Constant(f"{name}_weights", stream, STREAM),),
            panels_prototypes(f"{name}_product", panels, pixels)
            + structure("pointwise_panels_t", name, fields),
            (call(self.name, f"&{name}", x, site.residual(conv), y),),
        )

    def assembly(self, name: str, operators: tuple[Operator, ...], panel: int) -> str:
        """Write the products of a panel and of the channels left over."""
        conv, product = _parts(operators)
        rows, columns, _ = conv.output.shape
        panels = Panels.of(product, panel)
        return panels_assembly(f"{identifier(name)}_product", panels, rows * columns)


class PointwisePanelsCoded(PointwisePanels):
    """Such convolutions with their weights in an entropy code."""

    name = "pointwise_panels_coded"
    parts = ("matmul", "panels", "coded")
    storage = Coded()


def _parts(operators: Sequence[Operator]) -> tuple[Conv2D, MatMul]:
    conv = expect(operators[0], Conv2D)
    product = pointwise_of(conv)
    if product is None:
        raise BuildError(f"{conv.name} is planned as a product but is none")
    return conv, product


POINTWISE_PANELS = PointwisePanels()
POINTWISE_PANELS_CODED = PointwisePanelsCoded()
