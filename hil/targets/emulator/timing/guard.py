"""What is looked at before a block runs: unaligned addresses that trap, and FPU instructions.

The checks are made by checks.h; this side works them out when a block is first met.
"""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from hil.targets.emulator.core import alignment
from hil.targets.emulator.core.alignment import Check
from hil.targets.emulator.core.decode import Instruction
from hil.targets.emulator.core.foreign import is_foreign
from hil.targets.emulator.timing.c_side import Node, Point

HookPoint = Callable[[int, Any], None]
Literal = Callable[[int], int | None]


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

    def finds_foreign(self, instructions: Sequence[Instruction], code: bytes) -> bool:
        """Note instructions of other cores; returns whether there are some that were not known.

        Args:
            instructions: of a block.
            code: of the block; nothing where it is not to be looked at.
        """
        found = set()
        for one in instructions:
            at = one.address - instructions[0].address
            word = int.from_bytes(code[at : at + 4], "little")
            if one.address not in self.suspects and is_foreign(word & 0xFFFF, word >> 16):
                found.add(one.address)
        self.suspects |= found
        return bool(found)

    def asks_of(self, address: int, length: int) -> bool:
        """Whether a block is looked at otherwise than most are.

        Args:
            address: of the block.
            length: bytes.
        """
        return self.all_trap or any(0 <= one - address < length for one in self.suspects)

    def plan(self, instructions: Sequence[Instruction], literal: Literal) -> alignment.Plan:
        """Say what of a block is to be checked.

        Args:
            instructions: of the block.
            literal: the word of constant data at an address, None where it may change.
        """
        return alignment.plan(instructions, self._forbidden, literal)

    def cover(self, node: Node, plan: alignment.Plan) -> bool:
        """Give a node its checks.

        Args:
            node: of a block.
            plan: of the block.

        Returns:
            whether it may run: otherwise its code has to be translated anew first.
        """
        hooked_before = len(self._points)
        first = node.address
        for address in plan.checks:
            if address != first and not self._has_point(address):
                self.suspects.update(check.address for check in plan.checks[address])
        self.suspects |= plan.untold
        if plan.untold or len(self._points) > hooked_before:
            return False
        for address, checks in plan.checks.items():
            if address == first:
                node.first_check, node.checks = self._add(checks)
            elif address in self._points:
                self._extend(address, checks)
        return True

    def _forbidden(self, instruction: Instruction) -> int:
        if instruction.address in self.suspects:
            return 0  # looked at on its own
        return alignment.forbidden_bits(instruction, all_trap=self.all_trap)

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
            self._library.checks_add(
                self._checks, c.address, c.packed_weights, c.low.offset, c.mask
            )
            for c in checks
        ]
        return numbers[0], len(numbers)
