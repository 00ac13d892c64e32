"""The timing core: cycles of the code that Unicorn runs.

The hot path is core.c, called by Unicorn itself; this side decodes and costs what it meets for the
first time.
"""

import ctypes
import mmap
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from hil.config.board import Board
from hil.errors import UsageError
from hil.targets.emulator.core.clock import NEVER, RunControl, address_of, core_register_ids
from hil.targets.emulator.core.instructions import Instruction
from hil.targets.emulator.timing.blocks import Costed
from hil.targets.emulator.timing.c_side import (
    CACHE_BYTES,
    MOST_FLASH_BYTES,
    Build,
    Built,
    Context,
    Harvest,
    Head,
    Node,
    Prepare,
    load_library,
)
from hil.targets.emulator.timing.costing import PAGE_BYTES, Costing
from hil.targets.emulator.timing.desk import Cause
from hil.targets.emulator.timing.guard import Guard
from hil.targets.emulator.timing.known import Found, KnownBlocks, Met
from hil.targets.emulator.timing.loops import Loops
from hil.targets.emulator.timing.pipeline import FRESH, State
from hil.targets.emulator.timing.places import Places
from hil.targets.emulator.timing.profile import BlockProfile, Stalls
from hil.targets.emulator.timing.rules import TIMING_VERSION, Rules

_ALIAS_OFFSET = 0x1_0000_0000  # above the core's addresses
_NONE = 0xFFFF_FFFF
_FLOATS = 32  # single registers of the float unit


class TimingCore:
    """Counts cycles as a Cortex-M4 with the flash caches of an STM32F4 or STM32L4 would.

    Args:
        uc: a unicorn.Uc with its memory map, or to be given one; its address translation is taken
            over.
        board: whose memories.
        mapped: (address, bytes) of what stands for memory, now or later; what else the core loads
            is not looked at beforehand.
        flash_data_path: whether loads from flash go through the data cache and its wait states.
        rules: another reading of the manual, to study it.

    Attributes:
        run: what the core and its hook share: cycles, instructions, deadline, stop.
    """

    timing = "modelled"
    TIMING_VERSION: ClassVar[str] = TIMING_VERSION

    def __init__(
        self,
        uc: Any,
        board: Board,
        *,
        mapped: Sequence[tuple[int, Any]] = (),
        flash_data_path: bool = True,
        rules: Rules | None = None,
    ) -> None:
        self._uc = uc
        self._rules = rules or Rules()
        self._library = load_library()
        size = self._library.timing_size()
        # Zeros that take no memory before they are written, of which a small program leaves most.
        self._buffer = (ctypes.c_char * size).from_buffer(mmap.mmap(-1, size))
        self._t = Head.from_buffer(self._buffer)
        self.invalidates: tuple[int | None, int | None] = (
            address_of(self._library.timing_invalidate),
            ctypes.addressof(self._buffer),
        )
        self.run: RunControl = self._t.run
        self._flash = board.flash
        self._line_bytes = board.flash_read_bits // 8
        if self._flash.bytes > MOST_FLASH_BYTES:
            raise UsageError(
                f"{board.name} has {self._flash.bytes:,} B of flash; the timing model takes "
                f"{MOST_FLASH_BYTES:,} B",
                hint="measure it on a target of another kind",
            )
        self._states: list[State] = []
        self._state_ids: dict[State, int] = {}
        self._timings: dict[int, Costed] = {}
        self._spent_before = [0] * len(Cause)  # in blocks that are forgotten
        self._failure: Exception | None = None
        self._prepared: dict[int, bytes] = {}
        self._build_callback = Build(self._build)
        self._prepare_callback = Prepare(self._prepare)
        self._harvest_callback = Harvest(self._harvest)
        self._connect(board, mapped, flash_data_path=flash_data_path)
        self.loops = Loops(self._library, self._buffer, self._t, self._instructions_of)
        self.set_acr(0)
        self.reset()

    def _connect(
        self, board: Board, mapped: Sequence[tuple[int, Any]], *, flash_data_path: bool
    ) -> None:
        import unicorn
        from unicorn import arm_const, unicorn_const
        from unicorn.unicorn_py3.unicorn import uclib

        library: Any = unicorn
        self._error: type[Exception] = library.UcError
        t = self._t
        self.run.attach()
        t.build = address_of(self._build_callback)
        t.prepare = address_of(self._prepare_callback)
        t.harvest = address_of(self._harvest_callback)
        t.read_memory = address_of(uclib.uc_mem_read)
        t.read_register = address_of(uclib.uc_reg_read)
        t.write_register = address_of(uclib.uc_reg_write)
        t.control = address_of(uclib.uc_ctl)
        t.flush_translations = unicorn_const.UC_CTL_IO_WRITE << 30 | unicorn_const.UC_CTL_TLB_FLUSH
        t.pc_id = arm_const.UC_ARM_REG_PC
        t.flags_id = arm_const.UC_ARM_REG_CPSR
        t.execution_state_id = arm_const.UC_ARM_REG_EPSR
        t.flash_base, t.flash_bytes = self._flash.address, self._flash.bytes
        t.flash_alias = _ALIAS_OFFSET + self._flash.address
        t.line_shift = self._line_bytes.bit_length() - 1
        t.first_line = self._flash.address // self._line_bytes
        t.flash_lines = MOST_FLASH_BYTES // self._line_bytes
        t.cache_lines = CACHE_BYTES // self._line_bytes
        t.boot_alias = 0
        t.sees_data = flash_data_path
        t.prefetch_fills_cache = self._rules.prefetch_fills_cache
        t.stack_pointer_id = arm_const.UC_ARM_REG_SP
        t.fresh = self._intern(FRESH)
        registers = core_register_ids()
        places = self._library.timing_places(self._buffer)
        floats = [arm_const.UC_ARM_REG_S0 + number for number in range(_FLOATS)]
        places.contents.register_ids[:] = registers + floats
        checks = self._library.timing_checks(self._buffer)
        checks.contents.register_ids[:] = registers
        self._places = Places(
            self._library,
            places,
            board,
            mapped=mapped,
            read=ctypes.c_void_p(t.read_register),
            engine=self._uc._uch,  # noqa: SLF001 - the binding reads one register at a time
            literal=self._constant,
        )
        self._guard = Guard(self._library, checks, self._hook_point)
        self._costing = Costing(
            self._rules,
            line_bytes=self._line_bytes,
            guard=self._guard,
            places=self._places,
            constant=self._constant,
        )
        self._uc.ctl_set_tlb_mode(unicorn_const.UC_TLB_VIRTUAL)
        self._check(
            uclib.uc_mmio_map(
                self._uc._uch,  # noqa: SLF001 - the binding cannot map C functions
                ctypes.c_uint64(t.flash_alias),
                ctypes.c_uint64(self._flash.bytes),
                _function(self._library.timing_read_flash),
                ctypes.cast(self._buffer, ctypes.c_void_p),
                None,
                None,
            )
        )
        self._hook(unicorn_const.UC_HOOK_TLB_FILL, self._library.timing_translate)
        self._hook(unicorn_const.UC_HOOK_BLOCK, self._library.timing_on_block)

    def _hook(
        self, kind: int, function: Any, first: int = 1, last: int = 0, context: Any = None
    ) -> None:
        from unicorn.unicorn_py3.unicorn import uclib

        self._check(
            uclib.uc_hook_add(
                self._uc._uch,  # noqa: SLF001 - the binding cannot hook C functions
                ctypes.byref(ctypes.c_size_t()),
                kind,
                _function(function),
                context or ctypes.cast(self._buffer, ctypes.c_void_p),
                ctypes.c_uint64(first),
                ctypes.c_uint64(last),
            )
        )

    def _check(self, error: int) -> None:
        if error:
            raise self._error(error)

    # counts

    @property
    def cycles(self) -> int:
        """Cycles as of now, to the instruction where Unicorn tells which one runs."""
        return self.now()

    @property
    def instructions(self) -> int:
        """Instructions executed, up to the block that runs now."""
        return self.run.instructions

    def now(self) -> int:
        """Return the cycle count, exact to the instruction when a device access asks for it."""
        self._raise_failure()
        current = self._library.timing_current(self._buffer)
        if current == _NONE:
            return self.run.cycles
        t = self._t
        at = self._timings[current].issue_at.get(t.access_pc, 0)
        stalls = t.stalls
        later = sum(s.cycles for s in t.stall[:stalls] if s.needed > at) if stalls else 0
        # Another device access of this block must say anew which instruction it is.
        self._library.timing_forget_translations(self._buffer, self._uc._uch)  # noqa: SLF001
        cycles: int = self.run.cycles + at - later
        return cycles

    def stalls(self) -> Stalls:
        """Return the cycles by cause, up to the block that runs now."""
        by_cause = self._spent()
        t = self._t
        return Stalls(
            issue=by_cause[Cause.ISSUE],
            load_store=by_cause[Cause.LOAD_STORE],
            branch=by_cause[Cause.BRANCH],
            division=by_cause[Cause.DIVISION],
            float=by_cause[Cause.FLOAT],
            other=by_cause[Cause.OTHER],
            flash_instruction=t.fetch_stalls,
            flash_data=t.data_stalls,
            flash_data_reads=t.data_reads,
            flash_data_misses=t.data_misses,
        )

    def _spent(self) -> list[int]:
        spent = list(self._spent_before)
        for index, costed in self._timings.items():
            node, timing = self._node(index), costed.timing
            for edge, end in (
                (node.fall_through, timing.fall_through),
                (node.taken, timing.taken),
            ):
                if count := edge.count:
                    for cause, cycles in enumerate(end.by_cause):
                        spent[cause] += count * cycles
        return spent

    def profile(self) -> Iterator[BlockProfile]:
        """Yield every block that ran since code last changed.

        A block comes once for each state of the pipeline it was entered in.
        """
        for index, costed in self._timings.items():
            node, timing = self._node(index), costed.timing
            fall, taken = node.fall_through.count, node.taken.count
            if not fall + taken:
                continue
            yield BlockProfile(
                instructions=costed.instructions,
                issues=timing.issues,
                runs=fall + taken,
                cost=fall * timing.fall_through.cost + taken * timing.taken.cost,
                by_cause=tuple(
                    fall * a + taken * b
                    for a, b in zip(
                        timing.fall_through.by_cause, timing.taken.by_cause, strict=True
                    )
                ),
                flash_instruction=node.fetch_stall,
                flash_data=node.data_stall,
            )

    def call_stacks(self) -> dict[tuple[int, ...], int]:
        """Return the cycles spent in each chain of calls, without those of functions called there.

        A chain is the entry addresses from the outermost function on; code that was not called,
        such as the reset handler, stands at the empty one. Exception handlers count as called.
        """
        found: dict[tuple[int, ...], int] = {}
        chains: list[tuple[int, ...]] = []
        context = Context()
        while self._library.timing_context(self._buffer, len(chains), ctypes.byref(context)):
            chain = (*chains[context.parent], context.function) if chains else ()
            chains.append(chain)
            found[chain] = found.get(chain, 0) + context.cycles
        return found

    # what the chip tells

    def set_acr(self, value: int) -> None:
        """Take over FLASH_ACR: wait states, prefetch, caches and their resets.

        Source: RM0090 section 3.9.1.
        """
        t = self._t
        t.wait_states = value & 0xF
        t.prefetch = value >> 8 & 1
        t.instruction_cache = value >> 9 & 1
        t.data_cache = value >> 10 & 1
        if value >> 11 & 1 and not t.instruction_cache:
            self._library.timing_clear_instruction_cache(self._buffer)
        if value >> 12 & 1 and not t.data_cache:
            self._library.timing_clear_data_cache(self._buffer)

    @property
    def suspects(self) -> set[int]:
        """Instructions that may trap and are to be looked at one by one: runs have to end there."""
        return self._guard.suspects

    def take_suspect(self) -> int | None:
        """Return the instruction for which the run was left because it may trap, if it was."""
        suspect, self._t.suspect = self._t.suspect, 0
        return suspect or None

    def suspect(self, address: int) -> None:
        """Have runs end before an instruction, and blocks not be checked for it any more."""
        self._guard.suspects.add(address)
        self._t.forget = 1

    def trap_unaligned(self, *, all_words: bool) -> None:
        """Check single loads and stores too, or only those that are always to be aligned."""
        if self._guard.all_trap != all_words:
            self._guard.all_trap = all_words
            self._t.forget = 1

    def trap_floats(self, *, on: bool) -> None:
        """Have runs end before a block with an FPU instruction, or not."""
        self._t.floats_trap = on

    def know(self, known: KnownBlocks) -> None:
        """Take over what earlier runs have worked out of blocks.

        Args:
            known: gains what this run works out.
        """
        self._costing.know(known)

    def study(self, rules: Rules) -> None:
        """Count by another reading of the manual from the next block on."""
        self._costing.study(rules)
        self._t.prefetch_fills_cache = rules.prefetch_fills_cache
        self._t.forget = 1

    def watch_flash_data(self, *, on: bool) -> None:
        """Have loads from flash go through the data cache and its wait states, or cost nothing."""
        self._t.sees_data = on
        self._t.flush_wanted = 1  # what was translated so far is translated anew

    def add_cycles(self, count: int) -> None:
        """Charge cycles that no instruction stands for: exception entry, sleep."""
        self.run.cycles += count

    def set_deadline(self, cycles: int | None) -> None:
        """Have runs end before the first block that begins at this count or later."""
        self.run.deadline = NEVER if cycles is None else cycles

    def request_stop(self) -> None:
        """Have the run end at its next block; any thread may call."""
        self.run.stop = 1

    def resync(self, address: int) -> None:
        """Charge the last block up to where a run ended.

        Call it whenever a run may have ended inside a block, by a fault, a trap or an exit.

        Args:
            address: the pc then: of the first instruction that has not been executed.
        """
        self._raise_failure()
        current = self._library.timing_current(self._buffer)
        if current == _NONE:
            return
        costed = self._timings[current]
        instructions = costed.instructions
        if not instructions[0].address <= address < instructions[-1].end:
            self._library.timing_settle(self._buffer, address)
            return
        done = _index_at(instructions, address)
        state = self._entry_state(self._node(current))
        if done:
            cached = bool(self._t.instruction_cache)
            begun = instructions.first(done)
            part = self._costing.cost(begun, state, costed.case, cached=cached).fall_through
            self.run.cycles += part.cost
            self.run.instructions += done
            state = part.state
        self._t.current = None
        self._t.expected, self._t.state = address, self._intern(state)

    def invalidate(self, address: int, length: int) -> None:
        """Forget what is known of code and data that changed.

        Args:
            address: of the first byte.
            length: bytes.
        """
        if self._library.timing_invalidate(self._buffer, address, length):
            self._guard.suspects -= {a for a in self.suspects if 0 <= a - address < length}

    def reset(self) -> None:
        """Empty caches and pipeline, as a reset of the chip does; the counts go on."""
        self.set_acr(0)
        self._library.timing_clear_instruction_cache(self._buffer)
        self._library.timing_clear_data_cache(self._buffer)
        self._library.timing_clear_line_buffers(self._buffer)
        self._library.timing_forget_calls(self._buffer)
        self._t.current = None
        self._t.expected = _NONE
        self._t.state = self._t.fresh

    # the cold path

    def _build(self, index: int, address: int, size: int) -> int:
        """Cost a block for the C side; it cannot carry exceptions, so they wait for `resync`."""
        try:
            built = self._fill(index, address, size, self._entry_state(self._node(index)))
        except Exception as error:
            self._failure = error
            return Built.FAILED
        return Built.BUILT if built else Built.AGAIN

    def _fill(self, index: int, address: int, size: int, state: State) -> bool:
        code = bytes(self._uc.mem_read(address, size))
        met = self._costing.met(address, code, state, cached=bool(self._t.instruction_cache))
        found = self._costing.find(met)
        if found is None:
            self._uc.ctl_remove_cache(address, address + size)
            return False
        return self._take(self._node(index), index, met, found)

    def _take(self, node: Node, index: int, met: Met, found: Found) -> bool:
        """Tell the C side what a block costs; returns whether it may run as it was translated."""
        if found.end:
            node.end, node.condition = found.end, found.condition
        covered = self._guard.cover(node, found.alignment)
        if covered and found.case.hook is not None:
            at, decides = found.case.hook
            self._hook_cut(at, self._costing.hooked if decides else self._costing.cuts)
        timing = found.timing
        if not covered or timing is None:
            self._uc.ctl_remove_cache(met.address, met.address + len(met.code))
            return False
        count = found.instructions
        decode = self._costing.decode
        self._timings[index] = Costed(lambda: decode(met).first(count), found.case, timing)
        self._places.add(node, found.case)
        node.instructions, node.first_float = count, found.first_float
        node.transfer, node.may_write = found.transfer, found.may_write
        for edge, end in (
            (node.fall_through, timing.fall_through),
            (node.taken, timing.taken),
        ):
            edge.cost, edge.state = end.cost, self._intern(end.state)
        self._library.timing_add_fetches(
            self._buffer, ctypes.byref(node), timing.line_fetches, timing.lines
        )
        return True

    def _entry_state(self, node: Node) -> State:
        state = self._states[node.state]
        return state.where(node.outcome) if node.outcome else state

    def _prepare(self, page: int) -> None:
        """Hook the ITs of a page of code on whose outcome the cost of what they cover depends."""
        try:
            code = bytes(self._uc.mem_read(page, PAGE_BYTES))
        except self._error:
            return
        if self._prepared.get(page) == code:
            return
        if page not in self._prepared and not self._is_flash(page):
            self._see_every_store(page)
        self._prepared[page] = code
        for offset in self._costing.deciding(code):
            if page + offset not in self._costing.hooked:
                self._hook_cut(page + offset, self._costing.hooked)

    def _see_every_store(self, page: int) -> None:
        """Have Unicorn notice whenever code of a page is overwritten.

        After one store to a page of data Unicorn (2.1.4) takes a quick way, which looks for no
        code. It never does where a hook might want to know of accesses. So there is such a hook.
        """
        from unicorn import unicorn_const

        def on_unmapped(*_: object) -> bool:
            return False

        kind = unicorn_const.UC_HOOK_MEM_READ_UNMAPPED
        self._uc.hook_add(kind, on_unmapped, None, page, page + PAGE_BYTES - 1)

    def _hook_cut(self, address: int, among: set[int]) -> None:
        from unicorn import unicorn_const

        if address not in self._costing.hooked | self._costing.cuts:
            self._hook(unicorn_const.UC_HOOK_CODE, self._library.timing_on_cut, address, address)
        among.add(address)

    def _hook_point(self, address: int, point: Any) -> None:
        from unicorn import unicorn_const

        function = self._library.timing_on_point
        self._hook(unicorn_const.UC_HOOK_CODE, function, address, address, point)

    def _instructions_of(self, node: int) -> Sequence[Instruction]:
        costed = self._timings.get(node)
        return costed.instructions if costed else ()

    def _constant(self, address: int) -> int | None:
        """Return a word of flash."""
        if not self._is_flash(address):
            return None
        try:
            return int.from_bytes(self._uc.mem_read(address, 4), "little")
        except self._error:
            return None

    def _is_flash(self, address: int) -> bool:
        return self._flash.holds(address) or address < self._flash.bytes

    def _intern(self, state: State) -> int:
        number = self._state_ids.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
        return number

    def _node(self, index: int) -> Node:
        node: Node = self._library.timing_node(self._buffer, index).contents
        return node

    def _harvest(self) -> None:
        """Keep what blocks have cost that the C side is about to forget."""
        self._spent_before = self._spent()
        self._timings.clear()
        self._guard.forget()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure


def _index_at(instructions: Sequence[Instruction], address: int) -> int:
    return next(i for i, instruction in enumerate(instructions) if instruction.end > address)


def _function(function: Any) -> ctypes.c_void_p:
    return ctypes.cast(function, ctypes.c_void_p)
