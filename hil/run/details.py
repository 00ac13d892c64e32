"""A measurement's details, for the pages: see `hil.results.details`."""

import base64
import io
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from hil.results.details import Box, Details, Holding, Layer, Picture, Span
from hil.run import detections
from hil.run.measurement import Measurement

if TYPE_CHECKING:
    from hil.build.image import Section
    from hil.config.board import Board

_LONGEST_SIDE = 400  # pixels of the picture kept
_JPEG_QUALITY = 80
_MOST_BOXES = 20  # the best of each finder
_OWNERS = {
    ".text": "code",
    ".vectors": "vectors",
    ".weights": "weights and tables",
    ".note.gnu.build-id": "build id",
}
_SCRATCH = ".ccm_bss"  # the section that holds the kernels' working memory


def of(measurement: Measurement, run: str) -> Details:
    """Gather what a page shows beside the rows.

    Args:
        measurement: of a scenario.
        run: the run's name, as in the rows.
    """
    prepared = measurement.prepared
    scenario, board = prepared.scenario, prepared.board
    return Details(
        run=run,
        scenario=scenario.name,
        board=board.name,
        target=measurement.target,
        input=scenario.input,
        trained=scenario.checkpoint is not None,
        detects=prepared.network.anchors is not None,
        streams=prepared.schedule.streams,
        regions=_regions(board),
        layers=_layers(measurement),
        spans=_spans(measurement),
        holdings=list(_holdings(measurement)),
        noise=list(prepared.noise),
        picture=_picture(measurement),
        boxes=_boxes(measurement),
    )


def _layers(measurement: Measurement) -> list[Layer]:
    layers = measurement.layers
    causes = [asdict(spent) for spent in measurement.middle.spent] or [{} for _ in layers]
    return [
        Layer(layer.name, layer.macs, layer.cycles, by_cause)
        for layer, by_cause in zip(layers, causes, strict=True)
    ]


def _regions(board: "Board") -> dict[str, int]:
    return {region.name: region.bytes for region in board.regions}


def _spans(measurement: Measurement) -> list[Span]:
    return sorted(
        measurement.prepared.schedule.buffers,
        key=lambda span: (span.region, span.offset, span.first),
    )


def _holdings(measurement: Measurement) -> Iterator[Holding]:
    """Every section in the regions where it lies: in flash if it is stored, in RAM if it is used.

    The stack counts as far as it was used; the rest of what was set aside says so.
    """
    prepared = measurement.prepared
    working = prepared.schedule.ccm_bytes
    for section in prepared.image.sections:
        if section.stored:
            yield Holding(_region(prepared.board, section.load_address), *_named(section))
        if not section.in_ram:
            continue
        region = _region(prepared.board, section.address)
        if section.name == ".stack":
            used = min(measurement.stack_bytes, section.bytes)
            yield Holding(region, "stack, used", used)
            yield Holding(region, "stack, unused", section.bytes - used)
        elif section.name == _SCRATCH:
            yield Holding(region, "working memory of kernels", min(working, section.bytes))
            yield Holding(region, "link and runtime", max(0, section.bytes - working))
        else:
            yield Holding(region, *_named(section))


def _named(section: "Section") -> tuple[str, int]:
    return _OWNERS.get(section.name, section.name.removeprefix(".")), section.bytes


def _region(board: "Board", address: int) -> str:
    inside = (region.name for region in board.regions if region.holds(address))
    return next(inside, "elsewhere")


def _picture(measurement: Measurement) -> Picture | None:
    """The input as the model saw it, quantised: the darkest value black, the lightest white.

    None where it is no picture of one or three channels.
    """
    from PIL import Image

    values = measurement.prepared.input
    if values.ndim != 3 or values.shape[2] not in {1, 3}:
        return None
    low, high = int(values.min()), int(values.max())
    scaled = (values.astype(np.int32) - low) * 255 // max(1, high - low)
    pixels = scaled.astype(np.uint8)
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    rows, columns, _ = values.shape
    return Picture(base64.b64encode(file.getvalue()).decode("ascii"), rows, columns)


def _boxes(measurement: Measurement) -> list[Box]:
    prepared = measurement.prepared
    network = prepared.network
    if network.anchors is None:
        return []
    outputs = {"float": prepared.float_outputs}
    if measurement.outputs.shape == prepared.expected.shape:
        outputs["board"] = network.output.dequantise(measurement.outputs)
    return [
        Box(finder, box.left, box.top, box.right, box.bottom, box.score)
        for finder, values in outputs.items()
        for box in detections.boxes(network, values)[:_MOST_BOXES]
    ]
