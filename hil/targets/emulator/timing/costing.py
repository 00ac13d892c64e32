"""What a block costs: worked out when it is first met, or taken from what is known of earlier."""

from collections.abc import Callable, Iterator
from hashlib import blake2b

from hil.targets.emulator.core.decode import Instructions, decode
from hil.targets.emulator.core.instructions import ALWAYS
from hil.targets.emulator.timing.addresses import Case
from hil.targets.emulator.timing.guard import Guard
from hil.targets.emulator.timing.known import Found, KnownBlocks, Met
from hil.targets.emulator.timing.pipeline import (
    BlockTiming,
    Pipeline,
    State,
    depends_on_outcome,
)
from hil.targets.emulator.timing.places import Places
from hil.targets.emulator.timing.rules import Rules

PAGE_BYTES = 1024
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
        self._pipeline = Pipeline(rules, line_bytes)
        self._line_bytes = line_bytes
        self._guard = guard
        self._places = places
        self._constant = constant
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
        self._pipeline = Pipeline(rules, self._line_bytes)

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
            tuple(sorted(self.hooked.intersection(behind_first))),
            tuple(sorted(self.cuts.intersection(behind_first))),
            self._places.memories,
        )

    def find(self, met: Met) -> Found | None:
        """Return what a block costs that is about to run, None where it may not as it is.

        Args:
            met: how it is met.
        """
        self._places.take_registers()
        usual = not self._guard.asks_of(met.address, len(met.code))
        known = self._known if usual else None
        if known is not None:
            found = known.find(met, self._constant, self._places.holds)
            if found is not None:
                return found
        block = self.decode(met)
        if met.address < _NO_CODE_FROM and self._guard.finds_foreign(block):
            return None
        self._places.asked.clear()
        found = self._work_out(met, block)
        if known is not None and not found.alignment.untold:
            known.add(met, self._places.asked, found)
        return found

    def _work_out(self, met: Met, block: Instructions) -> Found:
        """Cost a block for the registers as they are."""
        end = condition = 0
        cut = self._first_hooked(met, block)
        if cut:
            at = block[cut]
            end = at.address
            condition = at.it_conditions[0] if at.it_count else ALWAYS
            block = block.first(cut)
        case, facts = self._places.case(block)
        cached = met.cached
        return Found(
            instructions=len(block),
            end=end,
            condition=condition,
            alignment=self._guard.plan(block, self._places.literal),
            first_float=facts.first_float,
            transfer=facts.transfer,
            may_write=facts.may_write,
            case=case,
            timing=None if case.hook else self.cost(block, met.state, case, cached=cached),
        )

    def cost(self, block: Instructions, state: State, case: Case, *, cached: bool) -> BlockTiming:
        """Return what instructions cost.

        Args:
            block: some, or the first of them.
            state: of the pipeline before them.
            case: what they reach.
            cached: whether the flash's instruction cache is on.
        """
        return self._pipeline.cost(block, state, case.accesses, cached=cached)

    def decode(self, met: Met) -> Instructions:
        """Return a block's instructions."""
        return decode(met.code, met.address, met.state.conditions)

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
            covered = decode(page[offset : offset + _LONGEST_IT], offset)
            if any(depends_on_outcome(i) for i in covered[1 : 1 + covered[0].it_count]):
                yield offset

    def _first_hooked(self, met: Met, block: Instructions) -> int:
        """Return the index of the first instruction behind the first one that is hooked, or 0."""
        if not met.hooked and not met.cuts:
            return 0
        # Code in RAM changes: another instruction may stand where one was hooked.
        hooked = (
            i
            for i, one in enumerate(block)
            if (one.it_count and one.address in met.hooked)
            or (not one.predicated and one.address in met.cuts)
        )
        return next((i for i in hooked if i), 0)
