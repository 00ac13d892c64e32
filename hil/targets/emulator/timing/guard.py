"""What is looked at before a block runs: unaligned addresses that trap, and FPU instructions.

The checks are made by checks.h; this side works them out when a block is first met.
"""

import ctypes
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from hil.targets.emulator.core import alignment
from hil.targets.emulator.core.alignment import NOTHING, Check, Plan
from hil.targets.emulator.core.decode import Instructions
from hil.targets.emulator.timing.c_side import Node, Point

HookPoint = Callable[[int, Any], None]


class Guard:
    """Gives blocks their checks.

    Args:
        library, checks: the C side.
        hook: has a point's checks made before the instruction at an address, in code that is
            translated from then on.

    Attributes:
        all_trap: CCR.UNALIGN_TRP.
        suspects: instructions that no check tells enough about: runs have to end before them.
    """

    def __init__(self, library: Any, checks: Any, hook: HookPoint) -> None:
        self._library = library
        self._checks = checks
        self._hook = hook
        self._points: dict[int, Point] = {}
        self._checked: dict[int, tuple[Check, ...]] = {}
        self.all_trap = False
        self.suspects: set[int] = set()

    def forget(self) -> None:
        """Take note that the C side has forgotten every check."""
        self._checked.clear()

    def finds_foreign(self, block: Instructions) -> bool:
        """Note instructions of other cores; returns whether there are some that were not known.

        Args:
            block: its instructions.
        """
        if not block.has_foreign:
            return False
        found = {one.address for one in block if one.is_foreign} - self.suspects
        self.suspects |= found
        return bool(found)

    def asks_of(self, address: int, length: int) -> bool:
        """Whether a block is looked at otherwise than most are.

        Args:
            address: of the block.
            length: bytes.
        """
        return self.all_trap or any(0 <= one - address < length for one in self.suspects)

    def plan(self, block: Instructions, literal: Any) -> Plan:
        """Say what of a block is to be checked.

        Args:
            block: its instructions.
            literal: constant data, as `alignment.plan` takes it.
        """
        if self.suspects:
            for one in block:
                one.is_suspect = one.address in self.suspects
        return alignment.plan(block, literal, all_trap=self.all_trap)

    def cover(self, node: Node, plan: Plan) -> bool:
        """Give a node its checks.

        Args:
            node: of a block.
            plan: of the block.

        Returns:
            whether it may run: otherwise its code has to be translated anew first.
        """
        if plan == NOTHING:
            return True
        hooked_before = len(self._points)
        checks = {at: tuple(some) for at, some in groupby(plan.checks, lambda one: one.before)}
        for at, some in checks.items():
            if at != node.address and not self._has_point(at):
                self.suspects.update(check.address for check in some)
        self.suspects |= plan.untold
        if plan.untold or len(self._points) > hooked_before:
            return False
        for at, some in checks.items():
            if at == node.address:
                node.first_check, node.checks = self._add(some)
            elif at in self._points:
                self._extend(at, some)
        return True

    def _has_point(self, address: int) -> bool:
        if address not in self._points:
            point = self._library.checks_add_point(self._checks)
            if not point:
                return False
            self._points[address] = point.contents
            self._hook(address, ctypes.cast(point, ctypes.c_void_p))
        return True

    def _extend(self, address: int, checks: tuple[Check, ...]) -> None:
        """Let a point check what any block that passes it needs."""
        known = self._checked.get(address, ())
        wanted = known + tuple(check for check in checks if check not in known)
        if wanted != known:
            self._checked[address] = wanted
            point = self._points[address]
            point.first_check, point.checks = self._add(wanted)

    def _add(self, checks: Sequence[Check]) -> tuple[int, int]:
        numbers = [
            self._library.checks_add(self._checks, c.address, c.weights, c.offset, c.mask)
            for c in checks
        ]
        return numbers[0], len(numbers)
