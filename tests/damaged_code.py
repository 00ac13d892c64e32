"""Code that nobody wrote, for the C that works out what blocks cost.

Firmware with bits flipped, noise, and loads and stores in any order; registers and memory are
random.
"""

import ctypes
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from random import Random
from typing import NamedTuple

from hil.config import board
from hil.targets.emulator.core import alignment
from hil.targets.emulator.core.decode import Instructions, decode
from hil.targets.emulator.timing import Rules
from hil.targets.emulator.timing.addresses import Lookout, memories_of
from hil.targets.emulator.timing.c_side import VALUE_REGISTERS
from hil.targets.emulator.timing.pipeline import FRESH, Pipeline, State

FLASH, FLASH_END, RAM, RAM_BYTES = 0x0800_0000, 0x0820_0000, 0x2000_0000, 0x3_0000
MOST_HALFWORDS = 2 * 1023  # of Unicorn's longest block
_LENGTHS = (1, 1, 2, 3, 5, 9, 20, 60, 1023, MOST_HALFWORDS)
COMMON = (
    # what a random halfword hardly ever is: loads, stores and moves of pointers, in IT blocks too
    *("0168", "4968", "0b60", "5b18", "10b5", "10bd", "0b78", "c9b2", "5200", "2a44", "08bf"),
    *("d0e90123", "c0e90123", "50f8041b", "40f8041b", "50f82110", "dff80410", "b0ec1f0a"),
    *("a0ec200b", "50e80010", "40e80012", "01fb02f0", "c0f20001", "02eb8300", "10ee101a"),
    *("b1e8fe01", "21e9fe01", "10f9011b", "dfe801f0", "80f30988", "0cbf", "00bf"),
)


class Block(NamedTuple):
    """Code, how it is entered, and by what it is costed."""

    code: bytes
    address: int
    registers: list[int]
    cached: bool
    line_bytes: int
    all_trap: bool


def blocks(random: Random, firmware: bytes) -> Iterator[Block]:
    """Yield blocks without end.

    Args:
        random: chooses.
        firmware: code, some of it with bits flipped.
    """
    while True:
        yield entered(random, _code(random, firmware))


def entered(random: Random, code: bytes) -> Block:
    """Return code as a block that is entered somehow."""
    return Block(
        code,
        random.choice((FLASH, FLASH + 2, FLASH + 0x1FE, FLASH_END - len(code), RAM + 0x100, 0)),
        [_register(random) for _ in range(VALUE_REGISTERS)],
        random.random() < 0.5,
        random.choice((8, 16, 32)),
        random.random() < 0.5,
    )


def _code(random: Random, firmware: bytes) -> bytes:
    length = 2 * random.choice(_LENGTHS)
    kind = random.randrange(4)
    if kind < 2:
        at = 2 * random.randrange(max(len(firmware) - length, 2) // 2)
        code = bytearray(firmware[at : at + length])
        for _ in range(kind * random.randrange(1, 9)):
            code[random.randrange(len(code))] ^= 1 << random.randrange(8)
    elif kind == 2:
        code = bytearray(random.randbytes(length))
    else:
        few = random.sample(COMMON, random.randrange(1, 6))
        code = bytearray()
        while len(code) < length:
            code += bytes.fromhex(random.choice(few))
    return bytes(code[:length])


def _register(random: Random) -> int:
    low = random.choice((0, 3)) ^ 3
    begin, bytes_ = random.choice(
        (
            (RAM, RAM_BYTES),
            (FLASH, FLASH_END - FLASH),
            (0x4000_0000, 1 << 17),
            (0, 1 << 32),
            (0, 64),
        )
    )
    return begin + random.randrange(bytes_) & ~low


class Desk:
    """Looks at blocks as the emulated board does, beside memories of its own.

    Args:
        random: fills the memory.
    """

    def __init__(self, random: Random) -> None:
        memories = memories_of(board.load("stm32f439"))
        self._memory = bytearray(random.randbytes(RAM_BYTES))
        for at in range(0, RAM_BYTES, 8):  # every second word is a pointer
            self._memory[at : at + 4] = (RAM + random.randrange(RAM_BYTES)).to_bytes(4, "little")
        self._lookout = Lookout(memories, lambda at: at ^ 0x2800_0000 if at % 64 else None)
        ram = next(one for one in memories if one.address <= RAM < one.end)
        host = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._lookout.host(lambda begin, _length: host if begin == ram.address else None)
        self._state = FRESH

    def look(self, block: Block) -> None:
        """Work out all there is to know of a block, and hold it to what is true of any.

        Raises:
            EmulatorError: it is longer than blocks are.
        """
        state, self._state = self._state, FRESH
        decoded = decode(block.code, block.address, state.conditions)
        if not decoded:
            return
        self._lookout.registers[:] = [*block.registers]
        case, _ = self._lookout.look(decoded)
        self._check_alignment(decoded, block)
        assert self._lookout.holds(case)
        reached = list(self._lookout.reached())
        assert all(index < len(decoded) for index, _ in reached)
        self._lookout.left()
        self._state = self._cost(decoded, block, state, case.accesses)

    def _check_alignment(self, decoded: Instructions, block: Block) -> None:
        plan = alignment.plan(decoded, self._lookout.literal, all_trap=block.all_trap)
        inside = range(block.address, block.address + len(block.code))
        assert all(
            check.before <= check.address and check.address in inside for check in plan.checks
        )
        assert len(plan.checks) + len(plan.untold) <= len(decoded)
        alignment.is_unaligned(decoded, block.registers[:16], all_trap=block.all_trap)

    def _cost(self, decoded: Instructions, block: Block, state: State, accesses: bytes) -> State:
        pipeline = _pipeline(block.line_bytes)
        timing = pipeline.cost(decoded, state, accesses, cached=block.cached)
        issues = timing.issues
        assert len(issues) == len(decoded)
        assert all(before <= after for before, after in pairwise(issues))
        for end in (timing.fall_through, timing.taken):
            assert sum(end.by_cause) & 0xFFFF_FFFF == end.cost
            assert issues[-1] <= end.cost < 1 << 20
        assert 0 < timing.lines <= 1 + len(block.code) // block.line_bytes + 1
        return timing.fall_through.state


@cache
def _pipeline(line_bytes: int) -> Pipeline:
    return Pipeline(Rules(), line_bytes)
