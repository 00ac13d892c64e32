"""Small int8 TensorFlow Lite files, written through the schema's own builders."""

from dataclasses import dataclass, field
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import tflite  # type: ignore[import-untyped]

TYPES = {"int8": 9, "int32": 2, "float32": 0, "float16": 1, "uint8": 3}
DATA = {"int8": np.int8, "int32": np.int32, "float16": np.float16, "float32": np.float32}
SAME, VALID = 0, 1
NONE, RELU, RELU6 = 0, 1, 3


@dataclass
class Tensor:
    shape: tuple[int, ...]
    kind: str = "int8"
    scales: tuple[float, ...] = (0.05,)
    zeros: tuple[int, ...] = (0,)
    data: npt.NDArray[Any] | None = None
    axis: int = 0
    signature: tuple[int, ...] = ()


@dataclass
class Operator:
    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    version: int = 1


@dataclass
class Writer:
    """Collects tensors and operators; `write` makes a file of them."""

    version: int = 3
    seed: int = 0
    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    outputs: tuple[int, ...] = ()
    graphs: int = 1

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def tensor(self, *shape: int, **how: Any) -> int:
        self.tensors.append(Tensor(shape, **how))
        return len(self.tensors) - 1

    def add(self, code: str, inputs: tuple[int, ...], y: int, options: str = "", **how: Any) -> int:
        version = how.pop("version", 1)
        self.operators.append(Operator(code, inputs, (y,), options, how, version))
        self.outputs = (y,)
        return y

    def image(self, *shape: int) -> int:
        return self.tensor(1, *shape, zeros=(-3,))

    def weights(self, *shape: int, axis: int = 0) -> tuple[int, int]:
        values = self.random.integers(-127, 128, shape).astype(np.int8)
        count = shape[axis]
        scales = tuple(float(s) for s in self.random.uniform(0.002, 0.01, count))
        weight = self.tensor(*shape, scales=scales, zeros=(0,) * count, data=values, axis=axis)
        bias = self.random.integers(-3000, 3000, count).astype(np.int32)
        return weight, self.tensor(count, kind="int32", data=bias)

    def conv(  # noqa: PLR0917
        self,
        x: int,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        padding: int = SAME,
        act: int = RELU,
        *,
        depthwise: bool = False,
    ) -> int:
        _, rows, columns, inputs = self.tensors[x].shape
        size = [
            -(-n // stride) if padding == SAME else (n - kernel) // stride + 1
            for n in (rows, columns)
        ]
        y = self.tensor(1, *size, channels, scales=(0.11,), zeros=(-128 if act else 5,))
        if depthwise:
            both = self.weights(1, kernel, kernel, channels, axis=3)
        else:
            both = self.weights(channels, kernel, kernel, inputs)
        kind = "Depthwise" if depthwise else ""
        more = {"DepthMultiplier": 1} if depthwise else {}
        return self.add(
            "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
            (x, *both),
            y,
            f"{kind}Conv2DOptions",
            Padding=padding,
            StrideW=stride,
            StrideH=stride,
            FusedActivationFunction=act,
            **more,
            version=3,
        )

    def dense(self, x: int, count: int, act: int = NONE) -> int:
        inputs = int(np.prod(self.tensors[x].shape))
        weight, bias = self.weights(count, inputs)
        self.tensors[weight].scales, self.tensors[weight].zeros = (0.006,), (0,)
        y = self.tensor(1, count, scales=(0.3,), zeros=(-128 if act else 7,))
        options = "FullyConnectedOptions"
        return self.add(
            "FULLY_CONNECTED", (x, weight, bias), y, options, FusedActivationFunction=act, version=4
        )

    def pool(self, x: int, window: int, stride: int, padding: int, code: str) -> int:
        of = self.tensors[x]
        _, rows, columns, channels = of.shape
        size = [
            -(-n // stride) if padding == SAME else (n - window) // stride + 1
            for n in (rows, columns)
        ]
        y = self.tensor(1, *size, channels, scales=of.scales, zeros=of.zeros)
        return self.add(
            code,
            (x,),
            y,
            "Pool2DOptions",
            Padding=padding,
            StrideW=stride,
            StrideH=stride,
            FilterWidth=window,
            FilterHeight=window,
            version=2,
        )

    def mean(self, x: int, scale: float) -> int:
        of = self.tensors[x]
        axes = self.tensor(2, kind="int32", data=np.array([1, 2], np.int32))
        y = self.tensor(1, 1, 1, of.shape[3], scales=(scale,), zeros=(11,))
        return self.add("MEAN", (x, axes), y, "ReducerOptions", KeepDims=True, version=2)

    def sum(self, x: int, other: int, act: int = NONE) -> int:
        y = self.tensor(*self.tensors[x].shape, scales=(0.13,), zeros=(-20,))
        return self.add("ADD", (x, other), y, "AddOptions", FusedActivationFunction=act, version=2)

    def flat(self, x: int) -> int:
        of = self.tensors[x]
        count = int(np.prod(of.shape))
        shape = self.tensor(2, kind="int32", data=np.array([1, count], np.int32))
        y = self.tensor(1, count, scales=of.scales, zeros=of.zeros)
        return self.add("RESHAPE", (x, shape), y)

    def pad(self, x: int, *edges: tuple[int, int]) -> int:
        of = self.tensors[x]
        data = np.array([(0, 0), *edges, (0, 0)], np.int32)
        sizes = [n + sum(e) for n, e in zip(of.shape[1:3], edges, strict=True)]
        y = self.tensor(1, *sizes, of.shape[3], scales=of.scales, zeros=of.zeros)
        return self.add("PAD", (x, self.tensor(4, 2, kind="int32", data=data)), y, version=2)

    def softmax(self, x: int) -> int:
        y = self.tensor(*self.tensors[x].shape, scales=(1 / 256,), zeros=(-128,))
        return self.add("SOFTMAX", (x,), y, "SoftmaxOptions", Beta=1.0, version=2)

    def write(self) -> bytes:
        b = flatbuffers.Builder(1024)
        buffers = [self._buffer(b, None), *(self._buffer(b, t.data) for t in self.tensors)]
        tensors = [self._tensor(b, i, t) for i, t in enumerate(self.tensors)]
        codes = [self._code(b, o) for o in self.operators]
        operators = [self._operator(b, i, o) for i, o in enumerate(self.operators)]
        graph = self._graph(b, tensors, operators)
        graphs = self._vector(b, tflite.ModelStartSubgraphsVector, [graph] * self.graphs)
        codes_at = self._vector(b, tflite.ModelStartOperatorCodesVector, codes)
        buffers_at = self._vector(b, tflite.ModelStartBuffersVector, buffers)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, self.version)
        tflite.ModelAddOperatorCodes(b, codes_at)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddBuffers(b, buffers_at)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())

    def _graph(self, b: Any, tensors: list[int], operators: list[int]) -> int:
        at = self._vector(b, tflite.SubGraphStartTensorsVector, tensors)
        inputs = b.CreateNumpyVector(np.array([0], np.int32))
        outputs = b.CreateNumpyVector(np.array(self.outputs, np.int32))
        steps = self._vector(b, tflite.SubGraphStartOperatorsVector, operators)
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, at)
        tflite.SubGraphAddInputs(b, inputs)
        tflite.SubGraphAddOutputs(b, outputs)
        tflite.SubGraphAddOperators(b, steps)
        return int(tflite.SubGraphEnd(b))

    @staticmethod
    def _vector(b: Any, start: Any, items: list[int]) -> int:
        start(b, len(items))
        for item in reversed(items):
            b.PrependUOffsetTRelative(item)
        return int(b.EndVector())

    @staticmethod
    def _buffer(b: Any, data: npt.NDArray[Any] | None) -> int:
        at = None
        if data is not None:
            at = b.CreateNumpyVector(np.frombuffer(data.tobytes(), np.uint8))
        tflite.BufferStart(b)
        if at is not None:
            tflite.BufferAddData(b, at)
        return int(tflite.BufferEnd(b))

    def _tensor(self, b: Any, index: int, t: Tensor) -> int:
        name = b.CreateString(f"t{index}")
        shape = b.CreateNumpyVector(np.array(t.shape, np.int32))
        signature = b.CreateNumpyVector(np.array(t.signature, np.int32)) if t.signature else None
        scales = b.CreateNumpyVector(np.array(t.scales, np.float32))
        zeros = b.CreateNumpyVector(np.array(t.zeros, np.int64))
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, scales)
        tflite.QuantizationParametersAddZeroPoint(b, zeros)
        tflite.QuantizationParametersAddQuantizedDimension(b, t.axis)
        how = tflite.QuantizationParametersEnd(b)
        tflite.TensorStart(b)
        tflite.TensorAddName(b, name)
        tflite.TensorAddShape(b, shape)
        tflite.TensorAddType(b, TYPES[t.kind])
        tflite.TensorAddBuffer(b, index + 1 if t.data is not None else 0)
        if t.kind != "int32":
            tflite.TensorAddQuantization(b, how)
        if signature is not None:
            tflite.TensorAddShapeSignature(b, signature)
        return int(tflite.TensorEnd(b))

    @staticmethod
    def _code(b: Any, o: Operator) -> int:
        code = getattr(tflite.BuiltinOperator, o.code)
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(code, 127))
        tflite.OperatorCodeAddBuiltinCode(b, code)
        tflite.OperatorCodeAddVersion(b, o.version)
        return int(tflite.OperatorCodeEnd(b))

    @staticmethod
    def _operator(b: Any, index: int, o: Operator) -> int:
        options = None
        if o.options:
            getattr(tflite, f"{o.options}Start")(b)
            for name, value in o.values.items():
                getattr(tflite, f"{o.options}Add{name}")(b, value)
            options = getattr(tflite, f"{o.options}End")(b)
        inputs = b.CreateNumpyVector(np.array(o.inputs, np.int32))
        outputs = b.CreateNumpyVector(np.array(o.outputs, np.int32))
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, index)
        tflite.OperatorAddInputs(b, inputs)
        tflite.OperatorAddOutputs(b, outputs)
        if options is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, o.options))
            tflite.OperatorAddBuiltinOptions(b, options)
        return int(tflite.OperatorEnd(b))


def everything(seed: int = 0) -> Writer:
    """Every operator that is taken, once at least."""
    w = Writer(seed=seed)
    x = w.image(13, 10, 4)
    x = w.conv(x, 8, 3, 2)
    first = w.conv(x, 8, 3, 1, depthwise=True, act=RELU6)
    second = w.conv(x, 8, 1, act=NONE)
    x = w.sum(first, second, RELU)
    x = w.conv(w.pad(x, (0, 1), (2, 1)), 12, 3, 2, VALID)
    x = w.pool(x, 2, 1, SAME, "MAX_POOL_2D")
    x = w.pool(x, 3, 1, VALID, "AVERAGE_POOL_2D")
    x = w.dense(w.flat(x), 5)
    w.softmax(x)
    return w
