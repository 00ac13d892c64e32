"""Instructions as the timing rules see them: instruction.h in Python, and the C that reads code."""

import ctypes
from enum import IntEnum
from functools import cache
from typing import Any, ClassVar

from hil.build import native
from hil.targets.emulator.core.clock import HERE


class Kind(IntEnum):
    """What decides an instruction's cost."""

    SIMPLE = 0
    LOAD = 1
    STORE = 2
    LOAD_MULTIPLE = 3  # LDM, POP, LDRD, VLDM, VPOP
    STORE_MULTIPLE = 4
    BRANCH = 5  # B, BL: the target is in the code
    COMPARE_BRANCH = 6  # CBZ, CBNZ
    INDIRECT = 7  # BX, BLX, data processing that writes PC
    TABLE_BRANCH = 8
    IT = 9
    DIVIDE = 10
    BARRIER = 11
    SYNCHRONISE = 12  # ISB
    FLOAT = 13
    FLOAT_MULTIPLY_ADD = 14
    FLOAT_DIVIDE = 15
    FLOAT_MOVE = 16
    FLOAT_LOAD = 17
    FLOAT_STORE = 18


SP, LR, PC = 13, 14, 15
ALWAYS = 14
"""The condition that always holds."""
MOST_INSTRUCTIONS = 1024
"""More than a block has."""

LITERAL: Any = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32))
"""`literal_fn`: the word of constant data at an address; false where it may change."""

_BRANCHES = frozenset({Kind.BRANCH, Kind.COMPARE_BRANCH, Kind.INDIRECT, Kind.TABLE_BRANCH})
_CORE_REGISTERS, _MOST_COVERED, _MOST_SOURCES = 16, 4, 4


class Address(ctypes.Structure):
    """`address_t`: how a load or store forms its address; registers by number, -1 for none."""

    _fields_: ClassVar = [
        ("offset", ctypes.c_int32),
        ("base", ctypes.c_int8),
        ("index", ctypes.c_int8),
        ("shift", ctypes.c_uint8),
        ("post_indexed", ctypes.c_uint8),
    ]


class Operand(ctypes.Structure):
    """`source_t`: a source of data processing: a register, shifted left, or -1 and a constant."""

    _fields_: ClassVar = [
        ("constant", ctypes.c_uint32),
        ("number", ctypes.c_int8),
        ("shift", ctypes.c_uint8),
    ]


class Instruction(ctypes.Structure):
    """`instruction_t`: one instruction; instruction.h says what its members are."""

    _fields_: ClassVar = [
        ("address", ctypes.c_uint32),
        ("target", ctypes.c_uint32),
        ("mnemonic", ctypes.c_uint32),
        ("writes", ctypes.c_uint32),
        ("float_reads", ctypes.c_uint32),
        ("float_writes", ctypes.c_uint32),
        ("access", Address),
        ("size", ctypes.c_uint8),
        ("kind", ctypes.c_uint8),
        ("condition", ctypes.c_uint8),
        ("words", ctypes.c_uint8),
        ("access_bytes", ctypes.c_uint8),
        ("operands", ctypes.c_uint8),
        ("has_access", ctypes.c_uint8),
        ("has_target", ctypes.c_uint8),
        ("writes_back", ctypes.c_uint8),
        ("loads_pc", ctypes.c_uint8),
        ("is_double", ctypes.c_uint8),
        ("is_nop", ctypes.c_uint8),
        ("is_float", ctypes.c_uint8),
        ("is_foreign", ctypes.c_uint8),
        ("is_unknown", ctypes.c_uint8),
        ("writes_masks", ctypes.c_uint8),
        ("is_signed", ctypes.c_uint8),
        ("is_call", ctypes.c_uint8),
        ("is_return", ctypes.c_uint8),
        ("is_suspect", ctypes.c_uint8),
        ("it_count", ctypes.c_uint8),
        ("it_conditions", ctypes.c_uint8 * _MOST_COVERED),
        ("load_count", ctypes.c_uint8),
        ("loads", ctypes.c_int8 * _CORE_REGISTERS),
        ("source_count", ctypes.c_uint8),
        ("sources", Operand * _MOST_SOURCES),
    ]
    address: int
    target: int
    writes: int
    size: int
    kind: int
    condition: int
    has_target: int
    loads_pc: int
    is_float: int
    is_foreign: int
    writes_masks: int
    is_suspect: int
    it_count: int

    @property
    def end(self) -> int:
        """Address of the next instruction."""
        return self.address + self.size

    @property
    def predicated(self) -> bool:
        """Whether it may be skipped or not taken."""
        return self.condition != ALWAYS

    @property
    def leaves(self) -> bool:
        """Whether it writes PC when it executes."""
        return bool(self.loads_pc) or self.kind in _BRANCHES

    @property
    def written(self) -> list[int]:
        """The core registers that it writes."""
        return [number for number in range(_CORE_REGISTERS) if self.writes >> number & 1]


class DecoderHead(ctypes.Structure):
    """The first fields of `decoder_t`."""

    _fields_: ClassVar = [
        ("handle", ctypes.c_size_t),
        ("disassemble", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
    ]


class AlignmentCheck(ctypes.Structure):
    """`alignment_check_t`."""

    _fields_: ClassVar = [
        ("before", ctypes.c_uint32),
        ("address", ctypes.c_uint32),
        ("weights", ctypes.c_uint32),
        ("offset", ctypes.c_uint16),
        ("mask", ctypes.c_uint16),
    ]


class AlignmentPlan(ctypes.Structure):
    """`alignment_t`."""

    _fields_: ClassVar = [
        ("count", ctypes.c_uint32),
        ("untold_count", ctypes.c_uint32),
        ("checks", AlignmentCheck * MOST_INSTRUCTIONS),
        ("untold", ctypes.c_uint32 * MOST_INSTRUCTIONS),
    ]
    count: int
    untold_count: int
    checks: ctypes.Array[AlignmentCheck]
    untold: ctypes.Array[ctypes.c_uint32]


_SOURCE = native.Source(
    HERE / "instructions.c",
    HERE,
    mirrors=[
        native.Mirror(Address, "address_t"),
        native.Mirror(Operand, "source_t"),
        native.Mirror(Instruction, "instruction_t"),
        native.Mirror(DecoderHead, "decoder_t", whole=False),
        native.Mirror(AlignmentCheck, "alignment_check_t"),
        native.Mirror(AlignmentPlan, "alignment_t"),
    ],
    constants={f"KIND_{kind.name}": kind for kind in Kind}
    | {"ALWAYS": ALWAYS, "MOST_INSTRUCTIONS": MOST_INSTRUCTIONS, "SP": SP, "LR": LR, "PC": PC},
    packages=["capstone"],
)


@cache
def load_library() -> ctypes.PyDLL:
    """Compile instructions.c, if need be, and declare its functions."""
    library = native.load_brief(_SOURCE)
    pointer, u32 = ctypes.c_void_p, ctypes.c_uint32
    library.decoder_size.restype = ctypes.c_size_t
    library.decode.argtypes = [
        pointer, ctypes.c_char_p, u32, u32, ctypes.c_char_p, u32, pointer, u32
    ]  # fmt: skip
    library.decode.restype = u32
    library.instructions_are_foreign.argtypes = [pointer, u32]
    library.instructions_are_foreign.restype = ctypes.c_bool
    library.alignment_plan.argtypes = [pointer, u32, ctypes.c_bool, LITERAL, pointer]
    library.alignment_plan.restype = None
    library.alignment_traps.argtypes = [pointer, pointer, ctypes.c_bool]
    library.alignment_traps.restype = ctypes.c_bool
    return library
