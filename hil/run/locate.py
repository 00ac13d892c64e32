"""Where wrong outputs begin: the first map of a schedule that differs from the integer reference.

The firmware runs once more under the debugger. The core is halted where each layer begins, and the
maps that the layer before has written are read out of its memory. Maps of streamed layers are never
whole in memory, so these layers count as one with the first behind them.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hil.errors import BuildError
from hil.run.mismatch import differing

if TYPE_CHECKING:
    from hil.build.image import Image
    from hil.build.symbols import Symbol
    from hil.compiler.plan import Plan
    from hil.compiler.program import Quantised, Tensor
    from hil.link.client import Device
    from hil.run.measurement import Prepared
    from hil.targets.debugger import Debugger

_LAYER_BYTES = 12  # of model_layer_t: name, macs, run
_RUN_AT = 8
_THUMB = 1  # lowest bit of a function's address


@dataclass(frozen=True)
class Difference:
    """A map that differs.

    Attributes:
        layer, kernel: of the schedule. tensor: the map's name.
        count, of: values that differ, of how many.
        place: row, column and channel of the first.
    """

    layer: str
    kernel: str
    tensor: str
    count: int
    of: int
    place: tuple[int, ...]
    expected: int
    got: int

    def __str__(self) -> str:
        where = ", ".join(
            f"{name} {at}"
            for name, at in zip(("row", "column", "channel"), self.place, strict=False)
        )
        which = "" if self.tensor == self.layer else f", map {self.tensor},"
        differ = "differs" if self.count == 1 else "differ"
        return (
            f"{self.count:,} of {self.of:,} outputs of {self.layer} ({self.kernel}){which} "
            f"{differ}, first at {where}: {self.got}, expected {self.expected}"
        )


def locate(
    prepared: "Prepared", device: "Device", debugger: "Debugger", outputs: "Quantised"
) -> Difference | None:
    """Find the first map that differs; None where every map that can be read is right.

    Args:
        prepared: the scenario, with its input.
        device: the flashed board.
        debugger: of the same board.
        outputs: what the board gave, (count,).

    Raises:
        MeasurementError: as a measurement does.
    """
    from hil.compiler import reference

    wanted = reference.maps(prepared.program, prepared.input)
    found = _under_debugger(prepared, device, debugger, wanted)
    return found or _among_outputs(prepared, wanted, outputs)


def _under_debugger(
    prepared: "Prepared", device: "Device", debugger: "Debugger", wanted: "dict[str, Quantised]"
) -> Difference | None:
    plan = prepared.compiled.plan
    arena = _address(prepared.image, "model_arena")
    device.load_input(prepared.input.tobytes())
    with ThreadPoolExecutor(1) as pool, debugger.breakpoints() as stops:
        stops.halt()
        running = None
        for index, entry in _entries(prepared.image, len(plan.steps)):
            if index == 0:
                continue
            stops.move_to(entry)
            running = running or pool.submit(device.run)
            if not stops.reached(running):
                break
            step = plan.steps[index - 1]
            for tensor in step.outputs:
                if not _is_whole(plan, tensor):
                    continue
                data = stops.read(arena + plan.offsets[tensor.name], tensor.bytes)
                values = tensor.decode(data).reshape(tensor.shape)
                if differing(values, wanted[tensor.name]):
                    return _difference(plan, tensor, wanted[tensor.name], values)
    return None


def _is_whole(plan: "Plan", tensor: "Tensor") -> bool:
    """Whether a map is in memory with all its rows when its layer has run."""
    rows = plan.strips.get(tensor.name, tensor.shape[0])
    return tensor.name in plan.offsets and rows >= tensor.shape[0]


def _among_outputs(
    prepared: "Prepared", wanted: "dict[str, Quantised]", outputs: "Quantised"
) -> Difference | None:
    start = 0
    for tensor in prepared.network.output.tensors:
        values = outputs[start : start + tensor.count]
        start += tensor.count
        if values.size != tensor.count:
            return None
        shaped = values.reshape(tensor.shape)
        if differing(shaped, wanted[tensor.name]):
            return _difference(prepared.compiled.plan, tensor, wanted[tensor.name], shaped)
    return None


def _difference(
    plan: "Plan", tensor: "Tensor", wanted: "Quantised", got: "Quantised"
) -> Difference:
    step = next(one for one in plan.steps if any(t.name == tensor.name for t in one.outputs))
    wrong = np.argwhere(wanted != got)
    place = tuple(int(at) for at in wrong[0])
    return Difference(
        layer=step.name,
        kernel=step.kernel.name,
        tensor=tensor.name,
        count=len(wrong),
        of=int(wanted.size),
        place=place,
        expected=int(wanted[place]),
        got=int(got[place]),
    )


def _entries(image: "Image", count: int) -> Iterator[tuple[int, int]]:
    """Index and first instruction of every layer that is called, from the image's own table."""
    table = _address(image, "model_layers")
    for index in range(count):
        data = _stored(image, table + _LAYER_BYTES * index + _RUN_AT, 4)
        entry = int.from_bytes(data, "little")
        if entry:
            yield index, entry & ~_THUMB


def _stored(image: "Image", address: int, count: int) -> bytes:
    for segment in image.segments:
        if segment.address <= address and address + count <= segment.end:
            at = address - segment.address
            return segment.data[at : at + count]
    raise BuildError(
        f"{image.elf} holds nothing at {address:#010x}", hint="build it again", stage="image"
    )


def _address(image: "Image", name: str) -> int:
    return symbol(image, name).address


def symbol(image: "Image", name: str) -> "Symbol":
    """Return a function or variable of an image. Raises BuildError where there is none.

    Args:
        image: the firmware.
        name: of the function or variable.
    """
    from hil.build import symbols

    for one in symbols.read(image.elf):
        if one.name == name:
            return one
    raise BuildError(f"{image.elf} has no {name}", hint="build it again", stage="image")
