"""Trained detectors out of EdgeML's C: integers in headers, scales in a SeeDot program.

EdgeML's deployed face detectors are public only as the C headers of its sample code, a folder
`q_scut_head_b_face*_model`. A header holds a weight as int16; SeeDot gave every weight a power of
two as its scale, which follows from the range that its program (`rnnpool-face-*.sd`) states. The
ranges name the weights too, so that every array is held against its shape and its values.

Source: EdgeML, tools/SeeDot/seedot/compiler/input/rnnpool-face-4.sd, and the headers of its
    "M4 Deployment Samples".
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hil.errors import UsageError
from hil.numbers import decimal

_INT16_BITS = 15  # and the sign
_MOST_BYTES = 16 << 20  # of a file; the largest header has 0.3 MB
_POINTER = "version https://git-lfs"
_EPSILON = 1e-5  # of EdgeML's batch norms
_SATURATED = 100.0  # whose sigmoid is 1 to the last bit of a float, as RNNPool starts
_LEAST_SHARE = 1e-12  # written in place of 0
_SHOWN = 8
_MOST = 1e9  # that a weight can be
_FILTER_RANK = 5  # (groups, rows, columns, in, out)

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_DEFINE = re.compile(r"^\s*#\s*define\s+(\w+)\s+([0-9]{1,9})\s*$", re.MULTILINE)
_ARRAY = re.compile(r"\bQ(?:7|15)_T\s+(\w+)\s*\[([^\]]*)\]\s*=\s*\{([^{}]*)\}")
_RANGE = re.compile(
    r"\blet\s+(\w+)\s*=\s*\(([\d,\s]+)\)\s*in\s*\[\s*([-\d.eE]+)\s*,\s*([-\d.eE]+)\s*\]"
)
_SCALAR = re.compile(r"\blet\s+(\w+)\s*=\s*([-\d.eE]+)\s+in\b")
_BLOCK = re.compile(r"L([0-9]{1,3})([FWB][123])")
_HEAD = re.compile(r"(conf|loc)([0-9]{1,3})([wb])")
_NORM = re.compile(r"normW([0-9]{1,3})")

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """What a SeeDot program states of a weight.

    Attributes:
        shape: its dimensions.
        low, high: its least and greatest value.
    """

    shape: tuple[int, ...]
    low: float
    high: float

    @property
    def scale(self) -> float:
        """Real value of one unit of its int16: a power of two."""
        _, exponent = math.frexp(max(abs(self.low), abs(self.high)))
        return 2.0 ** (exponent - _INT16_BITS)


def read(folder: Path, scales: Path | None = None) -> dict[str, Tensor]:
    """Read a folder of headers into a state dict by the names of EdgeML's module.

    Args:
        folder: of the headers.
        scales: SeeDot's program; None for the one `.sd` in the folder.

    Raises:
        UsageError: a file cannot be read or is a pointer of Git LFS, an array is missing, has
            another size, or values beyond its stated range; the error names all of them.
    """
    ranges, scalars = _program(scales or _only_program(folder))
    arrays = _arrays(folder)
    weights: dict[str, Reals] = {}
    wrong: list[str] = []
    for name, stated in ranges.items():
        header = _header_name(name)
        if header is None:
            continue
        problem = _problem(header, arrays.get(header), stated)
        if not problem and _is_filter(name) and len(stated.shape) != _FILTER_RANK:
            problem = f"{header} is a filter, stated as {stated.shape}"
        if problem:
            wrong.append(problem)
        else:
            reals: Reals = arrays[header].astype(np.float64) * stated.scale
            weights[name] = reals.reshape(stated.shape)
    needed = (*_OWN, *(other for name in ranges for other in _beside(name)))
    unnamed = [name for name in needed if name not in ranges]
    unnamed += [name for name in _SCALARS if name not in scalars]
    if unnamed:
        raise UsageError(
            f"the SeeDot program states nothing of {', '.join(unnamed[:_SHOWN])}",
            hint="is it that of a face detector, rnnpool-face-*.sd?",
        )
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise UsageError(
            f"{folder} does not fit its SeeDot program: {'; '.join(wrong[:_SHOWN])}{more}",
            hint="take headers and .sd of one network: face-2 with rnnpool-face-2.sd",
        )
    return {
        key: torch.from_numpy(np.ascontiguousarray(values)).float()
        for key, values in _state(weights, scalars)
    }


def _only_program(folder: Path) -> Path:
    found = sorted(folder.glob("*.sd")) if folder.is_dir() else []
    if len(found) != 1:
        raise UsageError(
            f"{folder} holds {len(found)} SeeDot programs (.sd)",
            hint="name the network's with --scales: EdgeML has them in "
            "tools/SeeDot/seedot/compiler/input",
        )
    return found[0]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{path} is larger than {_MOST_BYTES:,} B: no header of weights")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if text.startswith(_POINTER):
        raise UsageError(
            f"{path} is a pointer of Git LFS, not the file itself",
            hint="fetch the files with `git lfs pull`, or take the folder of the sample code "
            '("M4 Deployment Samples"), which has them as they are',
        )
    return _COMMENT.sub(" ", text)


def _program(path: Path) -> tuple[dict[str, Range], dict[str, float]]:
    text = _text(path)
    ranges: dict[str, Range] = {}
    scalars: dict[str, float] = {}
    for stated in (*_RANGE.finditer(text), *_SCALAR.finditer(text)):
        try:
            if stated.re is _SCALAR:
                scalars[stated[1]] = float(stated[2])
            else:
                shape = tuple(int(n) for n in stated[2].split(",") if n.strip())
                ends = float(stated[3]), float(stated[4])
                if max(map(abs, ends)) > _MOST:
                    raise UsageError(f"{path}: {stated[1][:40]} reaches beyond {_MOST:g}")
                ranges[stated[1]] = Range(shape, *ends)
        except ValueError as error:
            raise UsageError(f"{path}: {stated[1][:40]} is stated with no numbers") from error
    if not ranges:
        raise UsageError(f"{path} is no SeeDot program with ranges of weights")
    return ranges, scalars


def _arrays(folder: Path) -> dict[str, npt.NDArray[np.int64]]:
    """Read every array of every header, by name."""
    headers = sorted(folder.glob("*.h")) if folder.is_dir() else []
    if not headers:
        raise UsageError(f"{folder} holds no headers (.h)", hint="name a q_scut_head_b_face*_model")
    found: dict[str, npt.NDArray[np.int64]] = {}
    for path in headers:
        text = _text(path)
        defined = {name: int(value) for name, value in _DEFINE.findall(text)}
        for name, size, body in _ARRAY.findall(text):
            values = _numbers(path, name, body)
            stated = _size(size, defined)
            # Arrays of working memory have no values; sizes with unknown names are let be.
            if values.size and stated is not None and stated != values.size:
                raise UsageError(f"{path}: {name} has {values.size} values, its size is {stated}")
            if values.size:
                found[name] = values
    return found


def _numbers(path: Path, name: str, body: str) -> npt.NDArray[np.int64]:
    try:
        values = np.array([int(v) for v in body.split(",") if v.strip()], np.int64)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{path}: {name} holds what is no whole number: {error}") from error
    if values.size and np.abs(values).max() > 2**_INT16_BITS:
        raise UsageError(f"{path}: {name} holds {int(np.abs(values).max())}, beyond 16 bits")
    return values


def _size(written: str, defined: Mapping[str, int]) -> int | None:
    """The product that an array's size is written as; None where it is another sum."""
    size = 1
    for factor in (part.strip() for part in written.split("*")):
        known = defined.get(factor, decimal(factor))
        if known is None:
            return None
        size *= known
    return size


def _header_name(name: str) -> str | None:
    """The header's name of a weight of SeeDot's; None for what is no weight, such as the image."""
    if block := _BLOCK.fullmatch(name):
        return f"L{int(block[1]) + 1}_{block[2]}"
    if head := _HEAD.fullmatch(name):
        return f"D{int(head[2]) + 1}{head[1][0].upper()}{head[3].upper()}"
    if norm := _NORM.fullmatch(name):
        return f"D{norm[1]}NW"
    return name if name in _OWN else None


_SCALARS = ("zeta1", "nu1", "zeta2", "nu2")
_OWN = ("CBR1F", "CBR1W", "CBR1B", *(f"{n}{cell}" for cell in "12" for n in ("W", "U", "Bg", "Bh")))


def _is_filter(name: str) -> bool:
    block, head = _BLOCK.fullmatch(name), _HEAD.fullmatch(name)
    return name == "CBR1F" or bool(block and block[2][0] == "F") or bool(head and head[3] == "w")


def _beside(name: str) -> Iterator[str]:
    """Name the weights without which this one is of no use: the norm behind a filter."""
    if (block := _BLOCK.fullmatch(name)) and block[2][0] == "F":
        yield from (f"L{block[1]}{letter}{block[2][1]}" for letter in "WB")


def _problem(header: str, values: npt.NDArray[np.int64] | None, stated: Range) -> str:
    """Say what keeps an array from being the weight; empty for one that may be."""
    if values is None:
        return f"{header} is missing"
    count = math.prod(stated.shape)
    if values.size != count:
        return f"{header} has {values.size} values for {stated.shape}"
    ends = (values.min() * stated.scale, values.max() * stated.scale)
    apart = max(abs(ends[0] - stated.low), abs(ends[1] - stated.high))
    # An end is cut to a whole number either way, and stated with six decimals.
    if apart > 1.5 * stated.scale + 1e-6:
        return (
            f"{header} reaches {ends[0]:.6f} to {ends[1]:.6f}, stated are {stated.low} to "
            f"{stated.high}"
        )
    return ""


def _state(
    weights: Mapping[str, Reals], scalars: Mapping[str, float]
) -> Iterator[tuple[str, Reals]]:
    """Give every weight its place in the state dict of EdgeML's module."""
    yield "conv.0.weight", _filter(weights["CBR1F"])
    yield from _norm("conv.1", weights["CBR1W"], weights["CBR1B"])
    for cell, path in (("1", "cell_rnn"), ("2", "cell_bidirrnn")):
        place = f"rnn_model.{path}.cell"
        yield f"{place}.W", weights[f"W{cell}"].T
        yield f"{place}.U", weights[f"U{cell}"].T
        yield f"{place}.bias_gate", weights[f"Bg{cell}"].reshape(1, -1)
        yield f"{place}.bias_update", weights[f"Bh{cell}"].reshape(1, -1)
        for letter in ("zeta", "nu"):
            yield f"{place}.{letter}", np.array([[_logit(scalars[f"{letter}{cell}"])]])
    for name in weights:
        if block := _BLOCK.fullmatch(name):
            yield from _of_block(weights, int(block[1]), block[2])
        elif head := _HEAD.fullmatch(name):
            place = f"{head[1]}.{head[2]}"
            if head[3] == "w":
                yield f"{place}.weight", _filter(weights[name])
            else:
                yield f"{place}.bias", weights[name]
        elif norm := _NORM.fullmatch(name):
            yield f"L2Norm{int(norm[1]) + 2}_3.weight", weights[name].reshape(-1)


_STAGES = {"1": ("0.0", "0.1"), "2": ("1.0", "1.1"), "3": ("2", "3")}
"""Of an inverted residual: where its module keeps a filter and the norm behind it."""


def _of_block(weights: Mapping[str, Reals], block: int, part: str) -> Iterator[tuple[str, Reals]]:
    """A filter of an inverted residual, with the norm behind it."""
    if part[0] != "F":
        return
    conv, norm = (f"mob.{block}.conv.{stage}" for stage in _STAGES[part[1]])
    yield f"{conv}.weight", _filter(weights[f"L{block}{part}"])
    factor, offset = (weights[f"L{block}{letter}{part[1]}"] for letter in "WB")
    yield from _norm(norm, factor, offset)


def _filter(values: Reals) -> Reals:
    """Turn (groups, rows, columns, in, out) into torch's (groups * out, in, rows, columns)."""
    groups, rows, columns, inputs, outputs = values.shape
    ordered = values.transpose(0, 4, 3, 1, 2)
    return ordered.reshape(groups * outputs, inputs, rows, columns)


def _norm(place: str, factor: Reals, offset: Reals) -> Iterator[tuple[str, Reals]]:
    """Write y = (x + offset) * factor as a batch norm whose statistics change nothing."""
    factor, offset = factor.reshape(-1), offset.reshape(-1)
    yield f"{place}.weight", factor
    yield f"{place}.bias", offset * factor
    yield f"{place}.running_mean", np.zeros_like(factor)
    yield f"{place}.running_var", np.full_like(factor, 1.0 - _EPSILON)


def _logit(share: float) -> float:
    """What a scalar's sigmoid must be taken of."""
    if share < _LEAST_SHARE:
        return -_SATURATED
    return _SATURATED if share > 1.0 - _LEAST_SHARE else math.log(share / (1.0 - share))
