"""A TensorFlow Lite file's tensors and operators, each named by its place and checked.

Source: TensorFlow, tensorflow/compiler/mlir/lite/schema/schema.fbs, version 3.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hil import extras
from hil.errors import UsageError
from hil.models.imported.network import Edges, Float64, Int8, Int32, Map

if TYPE_CHECKING:
    from types import ModuleType

_IDENTIFIER = b"TFL3"
_VERSION = 3
_MOST = 20_000  # operators and tensors of a network that a microcontroller holds, many times over
_MOST_VALUES = 1 << 26
_NUMBERS = {"INT8": np.int8, "INT32": np.int32}
_VERSIONS = {
    "CONV_2D": 8,
    "DEPTHWISE_CONV_2D": 7,
    "FULLY_CONNECTED": 12,
    "AVERAGE_POOL_2D": 3,
    "MAX_POOL_2D": 3,
    "MEAN": 3,
    "ADD": 5,
    "SOFTMAX": 3,
    "PAD": 4,
    "RESHAPE": 1,
    "QUANTIZE": 4,
    "DEQUANTIZE": 6,
}
"""Of each operator that is taken, the newest version whose int8 arithmetic is known here."""

_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "ADD": "AddOptions",
    "SOFTMAX": "SoftmaxOptions",
}


def not_taken(place: str, reason: str, instead: str) -> UsageError:
    """Say what of a file is not taken, where it stands, why, and what would be.

    Args:
        place: of the operator or tensor in its file.
        reason: what of it is not taken.
        instead: what would be.

    Returns:
        the error, to be raised.
    """
    return UsageError(f"{place}: {reason}", hint=f"what is taken: {instead}")


def _schema() -> "ModuleType":
    try:
        import tflite  # type: ignore[import-untyped]
    except ImportError as error:
        raise extras.missing("tflite") from error
    module: ModuleType = tflite
    return module


def _names(of: str) -> dict[int, str]:
    """Names of an enumeration's values."""
    listed = vars(getattr(_schema(), of)).items()
    return {value: name for name, value in listed if isinstance(value, int)}


@dataclass(frozen=True, eq=False)
class File:
    """A file's one graph."""

    name: str
    model: Any
    graph: Any

    @classmethod
    def of(cls, data: bytes, name: str) -> "File":
        """Look at a file's head.

        Args:
            data: the file's bytes.
            name: the file's, for errors.

        Raises:
            UsageError: it is no TensorFlow Lite file, of another version, or of several graphs.
        """
        if data[4:8] != _IDENTIFIER:
            raise UsageError(f"{name} is no TensorFlow Lite file: it lacks the mark TFL3")
        try:
            model = _schema().Model.GetRootAs(data, 0)
            version, graphs = model.Version(), model.SubgraphsLength()
            graph = model.Subgraphs(0) if graphs else None
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(f"{name} is damaged: {error}", hint="write it anew") from error
        if version != _VERSION:
            raise not_taken(name, f"its schema is of version {version}", f"version {_VERSION}")
        if graphs != 1:
            raise not_taken(name, f"it has {graphs} graphs", "one, without control flow")
        return cls(name, model, graph)

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """Tensors that are the network's input."""
        return tuple(self._index(self.graph.Inputs(i)) for i in range(self.graph.InputsLength()))

    @cached_property
    def outputs(self) -> tuple[int, ...]:
        """Tensors that are its result."""
        return tuple(self._index(self.graph.Outputs(i)) for i in range(self.graph.OutputsLength()))

    @cached_property
    def operators(self) -> tuple["Operator", ...]:
        """Operators, in order."""
        count = self.graph.OperatorsLength()
        if not 0 <= count <= _MOST or not 0 <= self.graph.TensorsLength() <= _MOST:
            raise not_taken(self.name, f"it has {count:,} operators", f"{_MOST:,}")
        return tuple(self._operator(i) for i in range(count))

    def tensor(self, index: int) -> "Stored":
        """Return a tensor."""
        return Stored(self, index, self.graph.Tensors(self._index(index)))

    def _index(self, index: int) -> int:
        if not 0 <= index < self.graph.TensorsLength():
            raise not_taken(self.name, f"it names a tensor {index}", "tensors that it has")
        return int(index)

    def _operator(self, number: int) -> "Operator":
        raw = self.graph.Operators(number)
        if not 0 <= raw.OpcodeIndex() < self.model.OperatorCodesLength():
            raise not_taken(self.name, f"operator {number} has no code", "a whole file")
        code = self.model.OperatorCodes(raw.OpcodeIndex())
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        kind = _names("BuiltinOperator").get(builtin, f"operator code {builtin}")
        if kind == "CUSTOM":
            kind = f"CUSTOM {(code.CustomCode() or b'').decode(errors='replace')}"
        outputs = tuple(raw.Outputs(i) for i in range(raw.OutputsLength()))
        place = f"{self.name}, operator {number}, {kind}"
        if outputs and 0 <= outputs[0] < self.graph.TensorsLength():
            place += f" that makes {self.tensor(outputs[0]).name}"
        if kind not in _VERSIONS:
            raise not_taken(place, "there is no such operator here", ", ".join(_VERSIONS))
        if not 1 <= code.Version() <= _VERSIONS[kind]:
            raise not_taken(
                place, f"it is of version {code.Version()}", f"versions to {_VERSIONS[kind]}"
            )
        if len(outputs) != 1:
            raise not_taken(place, f"it has {len(outputs)} outputs", "one")
        inputs = tuple(raw.Inputs(i) for i in range(raw.InputsLength()))
        least = 2 if kind in {"ADD", "MEAN", "PAD", "CONV_2D", "DEPTHWISE_CONV_2D"} else 1
        if len(inputs) < least + (kind == "FULLY_CONNECTED"):
            raise not_taken(place, f"it has {len(inputs)} inputs", "all that it needs")
        return Operator(self, number, kind, place, raw, inputs, outputs)


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor of the file."""

    file: File
    index: int
    raw: Any

    @cached_property
    def name(self) -> str:
        """The tensor's name, cut short: converters make long ones."""
        name = (self.raw.Name() or b"").decode(errors="replace")
        return name if len(name) <= 60 else f"{name[:57]}..."

    @property
    def place(self) -> str:
        """Where it stands, for errors."""
        return f"{self.file.name}, tensor {self.index} {self.name}"

    @cached_property
    def type(self) -> str:
        """The name of its numbers' type."""
        return _names("TensorType").get(self.raw.Type(), f"type {self.raw.Type()}")

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions.

        Raises:
            UsageError: one is not fixed, or none.
        """
        shape = tuple(int(self.raw.Shape(i)) for i in range(min(self.raw.ShapeLength(), 9)))
        signature = self.raw.ShapeSignatureLength()
        dynamic = [int(self.raw.ShapeSignature(i)) for i in range(min(signature, 9))]
        if any(size < 0 for size in dynamic[1:]) or any(size < 1 for size in shape):
            raise not_taken(self.place, f"its shape {dynamic or shape} is dynamic", "fixed sizes")
        if not 1 <= len(shape) <= 4 or np.prod(shape, dtype=object) > _MOST_VALUES:
            raise not_taken(self.place, f"its shape is {shape}", "four dimensions at most")
        return shape

    @cached_property
    def scales(self) -> Float64:
        """Its scales: one, or one a channel.

        Raises:
            UsageError: it has none, or one that is no positive number.
        """
        how = self.raw.Quantization()
        count = how.ScaleLength() if how else 0
        if not 1 <= count <= _MOST_VALUES:
            raise not_taken(self.place, "it has no scale", "quantised tensors")
        said = np.asarray(how.ScaleAsNumpy(), np.float32)
        if not (np.isfinite(said).all() and (said > 0).all()):
            raise not_taken(self.place, "it has a scale that is not positive", "positive scales")
        scales: Float64 = said.astype(np.float64)  # of a signalling NaN it would warn
        return scales

    @property
    def scale(self) -> float:
        """Its one scale. Raises UsageError: it has several."""
        if len(self.scales) != 1:
            raise not_taken(
                self.place, f"it has {len(self.scales)} scales", "one scale for an activation"
            )
        return float(self.scales[0])

    @property
    def zero_point(self) -> int:
        """Its first zero point, 0 where it has none."""
        how = self.raw.Quantization()
        return int(how.ZeroPoint(0)) if how and how.ZeroPointLength() else 0

    def map(self, name: str) -> Map:
        """Take it for a map.

        Raises:
            UsageError: it is not int8, not of one image, or has not one scale.
        """
        if self.type != "INT8":
            raise not_taken(self.place, f"it is {self.type}", "int8 activations")
        shape = self.shape
        if shape[0] != 1 or len(shape) not in {2, 4}:
            raise not_taken(self.place, f"its shape is {shape}", "(1, rows, columns, channels)")
        if not -128 <= self.zero_point <= 127:
            raise not_taken(self.place, f"its zero point is {self.zero_point}", "-128 to 127")
        of_pixels = (shape[1], shape[2], shape[3]) if len(shape) == 4 else (1, 1, shape[1])
        return Map(name, of_pixels, self.scale, self.zero_point)

    def values(self, kind: str) -> npt.NDArray[Any]:
        """Return what it holds.

        Raises:
            UsageError: it holds nothing, numbers of another type, or not as many as its shape says.
        """
        if self.type != kind:
            raise not_taken(self.place, f"it is {self.type}", kind)
        if self.raw.Sparsity() is not None:
            raise not_taken(self.place, "it is stored sparsely", "dense tensors")
        if not 0 <= self.raw.Buffer() < self.file.model.BuffersLength():
            raise not_taken(self.place, "its buffer is not there", "a whole file")
        buffer = self.file.model.Buffers(self.raw.Buffer())
        count, size = int(np.prod(self.shape)), np.dtype(_NUMBERS[kind]).itemsize
        if buffer.DataLength() != count * size:
            raise not_taken(
                self.place, f"it holds {buffer.DataLength():,} B", f"{count * size:,} B"
            )
        data = np.frombuffer(buffer.DataAsNumpy().tobytes(), np.dtype(_NUMBERS[kind]))
        return data.reshape(self.shape)


@dataclass(frozen=True, eq=False)
class Operator:
    """An operator of the file.

    Attributes:
        inputs, outputs: tensors' indices; -1 for an input that is left out.
    """

    file: File
    number: int
    kind: str
    place: str
    raw: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def name(self) -> str:
        """Its name as a layer."""
        return f"{self.kind.lower().removesuffix('_2d')}_{self.number}"

    @property
    def output(self) -> Stored:
        """The tensor that it makes."""
        return self.file.tensor(self.outputs[0])

    @cached_property
    def _options(self) -> Any:
        table = self.raw.BuiltinOptions()
        if table is None:
            raise not_taken(self.place, "it has no options", "a whole file")
        options = getattr(_schema(), _OPTIONS[self.kind])()
        options.Init(table.Bytes, table.Pos)
        return options

    def option(self, name: str) -> Any:
        """Return an option."""
        return getattr(self._options, name)()

    @property
    def activation(self) -> str:
        """The activation's name."""
        code = self.option("FusedActivationFunction")
        return _names("ActivationFunctionType").get(code, f"activation {code}")

    def stride(self, output: tuple[int, int, int]) -> int:
        """Return the one stride; where there is one output both ways, any will do."""
        strides = (int(self.option("StrideH")), int(self.option("StrideW")))
        rows, columns, _ = output
        if rows == 1 or columns == 1:
            taken = [s for s, count in zip(strides, (rows, columns), strict=True) if count > 1]
            strides = (taken[0], taken[0]) if taken else (1, 1)
        if strides[0] != strides[1] or not 1 <= strides[0] <= 64:
            raise not_taken(self.place, f"its strides are {strides}", "one stride")
        return strides[0]

    def padding(self, size: tuple[int, int], window: tuple[int, int], stride: int) -> Edges:
        """Return the zeros around a map of a size: the odd one of SAME stands behind.

        Args:
            size: rows and columns of the map.
            window: rows and columns of the filter.
            stride: both ways.

        Returns:
            zeros above, below, left and right.
        """
        kind = _names("Padding").get(self.option("Padding"))
        if kind == "VALID":
            return (0, 0, 0, 0)
        if kind != "SAME":
            raise not_taken(self.place, f"its padding is {self.option('Padding')}", "SAME, VALID")
        rows, columns = (
            max(0, (-(-n // stride) - 1) * stride + k - n)
            for n, k in zip(size, window, strict=True)
        )
        return (rows // 2, columns // 2, rows - rows // 2, columns - columns // 2)

    def weights(self, channels: int) -> tuple[Int8, Float64]:
        """Return the weights, and a scale for each output channel.

        Args:
            channels: the dimension of the output channels.

        Raises:
            UsageError: the weights are not int8, have a zero point, or scales that fit no channel.
        """
        stored = self.file.tensor(self.inputs[1])
        values: Int8 = stored.values("INT8")
        scales, how = stored.scales, stored.raw.Quantization()
        zeros = [int(how.ZeroPoint(i)) for i in range(min(how.ZeroPointLength(), len(scales)))]
        if any(zeros):
            raise not_taken(stored.place, "weights have a zero point", "symmetric weights")
        outputs = stored.shape[channels] if channels < len(stored.shape) else 0
        if len(scales) == 1:
            return values, np.full(outputs, scales[0])
        if len(scales) != outputs or how.QuantizedDimension() != channels:
            raise not_taken(
                stored.place,
                f"it has {len(scales)} scales along dimension {how.QuantizedDimension()}",
                f"one, or {outputs} along dimension {channels}",
            )
        return values, scales

    def bias(self, outputs: int) -> Int32:
        """Return the biases, zeros where there are none."""
        if len(self.inputs) < 3 or self.inputs[2] < 0:
            return np.zeros(outputs, np.int32)
        stored = self.file.tensor(self.inputs[2])
        values: Int32 = stored.values("INT32").reshape(-1)
        if len(values) != outputs:
            raise not_taken(stored.place, f"there are {len(values)} biases", f"{outputs}")
        return values

    def constant(self, number: int) -> Int32:
        """Return an input that is a constant of whole numbers."""
        values: Int32 = self.file.tensor(self.inputs[number]).values("INT32")
        return values
