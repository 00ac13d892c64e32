"""What a block costs: worked out when it is first met, or taken from what is known of earlier."""

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

from hil.targets.emulator.core.decode import Decoder, Instruction, Kind
from hil.targets.emulator.timing.addresses import Case
from hil.targets.emulator.timing.blocks import may_write, transfer_of
from hil.targets.emulator.timing.guard import Guard
from hil.targets.emulator.timing.known import Found, KnownBlocks, Met
from hil.targets.emulator.timing.pipeline import (
    NO_ACCESS,
    BlockTiming,
    State,
    cost_block,
    depends_on_outcome,
)
from hil.targets.emulator.timing.places import Constants, Places
from hil.targets.emulator.timing.rules import Rules

PAGE_BYTES = 1024
_ALWAYS = 14  # the condition that always holds
_NO_CODE_FROM = 0x4000_0000
_LONGEST_IT = 18  # bytes of an IT and what it covers


class Costing:
    """Works out what blocks cost.

    Args:
        rules: by which.
        line_bytes: of a line of the flash.
        guard: finds what is to be checked before a block runs.
        places: find what it reaches.
        constant: the word of constant data at an address, None where it may change.

    Attributes:
        hooked: ITs on whose outcome cycles depend.
        cuts: where an address can be told that could not before.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        line_bytes: int,
        guard: Guard,
        places: Places,
        constant: Callable[[int], int | None],
    ) -> None:
        self._rules = rules
        self._line_bytes = line_bytes
        self._guard = guard
        self._places = places
        self._constant = constant
        self._decoder = Decoder()
        self._code: dict[tuple[int, int], tuple[Instruction, ...]] = {}
        self._known: KnownBlocks | None = None
        self._deciding: dict[str, tuple[int, ...]] = {}
        self.hooked: set[int] = set()
        self.cuts: set[int] = set()

    def know(self, known: KnownBlocks) -> None:
        """Take over what earlier runs have worked out, where the usual rules are meant.

        Args:
            known: gains what this run works out.
        """
        if self._rules == Rules():
            self._known, self._deciding = known, known.pages

    def study(self, rules: Rules) -> None:
        """Cost by another reading of the manual from now on."""
        self._rules, self._known = rules, None

    def forget(self) -> None:
        """Take note that code has changed."""
        self._code.clear()
        self._places.forget()

    def met(self, address: int, code: bytes, state: State, *, cached: bool) -> Met:
        """Return how a block is met.

        Args:
            address: of the block.
            code: its bytes.
            state: of the pipeline on entry.
            cached: whether the flash's instruction cache is on.
        """
        behind_first = range(address + 2, address + len(code), 2)
        return Met(
            address,
            code,
            state,
            cached,
            tuple(at for at in behind_first if at in self.hooked),
            tuple(at for at in behind_first if at in self.cuts),
            self._places.memories,
        )

    def find(self, met: Met) -> Found | None:
        """Return what a block costs that is about to run, None where it may not as it is.

        Args:
            met: how it is met.
        """
        registers = self._places.registers()
        usual = not self._guard.asks_of(met.address, len(met.code))
        known = self._known if usual else None
        if known is not None:
            found = known.find(met, self._constant, registers, self._places.load)
            if found is not None:
                return found
        instructions = self.decode(met)
        code = met.code if met.address < _NO_CODE_FROM else b""
        if self._guard.finds_foreign(instructions, code):
            return None
        found, constants = self._work_out(met, instructions, registers)
        if known is not None and not found.alignment.untold:
            known.add(met, constants, found)
        return found

    def _work_out(
        self, met: Met, instructions: tuple[Instruction, ...], registers: Sequence[int]
    ) -> tuple[Found, dict[int, int | None]]:
        """Cost a block for registers; return that, and the constants that it depends on."""
        end = condition = 0
        cut = self._first_hooked(instructions)
        if cut:
            end = instructions[cut].address
            condition = (*instructions[cut].it_conditions, _ALWAYS)[0]
            instructions = instructions[:cut]
        case, constants = self._places.case(instructions, registers)
        asked = Constants(self._constant)
        alignment = self._guard.plan(instructions, asked)
        hook = _where_to_hook(instructions, case.untold)
        found = Found(
            count=len(instructions),
            end=end,
            condition=condition,
            alignment=alignment,
            first_float=next((i.address for i in instructions if i.text.startswith("v")), 0),
            transfer=transfer_of(instructions[-1]),
            may_write=may_write(instructions),
            case=case,
            hook=hook,
            timing=None if hook else self.cost(instructions, met.state, case, cached=met.cached),
        )
        return found, constants | asked.asked

    def cost(
        self, instructions: Sequence[Instruction], state: State, case: Case, *, cached: bool
    ) -> BlockTiming:
        """Return what instructions cost.

        Args:
            instructions: of a block, or the first of them.
            state: of the pipeline before them.
            case: what they reach.
            cached: whether the flash's instruction cache is on.
        """
        return cost_block(
            instructions,
            state,
            self._rules,
            lambda i: case.accesses.get(i.address, NO_ACCESS),
            cached=cached,
            line_bytes=self._line_bytes,
        )

    def decode(self, met: Met) -> tuple[Instruction, ...]:
        """Return a block's instructions."""
        here = met.address, len(met.code)
        known = self._code.get(here)
        if known is None:
            known = self._decoder.decode(met.code, met.address, met.state.conditions)
            self._code[here] = known
        return known

    def deciding(self, page: bytes) -> tuple[int, ...]:
        """Return where in a page of code the ITs are on whose outcome costs depend.

        Args:
            page: its bytes; where it begins makes no difference.
        """
        digest = blake2b(page, digest_size=16).hexdigest()
        offsets = self._deciding.get(digest)
        if offsets is None:
            offsets = self._deciding[digest] = tuple(self._decide(page))
        return offsets

    def _decide(self, page: bytes) -> Iterator[int]:
        for offset in range(0, len(page), 2):
            if page[offset + 1] != 0xBF or not page[offset] & 0xF:
                continue
            covered = self._decoder.decode(page[offset : offset + _LONGEST_IT], offset)
            if any(depends_on_outcome(i) for i in covered[1 : 1 + len(covered[0].it_conditions)]):
                yield offset

    def _first_hooked(self, instructions: Sequence[Instruction]) -> int:
        """Return the index of the first instruction behind the first one that is hooked, or 0."""
        # Code in RAM changes: another instruction may stand where one was hooked.
        hooked = (
            i
            for i, instruction in enumerate(instructions)
            if (instruction.it_conditions and instruction.address in self.hooked)
            or (not instruction.predicated and instruction.address in self.cuts)
        )
        return next((i for i in hooked if i), 0)


def _where_to_hook(
    instructions: Sequence[Instruction], untold: frozenset[int]
) -> tuple[int, bool] | None:
    """Return where an address can be told that cannot be told before the block.

    Args:
        instructions: of the block.
        untold: those of which no address is told.

    Returns:
        The instruction that the block is to be cut at, and whether it is an IT; None where there is
        none.
    """
    covering = None
    for index, instruction in enumerate(instructions):
        if instruction.kind is Kind.IT:
            covering = instruction
        if instruction.address not in untold:
            continue
        # A block cannot be cut inside an IT block, so it is cut before that.
        at = covering if instruction.predicated else instruction
        if index and at is not None and at is not instructions[0]:
            return at.address, bool(at.it_conditions)
    return None
