"""The C side of the timing core: its structures, as state.h has them, and its functions."""

import ctypes
from enum import IntEnum, IntFlag
from functools import cache
from pathlib import Path
from typing import ClassVar

from hil.build import native
from hil.targets.emulator.core.clock import RUN_CONTROL, RunControl

VALUE_REGISTERS = 48
"""Registers that addresses are made of: r0 to r15, s0 to s31."""


class Edge(ctypes.Structure):
    """`edge_t`: one of the two ways a block ends."""

    _fields_: ClassVar = [
        ("count", ctypes.c_uint64),
        ("next", ctypes.c_void_p),
        ("cost", ctypes.c_uint32),
        ("state", ctypes.c_uint32),
    ]
    count: int
    cost: int
    state: int


class Placed(ctypes.Structure):
    """`placed_t`: a block's places."""

    _fields_: ClassVar = [
        ("registers", ctypes.c_uint64),
        ("first", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("rounds", ctypes.c_uint32),
        ("unused", ctypes.c_uint32),
    ]
    registers: int


class Node(ctypes.Structure):
    """`node_t`: a block entered in one state of the pipeline."""

    _fields_: ClassVar = [
        ("address", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("outcome", ctypes.c_uint32),
        ("end", ctypes.c_uint32),
        ("transfer", ctypes.c_uint32),
        ("may_write", ctypes.c_uint32),
        ("instructions", ctypes.c_uint32),
        ("checks", ctypes.c_uint32),
        ("fall_through", Edge),
        ("taken", Edge),
        ("resident", ctypes.c_uint64),
        ("used", ctypes.c_uint64),
        ("fetches", ctypes.c_uint32),
        ("last_line", ctypes.c_uint32),
        ("first_fetch", ctypes.c_uint32),
        ("first_check", ctypes.c_uint32),
        ("used_before", ctypes.c_void_p),
        ("state", ctypes.c_uint32),
        ("condition", ctypes.c_uint32),
        ("first_float", ctypes.c_uint32),
        ("cached", ctypes.c_uint32),
        ("placed", Placed),
        ("next_case", ctypes.c_void_p),
        ("fetch_stall", ctypes.c_uint64),
        ("data_stall", ctypes.c_uint64),
    ]
    address: int
    size: int
    end: int
    state: int
    outcome: int
    condition: int
    transfer: int
    may_write: int
    instructions: int
    first_float: int
    first_check: int
    checks: int
    fall_through: Edge
    taken: Edge
    placed: Placed
    fetch_stall: int
    data_stall: int


class Context(ctypes.Structure):
    """`context_t`: a function as called from a chain of others."""

    _fields_: ClassVar = [
        ("function", ctypes.c_uint32),
        ("parent", ctypes.c_uint32),
        ("child", ctypes.c_uint32),
        ("sibling", ctypes.c_uint32),
        ("calls", ctypes.c_uint64),
        ("cycles", ctypes.c_uint64),
    ]
    function: int
    parent: int
    calls: int
    cycles: int


class Point(ctypes.Structure):
    """`point_t`: checks in the middle of a block."""

    _fields_: ClassVar = [
        ("owner", ctypes.c_void_p),
        ("first_check", ctypes.c_uint32),
        ("checks", ctypes.c_uint32),
    ]
    first_check: int
    checks: int


class Place(ctypes.Structure):
    """`place_t`: what has to hold of a sum for a node's costs to hold."""

    _fields_: ClassVar = [
        ("first_term", ctypes.c_uint32),
        ("terms", ctypes.c_uint32),
        ("constant", ctypes.c_uint32),
        ("begin", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
        ("mask", ctypes.c_uint32),
        ("low", ctypes.c_uint32),
        ("step", ctypes.c_uint32),
        ("moves_by_step", ctypes.c_uint32),
        ("loads", ctypes.c_uint32),
        ("bytes", ctypes.c_uint32),
        ("is_signed", ctypes.c_uint32),
        ("host", ctypes.c_void_p),
    ]


class PlacesHead(ctypes.Structure):
    """The first fields of `places_t`."""

    _fields_: ClassVar = [("register_ids", ctypes.c_int32 * VALUE_REGISTERS)]
    register_ids: ctypes.Array[ctypes.c_int32]


class Checks(ctypes.Structure):
    """The first fields of `checks_t`."""

    _fields_: ClassVar = [
        ("owner", ctypes.c_void_p),
        ("register_ids", ctypes.c_int32 * 16),
        ("count", ctypes.c_uint32),
    ]
    register_ids: ctypes.Array[ctypes.c_int32]
    count: int


class Stall(ctypes.Structure):
    """`stall_t`: a wait for a line of code."""

    _fields_: ClassVar = [("needed", ctypes.c_uint32), ("cycles", ctypes.c_uint32)]
    needed: int
    cycles: int


_BLOCK_STALLS = 72
Build = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_uint32] * 3)
Prepare = ctypes.CFUNCTYPE(None, ctypes.c_uint32)
Harvest = ctypes.CFUNCTYPE(None)


class Head(ctypes.Structure):
    """The first fields of `timing_t` in state.h."""

    _fields_: ClassVar = [
        ("run", RunControl),
        ("build", ctypes.c_void_p),
        ("prepare", ctypes.c_void_p),
        ("harvest", ctypes.c_void_p),
        ("read_memory", ctypes.c_void_p),
        ("read_register", ctypes.c_void_p),
        ("write_register", ctypes.c_void_p),
        ("control", ctypes.c_void_p),
        ("flush_translations", ctypes.c_uint32),
        ("pc_id", ctypes.c_int32),
        ("flags_id", ctypes.c_int32),
        ("execution_state_id", ctypes.c_int32),
        ("stack_pointer_id", ctypes.c_int32),
        ("flash_base", ctypes.c_uint32),
        ("flash_bytes", ctypes.c_uint32),
        ("boot_alias", ctypes.c_uint32),
        ("flash_alias", ctypes.c_uint64),
        ("sees_data", ctypes.c_uint32),
        ("wait_states", ctypes.c_uint32),
        ("prefetch", ctypes.c_uint32),
        ("instruction_cache", ctypes.c_uint32),
        ("data_cache", ctypes.c_uint32),
        ("prefetch_fills_cache", ctypes.c_uint32),
        ("line_shift", ctypes.c_uint32),
        ("first_line", ctypes.c_uint32),
        ("flash_lines", ctypes.c_uint32),
        ("cache_lines", ctypes.c_uint32),
        ("current", ctypes.c_void_p),
        ("expected", ctypes.c_uint32),
        ("state", ctypes.c_uint32),
        ("fresh", ctypes.c_uint32),
        ("forget", ctypes.c_uint32),
        ("may_differ", ctypes.c_uint32),
        ("floats_trap", ctypes.c_uint32),
        ("suspect", ctypes.c_uint32),
        ("stalls", ctypes.c_uint32),
        ("stall", Stall * _BLOCK_STALLS),
        ("access_pc", ctypes.c_uint32),
        ("flush_wanted", ctypes.c_uint32),
        ("fetch_stalls", ctypes.c_uint64),
        ("data_stalls", ctypes.c_uint64),
        ("data_reads", ctypes.c_uint64),
        ("data_misses", ctypes.c_uint64),
        ("line", ctypes.c_uint32),
        ("prefetched", ctypes.c_uint32),
        ("prefetch_ready", ctypes.c_uint64),
        ("flash_free", ctypes.c_uint64),
    ]
    prefetch_ready: int
    flash_free: int


class Built(IntEnum):
    """What filling a block's costs comes to."""

    BUILT = 0
    FAILED = 1
    AGAIN = 2


class Writes(IntFlag):
    """What a block may write that is looked at behind it."""

    NOTHING = 0
    MASKS = 1
    STACK_POINTER = 2


class Transfer(IntEnum):
    """How a block ends."""

    NEITHER = 0
    CALLS = 1
    RETURNS = 2


MOST_FLASH_BYTES = 2 << 20
"""How much flash the C side has room to follow."""
CACHE_BYTES = 1024
"""Of the flash's instruction cache."""
CONDITION_HOLDS = 1
"""Outcome of the IT that a block begins with."""

_HERE = Path(__file__).parent
_SOURCE = native.Source(
    _HERE / "core.c",
    _HERE.parent,
    mirrors=[
        RUN_CONTROL,
        native.Mirror(Edge, "edge_t"),
        native.Mirror(Node, "node_t"),
        native.Mirror(Context, "context_t"),
        native.Mirror(Point, "point_t"),
        native.Mirror(Placed, "placed_t"),
        native.Mirror(Place, "place_t"),
        native.Mirror(PlacesHead, "places_t", whole=False),
        native.Mirror(Checks, "checks_t", whole=False),
        native.Mirror(Stall, "stall_t"),
        native.Mirror(Head, "timing_t", whole=False),
    ],
    constants={
        "CONDITION_HOLDS": CONDITION_HOLDS,
        "VALUE_REGISTERS": VALUE_REGISTERS,
        "MOST_FLASH_BYTES": MOST_FLASH_BYTES,
        "CACHE_BYTES": CACHE_BYTES,
        "BUILT": Built.BUILT,
        "FAILED": Built.FAILED,
        "AGAIN": Built.AGAIN,
        "MASKS": Writes.MASKS,
        "STACK_POINTER": Writes.STACK_POINTER,
        "CALLS": Transfer.CALLS,
        "RETURNS": Transfer.RETURNS,
    },
)


@cache
def load_library() -> ctypes.CDLL:
    """Compile core.c, if need be, and declare its functions."""
    library = native.load(_SOURCE)
    pointer, u32 = ctypes.c_void_p, ctypes.c_uint32
    library.timing_size.restype = ctypes.c_size_t
    library.timing_node.restype = ctypes.POINTER(Node)
    library.timing_node.argtypes = [pointer, u32]
    library.timing_current.restype = u32
    library.timing_add_fetches.argtypes = [pointer, pointer, ctypes.c_char_p, u32]
    library.timing_add_fetches.restype = None
    library.timing_places.argtypes = [pointer]
    library.timing_places.restype = ctypes.POINTER(PlacesHead)
    places = ctypes.POINTER(PlacesHead)
    library.places_registers.argtypes = [places, pointer, pointer, pointer]
    library.places_add_term.argtypes = [places, u32, u32]
    library.places_add_term.restype = ctypes.c_bool
    library.places_add.argtypes = [places, ctypes.POINTER(Placed), ctypes.POINTER(Place)]
    library.places_add.restype = ctypes.c_bool
    library.timing_invalidate.restype = ctypes.c_bool
    library.timing_invalidate.argtypes = [pointer, u32, u32]
    library.timing_forget_translations.argtypes = [pointer, pointer]
    library.timing_context.argtypes = [pointer, u32, ctypes.POINTER(Context)]
    library.timing_context.restype = ctypes.c_bool
    library.timing_settle.argtypes = [pointer, u32]
    library.timing_checks.restype = ctypes.POINTER(Checks)
    library.checks_add_point.argtypes = [ctypes.POINTER(Checks)]
    library.checks_add_point.restype = ctypes.POINTER(Point)
    library.checks_add.argtypes = [
        ctypes.POINTER(Checks), u32, u32, ctypes.c_uint16, ctypes.c_uint16
    ]  # fmt: skip
    library.checks_add.restype = u32
    return library
