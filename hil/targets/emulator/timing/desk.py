"""The C side of costing, which costing.c is: its structures and its functions."""

import ctypes
from dataclasses import fields
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from hil.build import native
from hil.targets.emulator.core.instructions import (
    LITERAL,
    MOST_INSTRUCTIONS,
    Instruction,
)
from hil.targets.emulator.timing.c_side import (
    CONDITION_HOLDS,
    VALUE_REGISTERS,
    Place,
    Transfer,
    Writes,
)
from hil.targets.emulator.timing.rules import Rules

MOST_QUEUE = 8
"""Words of code that any rule lets the fetch unit hold."""
MEMORY_NUMBERS = {"unknown": 1, "flash": 2, "sram2": 3, "sdram": 4}
"""Of the memories that rules name; a board's others have numbers behind these."""
ACCESS_BYTES, TERM_BYTES = 2, 8
"""Of an `access_t` and a `term_t`."""
_MOST_MEMORIES, _CASE_PLACES, _CASE_TERMS = 64, 4096, 1 << 16
_MOST_COVERED, _CORE_REGISTERS = 4, 16


class Cause(IntEnum):
    """What a cycle was spent on."""

    ISSUE = 0  # one cycle of every instruction that takes any
    LOAD_STORE = 1  # further cycles of loads and stores, and waiting for addresses
    BRANCH = 2  # refill after a taken branch, and fetches that come late
    DIVISION = 3
    FLOAT = 4
    OTHER = 5  # barriers


class RuleValues(ctypes.Structure):
    """`rules_t`."""

    _fields_: ClassVar = [(rule.name, ctypes.c_int32) for rule in fields(Rules)]


class StateMembers(ctypes.Structure):
    """`state_t`, whose members pipeline.h explains."""

    _fields_: ClassVar = [
        ("fetch", ctypes.c_int32),
        ("second_word_late", ctypes.c_int32),
        ("freed", ctypes.c_int32 * MOST_QUEUE),
        ("previous_issue", ctypes.c_int32),
        ("bus_free", ctypes.c_int32),
        ("ready", ctypes.c_int32 * _CORE_REGISTERS),
        ("float_result", ctypes.c_uint32),
        ("float_free", ctypes.c_int32),
        ("wide_run", ctypes.c_int32),
        ("freed_count", ctypes.c_uint8),
        ("branched", ctypes.c_uint8),
        ("pending", ctypes.c_uint8),
        ("stored", ctypes.c_uint8),
        ("short_before", ctypes.c_uint8),
        ("indexed_store", ctypes.c_uint8),
        ("outcome", ctypes.c_uint8),
        ("condition_count", ctypes.c_uint8),
        ("conditions", ctypes.c_uint8 * _MOST_COVERED),
    ]
    condition_count: int
    outcome: int


class LineFetch(ctypes.Structure):
    """`line_fetch_t`."""

    _fields_: ClassVar = [
        ("line", ctypes.c_uint32),
        ("needed", ctypes.c_uint32),
        ("ahead", ctypes.c_uint32),
    ]


class ExitMembers(ctypes.Structure):
    """`exit_t`."""

    _fields_: ClassVar = [
        ("cost", ctypes.c_uint32),
        ("by_cause", ctypes.c_uint32 * len(Cause)),
        ("state", StateMembers),
    ]
    cost: int
    by_cause: ctypes.Array[ctypes.c_uint32]
    state: StateMembers


class Cost(ctypes.Structure):
    """`cost_t`."""

    _fields_: ClassVar = [
        ("fall_through", ExitMembers),
        ("taken", ExitMembers),
        ("lines", ctypes.c_uint32),
        ("line", LineFetch * MOST_INSTRUCTIONS),
        ("issues", ctypes.c_uint32 * MOST_INSTRUCTIONS),
    ]
    fall_through: ExitMembers
    taken: ExitMembers
    lines: int


class MemoryRange(ctypes.Structure):
    """`memory_t`."""

    _fields_: ClassVar = [
        ("begin", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
        ("host", ctypes.c_void_p),
        ("number", ctypes.c_uint32),
        ("unused", ctypes.c_uint32),
    ]
    begin: int
    length: int
    host: int | None
    number: int


class Memories(ctypes.Structure):
    """`memories_t`."""

    _fields_: ClassVar = [
        ("count", ctypes.c_uint32),
        ("unused", ctypes.c_uint32),
        ("all", MemoryRange * _MOST_MEMORIES),
    ]
    count: int
    all: ctypes.Array[MemoryRange]


class Facts(ctypes.Structure):
    """`facts_t`."""

    _fields_: ClassVar = [
        ("first_float", ctypes.c_uint32),
        ("transfer", ctypes.c_uint32),
        ("may_write", ctypes.c_uint32),
    ]
    first_float: int
    transfer: int
    may_write: int


class CaseMembers(ctypes.Structure):
    """`case_t`."""

    _fields_: ClassVar = [
        ("count", ctypes.c_uint32),
        ("term_count", ctypes.c_uint32),
        ("hook", ctypes.c_uint32),
        ("hook_decides", ctypes.c_uint32),
        ("is_full", ctypes.c_uint32),
        ("unused", ctypes.c_uint32),
        ("accesses", ctypes.c_uint8 * ACCESS_BYTES * MOST_INSTRUCTIONS),
        ("places", Place * _CASE_PLACES),
        ("terms", ctypes.c_uint8 * TERM_BYTES * _CASE_TERMS),
    ]
    count: int
    term_count: int
    hook: int
    hook_decides: int
    is_full: int


class Look(ctypes.Structure):
    """The first fields of `look_t`."""

    _fields_: ClassVar = [
        ("literal", LITERAL),
        ("memories", Memories),
        ("registers", ctypes.c_uint32 * VALUE_REGISTERS),
        ("facts", Facts),
        ("found", CaseMembers),
    ]
    literal: Any
    memories: Memories
    registers: ctypes.Array[ctypes.c_uint32]
    facts: Facts
    found: CaseMembers


_HERE = Path(__file__).parent
_SOURCE = native.Source(
    _HERE / "costing.c",
    _HERE.parent,
    mirrors=[
        native.Mirror(Instruction, "instruction_t"),
        native.Mirror(RuleValues, "rules_t"),
        native.Mirror(StateMembers, "state_t"),
        native.Mirror(LineFetch, "line_fetch_t"),
        native.Mirror(ExitMembers, "exit_t"),
        native.Mirror(Cost, "cost_t"),
        native.Mirror(MemoryRange, "memory_t"),
        native.Mirror(Memories, "memories_t"),
        native.Mirror(Facts, "facts_t"),
        native.Mirror(Place, "place_t"),
        native.Mirror(CaseMembers, "case_t"),
        native.Mirror(Look, "look_t", whole=False),
    ],
    constants={
        **{cause.name: cause for cause in Cause},
        **{f"{name.upper()}_MEMORY": number for name, number in MEMORY_NUMBERS.items()},
        "MASKS": Writes.MASKS,
        "STACK_POINTER": Writes.STACK_POINTER,
        "CALLS": Transfer.CALLS,
        "RETURNS": Transfer.RETURNS,
        "HOLDS": CONDITION_HOLDS,
    },
    packages=["capstone"],
)


@cache
def load_library() -> ctypes.PyDLL:
    """Compile costing.c, if need be, and declare its functions."""
    library = native.load_brief(_SOURCE)
    pointer, u32, truth = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_bool
    library.look_size.restype = ctypes.c_size_t
    library.look_at.argtypes = [pointer, pointer, u32]
    library.look_at.restype = None
    library.look_holds.argtypes = [pointer, ctypes.c_char_p, u32, ctypes.c_char_p]
    library.look_holds.restype = truth
    library.look_place.argtypes = [
        pointer, ctypes.c_char_p, u32, ctypes.c_char_p, pointer, pointer
    ]  # fmt: skip
    library.look_place.restype = truth
    library.look_reaches.argtypes = [pointer]
    library.look_reaches.restype = u32
    library.look_reached.argtypes = [pointer, u32, pointer, pointer]
    library.look_reached.restype = truth
    library.look_left.argtypes = [pointer, u32, pointer]
    library.look_left.restype = truth
    library.pipeline_cost.argtypes = [
        pointer, u32, ctypes.c_char_p, pointer, ctypes.c_char_p, truth, u32, pointer
    ]  # fmt: skip
    library.pipeline_cost.restype = None
    library.pipeline_depends_on_outcome.argtypes = [pointer]
    library.pipeline_depends_on_outcome.restype = truth
    return library
