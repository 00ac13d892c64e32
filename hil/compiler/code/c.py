"""Readable C text from names and arrays."""

import re
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

_C_TYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "uint32": "uint32_t"}
_LINE = 100

Fields: TypeAlias = dict[str, str | int | bool]
"""A structure's members by name: integers, booleans, or C expressions."""


@dataclass(frozen=True, eq=False)
class Constant:
    """An array in flash: `values` flattened, its layout said in `layout`."""

    name: str
    values: npt.NDArray[np.signedinteger] | npt.NDArray[np.unsignedinteger]
    layout: str

    @property
    def declaration(self) -> str:
        """The C declarator, without `const` and initialiser."""
        return f"{_C_TYPES[self.values.dtype.name]} {self.name}[{self.values.size}]"

    def definition(self) -> str:
        """The C definition, aligned so that words can be loaded from it."""
        return (
            f"/* {comment(self.layout)} */\n"
            f"_Alignas(4) const {self.declaration} = {{\n{_values(self.values)}\n}};\n"
        )


def wrap_int32(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Values modulo 2**32, as the kernels' accumulators hold them."""
    return (values & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def identifier(name: str) -> str:
    """A C identifier for an operator's or a tensor's name, none of C's, libc's or the kernels'."""
    return "net_" + re.sub(r"\W", "_", name, flags=re.ASCII)


def string(text: str) -> str:
    """A C string literal, other characters than printable ASCII as bytes of UTF-8."""
    plain = (chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in text.encode())
    return '"' + "".join(plain) + '"'


def comment(text: str) -> str:
    """Text that can stand in a C comment, which ends only where its writer ends it."""
    return text.replace("*/", "* /").replace("/*", "/ *").replace("\\\n", "\n")


def structure(ctype: str, name: str, fields: Fields, *, constant: bool = True) -> str:
    """A structure with named members.

    Args:
        ctype: name of the structure's type.
        name: of the variable.
        fields: its members, by name.
        constant: whether it is `const`, and so in flash.
    """
    return f"static {'const ' if constant else ''}{ctype} {name} = {nested(fields, 1)};\n"


def nested(fields: Fields, depth: int) -> str:
    """The initialiser of a structure, its members indented `depth` times.

    Args:
        fields: the members, by name.
        depth: 1 for the members of a variable.
    """
    pad = "    " * depth
    lines = [f"{pad}.{member} = {_literal(value)}," for member, value in fields.items()]
    return "{\n" + "\n".join(lines) + "\n" + "    " * (depth - 1) + "}"


def _literal(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else _integer(value)


def _integer(value: int) -> str:
    return "INT32_MIN" if value == -(2**31) else str(value)


def _values(values: npt.NDArray[np.signedinteger] | npt.NDArray[np.unsignedinteger]) -> str:
    unsigned = values.dtype.kind == "u"
    words = [f"0x{int(v):08X}U," if unsigned else f"{_integer(int(v))}," for v in values.ravel()]
    lines, line = [], "   "
    for word in words:
        if len(line) + 1 + len(word) > _LINE:
            lines.append(line)
            line = "   "
        line += " " + word
    return "\n".join([*lines, line])
