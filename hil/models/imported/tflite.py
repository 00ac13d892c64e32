"""Int8 TensorFlow Lite files: what they state, or why it is not taken, by name and place.

The file is read by the package `tflite`, which is generated from TensorFlow's own schema.

Source: TensorFlow, tensorflow/compiler/mlir/lite/schema/schema.fbs; kernels/kernel_util.cc, for
paddings, activations and the factors between scales.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hil.errors import UsageError
from hil.models.imported.flatbuffer import File, Operator, not_taken
from hil.models.imported.network import (
    Chances,
    Conv,
    Edges,
    Layer,
    Map,
    Mean,
    Network,
    Pool,
    Sum,
)

_MOST_BYTES = 64 << 20
_MOST_PIXELS = 4096  # of an average, whose rounding is then the same
_ACTIVATIONS = {
    "NONE": (-np.inf, np.inf),
    "RELU": (0.0, np.inf),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU6": (0.0, 6.0),
}
_NO_EDGES: Edges = (0, 0, 0, 0)


def read(path: Path) -> Network:
    """Read a network.

    Raises:
        UsageError: the file cannot be read, is none of TensorFlow Lite, or holds something that is
            not taken: the error names the operator, its place and the reason.
    """
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise UsageError(f"{path}: {size:,} B are more than the {_MOST_BYTES:,} B of a network")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    return parse(data, path.name)


def parse(data: bytes, name: str) -> Network:
    """Read a network from a file's bytes; `name` is the file's. Raises UsageError.

    Args:
        data: of an int8 TensorFlow Lite file.
        name: of the file, for errors and for the network.
    """
    file = File.of(data, name)
    try:
        return _Reader(file, hashlib.sha256(data).hexdigest()).network()
    except UsageError:
        raise
    except RecursionError:
        raise
    except Exception as error:  # what a damaged file does to the generated code can be any
        raise UsageError(
            f"{name} is damaged: {type(error).__name__}: {error}",
            hint="write it anew; a file that was cut off or changed cannot be read",
        ) from error


class _Reader:
    """Goes through a file's operators in order."""

    def __init__(self, file: File, digest: str) -> None:
        self.file = file
        self.digest = digest
        self.maps: dict[int, Map] = {}
        self.edges: dict[int, Edges] = {}  # of maps that stand behind a PAD
        self.layers: list[Layer] = []

    def network(self) -> Network:
        inputs, outputs = self.file.inputs, self.file.outputs
        if len(inputs) != 1 or not outputs:
            raise not_taken(
                self.file.name, f"it has {len(inputs)} inputs and {len(outputs)} outputs", "one"
            )
        first = self._input(inputs[0])
        for operator in self.file.operators:
            _TAKEN[operator.kind](self, operator)
        if not self.layers:
            raise not_taken(self.file.name, "it computes nothing", "a network of layers")
        ends = []
        for index in outputs:
            if index not in self.maps or index in self.edges or self.maps[index] is first:
                raise not_taken(self.file.tensor(index).place, "nothing computes it", "an output")
            ends.append(self.maps[index].name)
        return Network(
            Path(self.file.name).stem, self.maps[inputs[0]], tuple(self.layers), tuple(ends),
            self.digest,
        )  # fmt: skip

    def _input(self, index: int) -> Map:
        """The input, or the int8 map that a first QUANTIZE makes of it."""
        stored = self.file.tensor(index)
        if stored.type != "INT8":
            first = self.file.operators[0] if self.file.operators else None
            if first is None or first.kind != "QUANTIZE" or first.inputs != (index,):
                raise not_taken(stored.place, f"it is {stored.type}", "an int8 network")
            stored = self.file.tensor(first.outputs[0])
        x = stored.map("input")
        if len(stored.shape) == 2:  # a vector, so that an image of its values has one row
            x = replace(x, shape=(1, stored.shape[1], 1))
        self.maps[stored.index] = x
        self.maps[index] = self.maps[stored.index]
        return self.maps[index]

    def _map(self, operator: Operator, number: int = 0) -> Map:
        index = operator.inputs[number]
        if index not in self.maps:
            raise not_taken(operator.place, f"nothing computes its input {number}", "a map")
        return self.maps[index]

    def _unpadded(self, operator: Operator, number: int = 0) -> Map:
        if operator.inputs[number] in self.edges:
            raise not_taken(operator.place, "it reads a padded map", "PAD before convolutions")
        return self._map(operator, number)

    def _put(self, operator: Operator, layer: Layer) -> None:
        if operator.outputs[0] in self.maps:
            raise not_taken(operator.place, "its output is computed twice", "one operator")
        self.layers.append(layer)
        self.maps[operator.outputs[0]] = layer.output

    def _output(self, operator: Operator) -> Map:
        return operator.output.map(operator.name)

    def conv(self, operator: Operator) -> None:
        x, y = self._map(operator), self._output(operator)
        depthwise = operator.kind == "DEPTHWISE_CONV_2D"
        weight, scales = operator.weights(3 if depthwise else 0)
        if weight.ndim != 4:
            raise not_taken(operator.place, f"its weights are {weight.shape}", "four dimensions")
        if depthwise:
            weight = weight.transpose(3, 1, 2, 0)  # (1, rows, columns, channels)
        outputs, rows, columns, inputs = weight.shape
        if depthwise and outputs != x.shape[2] and x.shape[2] != 1:
            raise not_taken(
                operator.place, "it has several outputs for each channel", "a multiplier of 1"
            )
        if not depthwise and inputs != x.shape[2]:
            raise not_taken(
                operator.place, f"it convolves groups of {inputs} channels", "one group"
            )
        stride = operator.stride(y.shape)
        if {operator.option("DilationHFactor"), operator.option("DilationWFactor")} != {1}:
            raise not_taken(operator.place, "it is dilated", "a dilation of 1")
        before = self.edges.get(operator.inputs[0], _NO_EDGES)
        size = (x.shape[0] + before[0] + before[2], x.shape[1] + before[1] + before[3])
        edges = operator.padding(size, (rows, columns), stride)
        padding = _joined(before, edges)
        factors = np.float64(np.float32(x.scale)) * scales / np.float64(np.float32(y.scale))
        layer = Conv(
            operator.name, (x.name,), y,
            weight=weight, bias=operator.bias(outputs), weight_scales=scales, factors=factors,
            stride=stride, padding=padding, depthwise=depthwise and x.shape[2] != 1,
            **_activation(operator),
        )  # fmt: skip
        self._check_size(operator, x, layer, outputs)
        self._put(operator, layer)

    def _check_size(self, operator: Operator, x: Map, layer: Conv | Pool, channels: int) -> None:
        top, left, bottom, right = layer.padding
        rows, columns = layer.window
        down, across = x.shape[0] + top + bottom - rows, x.shape[1] + left + right - columns
        size = (down // layer.stride + 1, across // layer.stride + 1, channels)
        if min(down, across) < 0 or size != layer.output.shape:
            raise not_taken(operator.place, f"its output is {layer.output.shape}", f"{size}")

    def dense(self, operator: Operator) -> None:
        x, y = self._unpadded(operator), self._output(operator)
        weight, scales = operator.weights(0)
        if weight.ndim != 2 or weight.shape[1] != np.prod(x.shape):
            raise not_taken(
                operator.place,
                f"its weights are {weight.shape} for {np.prod(x.shape)} values",
                "(outputs, inputs)",
            )
        if y.shape != (1, 1, len(weight)):
            raise not_taken(operator.place, f"its output is {y.shape}", f"{len(weight)} values")
        if operator.option("WeightsFormat") != 0:
            raise not_taken(operator.place, "its weights are shuffled", "the default format")
        factors = np.float64(np.float32(x.scale)) * scales / np.float64(np.float32(y.scale))
        self._put(
            operator,
            Conv(
                operator.name, (x.name,), y,
                weight=weight.reshape(len(weight), *x.shape), bias=operator.bias(len(weight)),
                weight_scales=scales, factors=factors, stride=1, padding=_NO_EDGES,
                depthwise=False, rounds_twice=False, **_activation(operator),
            ),
        )  # fmt: skip

    def pool(self, operator: Operator) -> None:
        x, y = self._unpadded(operator), self._output(operator)
        window = (operator.option("FilterHeight"), operator.option("FilterWidth"))
        if not 1 <= window[0] <= x.shape[0] or not 1 <= window[1] <= x.shape[1]:
            raise not_taken(operator.place, f"its window is {window}", "one within the map")
        stride = operator.stride(y.shape)
        edges = operator.padding(x.shape[:2], window, stride)
        if (x.scale, x.zero_point) != (y.scale, y.zero_point):
            raise not_taken(operator.place, "its output has another scale", "its input's scale")
        is_average = operator.kind == "AVERAGE_POOL_2D"
        if is_average and edges != _NO_EDGES:
            raise not_taken(
                operator.place,
                "it averages over fewer pixels at the edges",
                "padding VALID, or a size that windows divide",
            )
        kind: Literal["average", "max"] = "average" if is_average else "max"
        layer = Pool(
            operator.name, (x.name,), y,
            kind=kind, window=window, stride=stride, padding=edges, **_activation(operator),
        )  # fmt: skip
        self._check_size(operator, x, layer, x.shape[2])
        if is_average and window[0] * window[1] > _MOST_PIXELS:
            raise not_taken(operator.place, f"its window is {window}", f"{_MOST_PIXELS} pixels")
        self._no_clamp(operator, layer)
        self._put(operator, layer)

    def _no_clamp(self, operator: Operator, layer: Layer) -> None:
        if layer.levels != (-128, 127):
            raise not_taken(operator.place, "its activation cuts values off", "none")

    def mean(self, operator: Operator) -> None:
        x, y = self._unpadded(operator), self._output(operator)
        axes = operator.constant(1)
        if {int(a) % 4 for a in axes.reshape(-1)} != {1, 2} or y.shape != (1, 1, x.shape[2]):
            raise not_taken(operator.place, "it averages over other axes", "rows and columns")
        self._put(operator, Mean(operator.name, (x.name,), y))

    def add(self, operator: Operator) -> None:
        x, other, y = self._unpadded(operator), self._unpadded(operator, 1), self._output(operator)
        if not x.shape == other.shape == y.shape:
            raise not_taken(operator.place, f"it adds {x.shape} and {other.shape}", "one shape")
        if x is other:
            raise not_taken(operator.place, "it adds a map to itself", "two maps")
        self._put(operator, Sum(operator.name, (x.name, other.name), y, **_activation(operator)))

    def softmax(self, operator: Operator) -> None:
        x, y = self._unpadded(operator), self._output(operator)
        if (y.scale, y.zero_point) != (1 / 256, -128):
            raise not_taken(
                operator.place, f"its output has the scale {y.scale}", "1/256, zero point -128"
            )
        beta = float(operator.option("Beta"))
        if not 0 < beta < 1e6:
            raise not_taken(operator.place, f"its beta is {beta}", "a positive one")
        self._put(operator, Chances(operator.name, (x.name,), y, beta=beta))

    def pad(self, operator: Operator) -> None:
        x, y = self._map(operator), operator.output
        edges = operator.constant(1)
        if edges.shape != (4, 2) or (edges < 0).any() or edges[[0, 3]].any():
            raise not_taken(operator.place, "it pads more than rows and columns", "these alone")
        if (x.scale, x.zero_point) != (y.map("").scale, y.map("").zero_point):
            raise not_taken(operator.place, "its output has another scale", "its input's scale")
        (top, bottom), (left, right) = ((int(a), int(b)) for a, b in edges[1:3])
        before = self.edges.get(operator.inputs[0], _NO_EDGES)
        self.maps[operator.outputs[0]] = x
        self.edges[operator.outputs[0]] = _joined(before, (top, left, bottom, right))

    def reshape(self, operator: Operator) -> None:
        x, y = self._unpadded(operator), operator.output.map("")
        same = (x.scale, x.zero_point) == (y.scale, y.zero_point)
        if not same or np.prod(x.shape) != np.prod(y.shape):
            raise not_taken(operator.place, "it changes size or scale", "values as they are")
        if x.name == "input" and not self.layers:
            x = replace(y, name="input")
            for index in [i for i, of in self.maps.items() if of.name == "input"]:
                self.maps[index] = x
        elif y.shape not in {x.shape, (1, 1, int(np.prod(x.shape)))}:
            raise not_taken(
                operator.place, f"it makes {y.shape} of {x.shape}", "a flattened map, or its input"
            )
        self.maps[operator.outputs[0]] = x

    def requantise(self, operator: Operator) -> None:
        """At the ends alone: int8 stays as it is, and floats or uint8 are the user's."""
        source, target = self.file.tensor(operator.inputs[0]), operator.output
        if target.index in self.maps:  # the first one made the input
            return
        x = self._unpadded(operator)
        is_end = target.index in self.file.outputs
        if target.type == "UINT8":
            same = target.scale == source.scale and target.zero_point == source.zero_point + 128
        else:
            same = target.type == "FLOAT32"
        if not is_end or not same:
            raise not_taken(operator.place, "it changes a scale", "it at the network's ends")
        self.maps[target.index] = x


def _joined(a: Edges, b: Edges) -> Edges:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3])


def _activation(operator: Operator) -> dict[str, Any]:
    name = operator.activation
    if name not in _ACTIVATIONS:
        raise not_taken(operator.place, f"its activation is {name}", ", ".join(_ACTIVATIONS))
    low, high = _ACTIVATIONS[name]
    return {"low": low, "high": high}


_TAKEN: dict[str, Callable[[_Reader, Operator], None]] = {
    "CONV_2D": _Reader.conv,
    "DEPTHWISE_CONV_2D": _Reader.conv,
    "FULLY_CONNECTED": _Reader.dense,
    "AVERAGE_POOL_2D": _Reader.pool,
    "MAX_POOL_2D": _Reader.pool,
    "MEAN": _Reader.mean,
    "ADD": _Reader.add,
    "SOFTMAX": _Reader.softmax,
    "PAD": _Reader.pad,
    "RESHAPE": _Reader.reshape,
    "QUANTIZE": _Reader.requantise,
    "DEQUANTIZE": _Reader.requantise,
}
