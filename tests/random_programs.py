"""Quantised programs with random parameters, for tests of planner, emitter and kernels."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from hil.compiler.operators.add import add_of
from hil.compiler.operators.concat import Concat, Rescale
from hil.compiler.operators.conv2d import Conv2D, Residual
from hil.compiler.operators.fastgrnn import Cell
from hil.compiler.operators.gated import GatedCell
from hil.compiler.operators.gated_pool import GatedPool
from hil.compiler.operators.gru import GRU, sigmoids
from hil.compiler.operators.gru_sweep import GRUSweep
from hil.compiler.operators.l2norm import L2Norm
from hil.compiler.operators.lookup import Lookup
from hil.compiler.operators.maxout import MaxOut
from hil.compiler.operators.pool2d import Pool2D
from hil.compiler.operators.rnnpool import RNNPool
from hil.compiler.operators.softmax import softmax_of
from hil.compiler.program import Int8, Operator, Output, Padding, Program, Tensor

Shape = tuple[int, int, int]


@dataclass
class Builder:
    """Collects operators whose parameters are drawn from a seeded generator."""

    seed: int
    input_shape: Shape
    full_range: bool = False  # a ReLU's ceiling is the greatest int8, as calibration makes it
    extremes: bool = False  # weights at +-127 and -128, large multipliers: many sums saturate
    deviation: float | None = None  # of normal weights of convolutions; None: all int8 alike
    operators: list[Operator] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.input = self.tensor("input", self.input_shape)

    def tensor(
        self, name: str, shape: Shape, zero_point: int | None = None, bits: int = 8
    ) -> Tensor:
        zero = int(self.random.integers(-128, 128)) if zero_point is None else zero_point
        return Tensor(name, shape, 0.05, zero, bits=bits)

    def conv(  # noqa: PLR0917
        self,
        name: str,
        x: Tensor,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        padding: Padding | None = None,
        *,
        depthwise: bool = False,
        relu: bool = False,
        residual: Tensor | None = None,
        shift: int = 0,
        bits: int = 8,
    ) -> Tensor:
        pad = padding if padding is not None else Padding(*[(kernel - 1) // 2] * 4)
        rows, columns, inputs = x.shape
        out_shape = (
            (rows + pad.top + pad.bottom - kernel) // stride + 1,
            (columns + pad.left + pad.right - kernel) // stride + 1,
            channels,
        )
        per_output = 1 if depthwise else inputs
        weight_shape = (channels, kernel, kernel, per_output)
        if self.deviation is not None:
            normal = self.random.normal(0, self.deviation, weight_shape)
            weight = np.clip(np.rint(normal), -127, 127).astype(np.int8)
        elif self.extremes:
            weight = self.random.choice([-128, -127, 127], weight_shape).astype(np.int8)
        else:
            weight = self.random.integers(-127, 128, weight_shape).astype(np.int8)
        taps = kernel * kernel * per_output
        gain = (2000 if self.extremes else 40) / (75 * 75 * taps**0.5) * 2 ** (bits - 8)
        multiplier = self.random.uniform(0.5, 1.5, channels) * gain * 2**32 / 2**shift
        least, most = -(1 << bits - 1), (1 << bits - 1) - 1
        output = self.tensor(name, out_shape, zero_point=least if relu else None, bits=bits)
        term = None
        if residual is not None:
            term = Residual(residual, int(self.random.integers(1000, 90000)), 16)
        self.operators.append(
            Conv2D(
                name=name,
                inputs=(x,),
                output=output,
                macs=int(np.prod(out_shape)) * taps,
                weight=weight,
                bias=self.random.integers(-20000, 20000, channels).astype(np.int32),
                multiplier=np.minimum(multiplier, 2**31 - 1).astype(np.int32),
                shift=shift,
                stride=stride,
                padding=pad,
                depthwise=depthwise,
                low=least,
                high=most if self.full_range or not relu else int(self.random.integers(60, 128)),
                residual=term,
                nudge=np.arange(channels, dtype=np.int32) % 2**shift if shift else None,
            )
        )
        return output

    def inverted_residual(  # noqa: PLR0917
        self,
        name: str,
        x: Tensor,
        channels: int,
        stride: int = 1,
        expansion: int = 2,
        padding: Padding | None = None,
        shift: int = 0,
    ) -> Tensor:
        wide, depthwise = x.shape[2] * expansion, f"{name}.depthwise"
        expanded = self.conv(f"{name}.expand", x, wide, relu=True, shift=shift)
        filtered = self.conv(
            depthwise, expanded, wide, 3, stride, padding, depthwise=True, relu=True, shift=shift
        )
        residual = x if stride == 1 and x.shape[2] == channels else None
        return self.conv(f"{name}.project", filtered, channels, residual=residual, shift=shift)

    def cell(
        self, inputs: int, units: int, input_peak: int, w_density: float, u_density: float
    ) -> Cell:
        index_bits = 8
        shape_w, shape_u = (units, inputs), (units, units)
        w = self.random.integers(-3000, 3000, shape_w) * (self.random.random(shape_w) < w_density)
        u = self.random.integers(-6000, 6000, shape_u) * (self.random.random(shape_u) < u_density)
        w_shift = 6 if input_peak < 1000 else 0
        reach = (np.abs(w).sum(1) * input_peak * 2**w_shift + np.abs(u).sum(1) * 16000).mean() / 2
        index_shift = max(0, int(np.log2(2 * reach / 2**index_bits)))
        bias = 2 ** (index_bits - 1 + index_shift) + self.random.integers(-9999, 9999, units)
        steps = np.linspace(-4, 4, 2**index_bits)[None] + self.random.normal(0, 0.5, (units, 1))
        z = 1 / (1 + np.exp(-steps))
        return Cell(
            w=w.astype(np.int16),
            u=u.astype(np.int16),
            bias=bias.astype(np.int32),
            w_shift=w_shift,
            index_shift=index_shift,
            index_bits=index_bits,
            gate=np.minimum(z * 32768, 32767).astype(np.int16),
            update=((1 - z) * np.tanh(steps) * 8000).astype(np.int16),
            state_scale=1 / 16384,
        )

    def pool(
        self,
        name: str,
        x: Tensor,
        patch: int,
        stride: int,
        units: tuple[int, int] = (16, 16),
        *,
        dense: bool = False,
        repeat: int = 1,
    ) -> Tensor:
        rows, columns, channels = x.shape
        first, second = units
        grid = [(n - patch) // stride + 1 for n in (rows, columns)]
        output = self.tensor(name, (grid[0] + repeat, grid[1] + repeat, 4 * second), zero_point=0)
        density = (1.0, 1.0, 1.0, 1.0) if dense else (0.5, 0.3, 0.3, 0.3)
        per_patch = patch * patch * first * (channels + first) * 2
        per_patch += 4 * patch * second * (first + second)
        self.operators.append(
            RNNPool(
                name=name,
                inputs=(x,),
                output=output,
                macs=grid[0] * grid[1] * per_patch,
                patch=patch,
                stride=stride,
                row=self.cell(channels, first, 200, density[0], density[1]),
                summary=self.cell(first, second, 16000, density[2], density[3]),
                offset=self.random.integers(-(2**15), 2**15, second, endpoint=False).astype(
                    np.int16
                ),
                shift=int(self.random.integers(1, 9)),
            )
        )
        return output

    def gated_pool(
        self,
        name: str,
        x: Tensor,
        patch: int,
        stride: int,
        units: tuple[int, int] = (8, 8),
        *,
        lstm: bool = False,
        repeat: int = 1,
    ) -> Tensor:
        rows, columns, channels = x.shape
        first, second = units
        grid = [(n - patch) // stride + 1 for n in (rows, columns)]
        output = self.tensor(name, (grid[0] + repeat, grid[1] + repeat, 4 * second), zero_point=0)
        self.operators.append(
            GatedPool(
                name=name,
                inputs=(x,),
                output=output,
                macs=grid[0] * grid[1] * patch * patch * first * (channels + first) * 6,
                patch=patch,
                stride=stride,
                row=self.gated(channels, first, 255, lstm=lstm),
                summary=self.gated(first, second, 2**15, lstm=lstm),
                table=sigmoids(8),
                offset=self.random.integers(-(2**15), 2**15, second, endpoint=False).astype(
                    np.int16
                ),
                shift=int(self.random.integers(1, 9)),
            )
        )
        return output

    def gated(self, inputs: int, units: int, x_most: int, *, lstm: bool) -> GatedCell:
        """Weights as large as no sum may overflow with."""
        gates, bits = (4 if lstm else 3), 8
        most = min(6000, (2**31 - 2**27) // (x_most * inputs))
        u = self.random.normal(size=(gates, units, units))
        if self.extremes:
            u = np.sign(u)
        u *= 2**15 / np.abs(u).sum(axis=2, keepdims=True)
        gain = (200_000 if self.extremes else 9000) / (most / 2 * x_most / 3 * inputs**0.5)
        return GatedCell(
            w=self.random.integers(-most, most, (gates, units, inputs)).astype(np.int16),
            bias=self.random.integers(-20000, 20000, (gates, units)).astype(np.int32),
            multiplier=np.full((gates, units), min(gain * 2**32, 2**31 - 1)).astype(np.int32),
            u=np.clip(np.trunc(u * (1 - 1e-6)), -32767, 32767).astype(np.int16),
            product_shift=15,
            index_shift=31 - bits,
            index_bits=bits,
            memory_shift=int(self.random.integers(0, 5)) if lstm else -1,
        )

    def gru(self, inputs: int, units: int) -> GRU:
        """Weights as large as no sum may overflow with; `extremes`: products that saturate."""
        w = self.random.integers(-6000, 6000, (3, units, inputs))
        gain = (200_000 if self.extremes else 9000) / (3500 * 75 * inputs**0.5)
        u = self.random.normal(size=(3, units, units))
        if self.extremes:
            u = np.sign(u)
        rows = np.abs(u).sum(axis=2, keepdims=True)
        u *= np.array([1.0, 1.0, 1.9])[:, None, None] * 2**15 / rows
        return GRU(
            w=w.astype(np.int16),
            bias=self.random.integers(-20000, 20000, (3, units)).astype(np.int32),
            multiplier=np.full((3, units), min(gain * 2**32, 2**31 - 1)).astype(np.int32),
            u=np.clip(np.trunc(u * (1 - 1e-6)), -32767, 32767).astype(np.int16),
            bias_n=self.random.integers(-(2**26), 2**26, units).astype(np.int32),
        )

    def sweep(  # noqa: PLR0917
        self,
        name: str,
        x: Tensor,
        units: int,
        patch: int,
        along: Literal["columns", "rows"],
        index_bits: int = 8,
    ) -> Tensor:
        rows, columns, channels = x.shape
        shape = (rows // patch, columns // patch, 2 * units)
        output = self.tensor(name, shape, zero_point=0)
        inputs = channels * patch**2
        self.operators.append(
            GRUSweep(
                name,
                (x,),
                output,
                shape[0] * shape[1] * 2 * 3 * units * (inputs + units),
                patch=patch,
                along=along,
                forward=self.gru(inputs, units),
                backward=self.gru(inputs, units),
                product_shift=15,
                index_shift=31 - index_bits,
                index_bits=index_bits,
                table=sigmoids(index_bits),
            )
        )
        return output

    def norm(self, name: str, x: Tensor) -> Tensor:
        output = self.tensor(name, x.shape)
        multiplier = self.random.uniform(100, 1500, x.shape[2]).astype(np.int32)
        self.operators.append(L2Norm(name, (x,), output, 0, multiplier))
        return output

    def lookup(self, name: str, x: Tensor) -> Tensor:
        output = self.tensor(name, x.shape)
        table = self.random.integers(-128, 128, 256).astype(np.int8)
        self.operators.append(Lookup(name, (x,), output, 0, "any function", table))
        return output

    def add(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        x, y = (replace(t, scale=float(self.random.uniform(0.01, 0.1))) for t in (x, y))
        low, high = int(self.random.integers(-128, 0)), int(self.random.integers(60, 128))
        self.operators.append(add_of(name, (x, y), self.tensor(name, x.shape), low, high))
        return self.operators[-1].output

    def softmax(self, name: str, x: Tensor) -> Tensor:
        output = Tensor(name, x.shape, 1 / 256, -128)
        self.operators.append(softmax_of(name, x, output))
        return output

    def maxout(self, name: str, x: Tensor, groups: int) -> Tensor:
        shape = (x.shape[0], x.shape[1], x.shape[2] - groups + 1)
        output = self.tensor(name, shape, zero_point=x.zero_point, bits=x.bits)
        self.operators.append(MaxOut(name, (x,), output, 0, groups))
        return output

    def scale(self, name: str, x: Tensor, *, relu: bool = False, shift: int = 0) -> Tensor:
        """A batch norm by itself, with a ReLU or without."""
        return self.conv(name, x, x.shape[2], depthwise=True, relu=relu, shift=shift)

    def concat(self, name: str, *maps: Tensor) -> Tensor:
        """The first map's scale and zero point are the output's."""
        shape = (*maps[0].shape[:2], sum(m.shape[2] for m in maps))
        output = self.tensor(name, shape, zero_point=maps[0].zero_point)
        rescales: list[Rescale | None] = [None]
        for _ in maps[1:]:
            shift = int(self.random.integers(0, 4))
            factor = self.random.uniform(0.05, 8.0 if self.extremes else 1.2)
            multiplier = min(int(factor * 2.0 ** (32 - shift)), 2**31 - 1)
            rescales.append(Rescale(multiplier, shift) if self.random.random() < 0.8 else None)
        self.operators.append(Concat(name, maps, output, 0, tuple(rescales)))
        return output

    def pool2d(  # noqa: PLR0917
        self,
        name: str,
        x: Tensor,
        kind: Literal["average", "max"],
        window: tuple[int, int],
        stride: int = 1,
        padding: Padding | None = None,
        shift: int = 0,
    ) -> Tensor:
        pad = padding or Padding()
        rows, columns, channels = x.shape
        shape = (
            (rows + pad.top + pad.bottom - window[0]) // stride + 1,
            (columns + pad.left + pad.right - window[1]) // stride + 1,
            channels,
        )
        output = self.tensor(name, shape, zero_point=x.zero_point if kind == "max" else None)
        gain = 4.0 if self.extremes else 0.9
        multiplier = int(gain * 2.0 ** (32 - shift) / (window[0] * window[1]))
        self.operators.append(
            Pool2D(
                name,
                (x,),
                output,
                0,
                kind=kind,
                window=window,
                stride=stride,
                padding=pad,
                multiplier=min(multiplier, 2**31 - 1) if kind == "average" else 0,
                shift=shift if kind == "average" else 0,
            )
        )
        return output

    def program(self, *outputs: Tensor, name: str = "random") -> Program:
        return Program(name, self.input, tuple(self.operators), Output(outputs))


def image(program: Program, seed: int = 0) -> Int8:
    """A random input, with smooth parts and extremes."""
    random = np.random.default_rng(seed)
    rows, columns, channels = program.input.shape
    smooth = np.add.outer(np.sin(np.arange(rows) / 9), np.cos(np.arange(columns) / 7)) * 50
    noise = random.integers(-128, 128, (rows, columns, channels))
    x = np.where(random.random((rows, columns, 1)) < 0.3, noise, smooth[..., None] + noise / 8)
    return np.clip(np.rint(x), -128, 127).astype(np.int8)


def face_m4(seed: int = 0, rows: int = 240, columns: int = 320, *, dense: bool = False) -> Program:
    """A program of RNNPool-Face-M4's shape with random parameters, operators in traced order."""
    b = Builder(seed, (rows, columns, 1), full_range=True)
    x = b.conv("stem", b.input, 4, 3, 2, relu=True)
    x = b.pool("pool", x, 8, 4, dense=dense)
    taps: list[Tensor] = []
    for i, (channels, stride) in enumerate(((32, 1), (32, 1), (64, 2), (64, 1))):
        x = b.inverted_residual(f"blocks.{i}", x, channels, stride)
        taps.append(b.norm(f"norms.{i}", x) if i < 3 else x)
    conf = [b.conv(f"conf.{i}", t, 2 if i else 4, 3) for i, t in enumerate(taps)]
    conf[0] = b.maxout("max_out", conf[0], 3)
    loc = [b.conv(f"loc.{i}", t, 4, 3) for i, t in enumerate(taps)]
    return b.program(*conf, *loc, name="face_m4")
