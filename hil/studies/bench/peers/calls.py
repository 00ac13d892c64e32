"""How a layer is handed to a kernel of others: a structure in memory, and what it points to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hil.compiler.operators.add import HEADROOM_BITS, Add
from hil.compiler.operators.conv2d import Conv2D
from hil.compiler.program import Float64, Int32, Quantised

if TYPE_CHECKING:
    from hil.studies.bench.peers.works import Work

_INTEGERS = (
    "status", "call", "in_rows", "in_columns", "in_channels", "out_rows", "out_columns",
    "out_channels", "kernel_rows", "kernel_columns", "stride", "pad_top", "pad_left", "in_zero",
    "other_zero", "out_zero", "low", "high", "buffer_bytes", "left_shift", "in_multiplier",
    "in_shift", "other_multiplier", "other_shift", "sum_multiplier", "sum_shift",
)  # fmt: skip
_FLOATS = ("in_scale", "other_scale", "out_scale")
_POINTERS: Mapping[str, str] = {
    "input": "int8_t", "other": "int8_t", "output": "int8_t", "weights": "int8_t",
    "bias": "int32_t", "no_bias": "int32_t", "multiplier": "int32_t", "shift": "int32_t",
    "scales": "float", "buffer": "int16_t", "widened": "int16_t",
}  # fmt: skip
STATUS_BYTES = 4
"""Of the structure's first field."""

Values = Quantised | Int32 | npt.NDArray[np.float32]


@dataclass(frozen=True)
class Call:
    """One kernel's way to compute a layer.

    Attributes:
        name: of the call, as `c/` has it: CALL_NAME.
        planar: whether a depthwise kernel's weights are ordered by channel, rather than by pixel.
        offset_in_bias: whether the input's zero point is folded into the biases.
        in_place: whether the output is written over the input, channel by channel.
    """

    name: str
    planar: bool = False
    offset_in_bias: bool = False
    in_place: bool = False


def header(calls: Sequence[str]) -> str:
    """Write `work.h`: the structure's fields, and the calls by number."""
    lines = [
        "/* Written by hil bench peers. */",
        "#ifndef WORK_H",
        "#define WORK_H",
        "#include <stdint.h>",
        "typedef struct {",
        *(f"    int32_t {name};" for name in _INTEGERS),
        *(f"    float {name};" for name in _FLOATS),
        *(f"    {kind} *{name};" for name, kind in _POINTERS.items()),
        "} work_t;",
        *(f"#define CALL_{name} {number}" for number, name in enumerate(calls)),
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def structure(numbers: Mapping[str, float], addresses: Mapping[str, int]) -> bytes:
    """Lay the structure out as the core has it; fields that are not given are zero.

    Args:
        numbers: by field, values that the call takes.
        addresses: by field, where its arrays are.
    """
    integers = np.array([numbers.get(name, 0) for name in _INTEGERS], "<i4")
    floats = np.array([numbers.get(name, 0.0) for name in _FLOATS], "<f4")
    pointers = np.array([addresses.get(name, 0) for name in _POINTERS], "<u4")
    return integers.tobytes() + floats.tobytes() + pointers.tobytes()


def numbers(work: "Work") -> dict[str, float]:
    """Return a layer's shape and zero points, by field."""
    layer = work.layer
    x, y = layer.inputs[0], layer.output
    found: dict[str, float] = {"in_zero": x.zero_point, "out_zero": y.zero_point}
    found |= dict(zip(("in_rows", "in_columns", "in_channels"), x.shape, strict=True))
    found |= dict(zip(("out_rows", "out_columns", "out_channels"), y.shape, strict=True))
    if isinstance(layer, Add):
        return found | _terms(layer)
    window = layer.weight.shape[1:3] if isinstance(layer, Conv2D) else layer.window
    found |= dict(zip(("kernel_rows", "kernel_columns"), window, strict=True))
    limits = (layer.low, layer.high) if isinstance(layer, Conv2D) else (-128, 127)
    found |= dict(zip(("low", "high"), limits, strict=True))
    pad = layer.padding
    return found | {"stride": layer.stride, "pad_top": pad.top, "pad_left": pad.left}


def constants(work: "Work", call: Call) -> dict[str, Values]:
    """Return a layer's weights and factors, by field: nothing of an addition or an average.

    Args:
        work: the layer, as our program has it.
        call: of the peer's function.
    """
    layer = work.layer
    if not isinstance(layer, Conv2D):
        return {}
    weights, bias = layer.weight, layer.bias.astype(np.int64)
    if call.offset_in_bias:
        sums = weights.astype(np.int64).sum(axis=(1, 2, 3))
        bias = bias - layer.inputs[0].zero_point * sums
    if layer.depthwise and not call.planar:
        weights = weights.transpose(3, 1, 2, 0)
    real = layer.multiplier.astype(np.float64) * 2.0 ** (layer.shift - 32)
    multiplier, shift = fixed_point(real)
    return {
        "weights": np.ascontiguousarray(weights),
        "bias": bias.astype(np.int32),
        "no_bias": np.zeros(len(bias), np.int32),
        "multiplier": multiplier,
        "shift": shift,
        "scales": real.astype(np.float32),
    }


def fixed_point(real: Float64) -> tuple[Int32, Int32]:
    """Write positive factors, (n,), as multiplier / 2**31 * 2**shift; multipliers from 2**30 on."""
    fraction, exponent = np.frexp(real)
    multiplier = np.rint(fraction * 2.0**31).astype(np.int64)
    over = multiplier == 1 << 31
    return np.where(over, 1 << 30, multiplier).astype(np.int32), (exponent + over).astype(np.int32)


def _terms(layer: Add) -> dict[str, float]:
    """Return an addition's factors, as integers and as scales."""
    x, other = layer.inputs
    first, second = layer.terms
    return {
        "other_zero": other.zero_point,
        "low": layer.low,
        "high": layer.high,
        "left_shift": HEADROOM_BITS,
        **dict(_term("in", first.multiplier, first.shift)),
        **dict(_term("other", second.multiplier, second.shift)),
        **dict(_term("sum", layer.multiplier, layer.shift)),
        "in_scale": x.scale,
        "other_scale": other.scale,
        "out_scale": layer.output.scale,
    }


def _term(name: str, multiplier: int, shift: int) -> Iterator[tuple[str, float]]:
    yield f"{name}_multiplier", multiplier
    yield f"{name}_shift", -shift
