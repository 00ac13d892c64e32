"""Files of the safetensors format: a header in JSON that places every tensor in what follows.

Source: https://huggingface.co/docs/safetensors, "Format": eight bytes of the header's length,
    little endian; the header, {name: {dtype, shape, data_offsets}}; the tensors' bytes.
"""

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SUFFIX = ".safetensors"
_LENGTH = struct.Struct("<Q")
_METADATA = "__metadata__"
_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read(path: Path) -> dict[str, Tensor]:
    """Read a file's tensors by name.

    Raises:
        OSError, ValueError, TypeError: it cannot be read, or is none of this format.
    """
    content = path.read_bytes()
    if len(content) < _LENGTH.size:
        raise ValueError("it is shorter than a header")
    (length,) = _LENGTH.unpack_from(content)
    start = _LENGTH.size + length
    if start > len(content):
        raise ValueError(f"its header of {length:,} B is longer than the file")
    header = json.loads(content[_LENGTH.size : start])
    if not isinstance(header, Mapping):
        raise TypeError("its header is no table of tensors")
    return {
        name: _tensor(name, entry, content, start)
        for name, entry in header.items()
        if name != _METADATA
    }


def _tensor(name: str, entry: Any, content: bytes, start: int) -> Tensor:
    try:
        kind, shape = _TYPES[entry["dtype"]], [int(side) for side in entry["shape"]]
        begin, end = (start + int(offset) for offset in entry["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name} is described by {entry!r}") from error
    count = prod(shape)
    if min(shape, default=0) < 0 or not start <= begin <= end <= len(content):
        raise ValueError(f"{name} lies outside the file")
    if end - begin != count * kind.itemsize:
        raise ValueError(f"{name} has {end - begin} B for {shape} of {entry['dtype']}")
    if count == 0:
        return torch.empty(shape, dtype=kind)
    values = bytearray(content[begin:end])  # its own, so that it can be written
    return torch.frombuffer(values, dtype=kind).reshape(shape)
