"""Code becomes instructions; decode.h reads them out of it."""

import ctypes
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, overload

from hil.targets.emulator.core.clock import address_of
from hil.targets.emulator.core.instructions import (
    DecoderHead,
    Instruction,
    load_library,
)

_BYTES = ctypes.sizeof(Instruction)


class Instructions(Sequence[Instruction]):
    """Instructions that follow each other, in memory too.

    Args:
        memory: where they are.
        count: how many there are.

    Attributes:
        at: where the first is on the host, for C.
    """

    def __init__(self, memory: bytearray, count: int) -> None:
        self._memory = memory
        self._count = count
        self.at = ctypes.addressof(ctypes.c_char.from_buffer(memory))

    def first(self, count: int) -> "Instructions":
        """Return the first few."""
        return Instructions(self._memory, count)

    def __len__(self) -> int:
        """Return how many there are."""
        return self._count

    @overload
    def __getitem__(self, index: int) -> Instruction: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Instruction]: ...
    def __getitem__(self, index: int | slice) -> Instruction | Sequence[Instruction]:
        """Return one of them, or some."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        at = index + self._count if index < 0 else index
        if not 0 <= at < self._count:
            raise IndexError(index)
        return Instruction.from_buffer(self._memory, at * _BYTES)

    def __iter__(self) -> Iterator[Instruction]:
        """Yield each."""
        return (self[at] for at in range(self._count))

    @property
    def has_foreign(self) -> bool:
        """Whether some are another core's."""
        found: bool = load_library().instructions_are_foreign(self.at, self._count)
        return found


def decode(code: bytes, address: int, conditions: bytes = b"") -> Instructions:
    """Decode straight-line code; half an instruction at its end is left out.

    Args:
        code: of a block.
        address: where it stands.
        conditions: those that an IT before it gives its first instructions.
    """
    most = len(code) // 2
    memory = bytearray(max(most, 1) * _BYTES)
    block = Instructions(memory, 0)
    count = load_library().decode(
        _decoder(), code, len(code), address, conditions, len(conditions), block.at, most
    )
    return block.first(count)


@cache
def _decoder() -> Any:
    """Return the decoder of this process: it knows what it has once decoded for any board."""
    import capstone

    capstone_any: Any = capstone
    mode = capstone_any.CS_MODE_THUMB | capstone_any.CS_MODE_MCLASS
    engine = capstone_any.Cs(capstone_any.CS_ARCH_ARM, mode)
    engine.detail = True
    functions = capstone_any._cs  # noqa: SLF001 - the binding makes objects of all that it decodes
    buffer = ctypes.create_string_buffer(load_library().decoder_size())
    decoder = DecoderHead.from_buffer(buffer)
    decoder.handle = engine.csh.value
    decoder.disassemble = address_of(functions.cs_disasm)
    decoder.release = address_of(functions.cs_free)
    buffer.engine = engine  # type: ignore[attr-defined]  # closed when nobody has it any more
    return buffer
