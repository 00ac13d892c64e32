"""Loads and stores that trap when their address is unaligned, and how that is seen beforehand.

Unicorn executes them at any address. So a block is looked through when it is first met (alignment.h
says how), and checked whenever it is entered again.
"""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hil.targets.emulator.core.decode import Instructions
from hil.targets.emulator.core.instructions import LITERAL, AlignmentPlan, load_library


class Check(NamedTuple):
    """An access that traps when its own address has a bit of a mask set.

    Attributes:
        before: the instruction before which it is checked.
        address: of the instruction that accesses.
        weights: how often each register is in the address's two lowest bits, two bits for each, r0
            lowest.
        offset: in the address, modulo 4.
        mask: of the address.
    """

    before: int
    address: int
    weights: int
    offset: int
    mask: int


class Plan(NamedTuple):
    """Where a block has to be checked.

    Attributes:
        checks: in the order of the instructions before which they are made, the block's first one
            first.
        untold: accesses whose address nothing tells before the instruction itself is reached.
    """

    checks: tuple[Check, ...] = ()
    untold: frozenset[int] = frozenset()


def literal_function(literal: Callable[[int], int | None]) -> Any:
    """Return a function for C that asks for constant data.

    Args:
        literal: the word at an address, None where it may change.
    """

    def ask(address: int, word: Any) -> bool:
        found = literal(address)
        if found is not None:
            word[0] = found
        return found is not None

    return LITERAL(ask)


def plan(block: Instructions, literal: Any, *, all_trap: bool = False) -> Plan:
    """Say what to check where, so that no access of a block is unaligned unseen.

    Args:
        block: its instructions.
        literal: as `literal_function` makes it.
        all_trap: CCR.UNALIGN_TRP.
    """
    found = AlignmentPlan()
    load_library().alignment_plan(block.at, len(block), all_trap, literal, ctypes.byref(found))
    if not found.count and not found.untold_count:
        return NOTHING
    checks = (
        Check(one.before, one.address, one.weights, one.offset, one.mask)
        for one in found.checks[: found.count]
    )
    return Plan(tuple(checks), frozenset(found.untold[: found.untold_count]))


def is_unaligned(block: Instructions, registers: Sequence[int], *, all_trap: bool) -> bool:
    """Whether an instruction about to execute would trap.

    Args:
        block: it comes first.
        registers: r0 to r15.
        all_trap: CCR.UNALIGN_TRP.
    """
    values = (ctypes.c_uint32 * len(registers))(*registers)
    traps: bool = load_library().alignment_traps(block.at, values, all_trap)
    return traps


NOTHING = Plan()
"""The plan of most blocks."""
