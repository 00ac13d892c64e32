"""Instructions that trap, found in code before it runs.

Unicorn executes FPU instructions whatever CPACR says and divides by zero whatever CCR says. Code is
therefore looked through as it is translated, and runs end before such an instruction where it
would trap; divisions are watched by divisions.py.
"""

import struct
from collections.abc import Callable

from hil.targets.emulator.core import alignment
from hil.targets.emulator.core.decode import decode
from hil.targets.emulator.core.divisions import DIVISIONS, Divisions, is_division
from hil.targets.emulator.core.engine import Block, Engine
from hil.targets.emulator.core.exclusive import ExclusiveMonitor
from hil.targets.emulator.core.instructions import Kind
from hil.targets.emulator.core.patterns import like, one_of
from hil.targets.emulator.errors import BusError

_MOST_SCANNED = 1024  # places whose code is remembered
_FIRST_SCAN_BYTES = 256
_ALWAYS = 14
SEV = 0xBF40
_SEVS = like(rb"\x40\xbf", b"\x40\xbf")
_COPROCESSOR_10_OR_11 = one_of(high << 4 | low for high in range(16) for low in (10, 11))
_FLOATS = like(rb".[\xec-\xef\xfc-\xff]." + _COPROCESSOR_10_OR_11)
_MSR_CONTROL = like(rb"[\x80-\x8f]\xf3\x14[\x80-\x8f]", b"\xf3\x14")
_IT_BITS = 0x0600_FC00
_REGISTERS = (*(f"r{i}" for i in range(13)), "sp", "lr", "pc")


class Traps:
    """The addresses of instructions that trap, as far as code has been seen.

    Args:
        request_stop: ends the run before the block that has just been translated.
    """

    def __init__(self, engine: Engine, request_stop: Callable[[], None]) -> None:
        self._engine = engine
        self._request_stop = request_stop
        self._fpu_off = False
        self._unaligned_trap = False
        self._unseen = False  # there may be code that ran while nothing trapped
        self.divisions = Divisions(engine)
        self.exclusives = ExclusiveMonitor(engine)
        self.fpu: set[int] = set()
        self.events: set[int] = set()  # SEV, which is nothing to Unicorn
        self.privileges: set[int] = set()  # behind an MSR to CONTROL
        self._watches_privilege = False
        self._scanned: dict[int, bytes] = {}
        self.floats: set[int] = set()  # before which the FPU's registers have to be saved

    @property
    def addresses(self) -> set[int]:
        """Where runs have to end."""
        found = self.fpu | self.events | self.divisions.exits | self.floats
        return found | self.privileges if self._watches_privilege else found

    def configure(self, *, fpu_off: bool, divides_trap: bool, unaligned_trap: bool) -> None:
        """Set what traps.

        Args:
            fpu_off: FPU instructions.
            divides_trap: divisions by zero.
            unaligned_trap: unaligned loads and stores.
        """
        self._unaligned_trap = unaligned_trap
        if (fpu_off and not self._fpu_off) or (divides_trap and not self.divisions.trap):
            self._unseen = True
        self._fpu_off, self.divisions.trap = fpu_off, divides_trap
        if not fpu_off:
            self.fpu.clear()

    def watch_privilege(self, *, on: bool) -> None:
        """Have runs end behind an MSR to CONTROL, or not."""
        if on and not self._watches_privilege:
            self._unseen = True
        self._watches_privilege = on

    def is_fpu(self, address: int) -> bool:
        """Whether the instruction at an address is one for the FPU."""
        code = halfwords(self._engine, address, 4)
        return len(code) > 1 and _is_wide(code[0]) and _is_fpu(code[0], code[1])

    def is_unaligned(self, address: int) -> bool:
        """Whether the load or store at an address traps, with the registers as they are now."""
        code = b"".join(half.to_bytes(2, "little") for half in halfwords(self._engine, address, 4))
        found = decode(code, address)
        registers = [self._engine.read(name) for name in _REGISTERS]
        return bool(found) and alignment.is_unaligned(
            found, registers, all_trap=self._unaligned_trap
        )

    def is_foreign(self, address: int) -> bool:
        """Whether the instruction at an address is one of another core's."""
        code = halfwords(self._engine, address, 4) or halfwords(self._engine, address, 2)
        found = decode(b"".join(half.to_bytes(2, "little") for half in code), address)
        return bool(found) and bool(found[0].is_foreign)

    def fail_exclusive(self, address: int) -> bool:
        """Have the STREX at an address fail where an exception has cleared the monitor."""
        register = self.exclusives.fails(address)
        if register is None:
            return False
        self._engine.write(_REGISTERS[register], 1)
        self._engine.write("pc", address + instruction_bytes(self._engine, address))
        self._engine.write("xpsr", behind_it(self._engine.read("xpsr")))
        return True

    def skip_access(self, address: int) -> None:
        """Go on behind a load or store that had no effect; what it would have loaded is zero."""
        code = b"".join(half.to_bytes(2, "little") for half in halfwords(self._engine, address, 4))
        instruction = decode(code, address)[0]
        for register in instruction.written:
            if instruction.kind in {Kind.LOAD, Kind.LOAD_MULTIPLE}:
                self._engine.write(_REGISTERS[register], 0)
        self._engine.write("pc", instruction.end)
        self._engine.write("xpsr", behind_it(self._engine.read("xpsr")))

    def scan_from(self, address: int) -> None:
        """Look through the code at which a run starts: Unicorn does not report its first block."""
        if self._unseen:
            # Not before: a run would go on in memory that new code is written to.
            self._engine.forget_all_code()
            self._unseen = False
        code = code_bytes(self._engine, address, _FIRST_SCAN_BYTES)
        self._scan_for_events(address, code)
        self.exclusives.watch()
        if self._looks:
            self._scan(address, code)
            self.divisions.watch()

    def on_new_block(self, block: Block) -> None:
        """Look through code before it runs for the first time."""
        code = code_bytes(self._engine, block.address, block.bytes)
        found = self._scan_for_events(block.address, code)
        if self._looks:
            found |= self._scan(block.address, code)
        if found:
            self._request_stop()

    @property
    def _looks(self) -> bool:
        return self._fpu_off or self.divisions.trap or self._watches_privilege

    def _scan_for_events(self, address: int, code: bytes) -> bool:
        """Note what may be a SEV; returns whether there is one that was not known."""
        if self._scanned.get(address) == code:  # where runs start again and again
            return False
        if len(self._scanned) >= _MOST_SCANNED:
            self._scanned.clear()
        self._scanned[address] = code
        found_exclusives = self.exclusives.note(address, code)
        found = {address + at for at in _SEVS.found_in(code)} - self.events
        self.events |= found
        return bool(found) or found_exclusives

    def _scan(self, address: int, code: bytes) -> bool:
        """Note the trapping instructions in code; returns whether there are new ones."""
        known = len(self.fpu) + len(self.divisions.found) + len(self.privileges)
        floats = self._fpu_off and _FLOATS.found_in(code)
        divisions = self.divisions.trap and DIVISIONS.found_in(code)
        privileges = self._watches_privilege and _MSR_CONTROL.found_in(code)
        if not (floats or divisions or privileges):
            return False
        halves = struct.unpack(f"<{len(code) // 2}H", code)
        at = 0
        while at < len(halves) - 1:
            first, second = halves[at : at + 2]
            if not _is_wide(first):
                at += 1
                continue
            if floats and _is_fpu(first, second):
                self.fpu.add(address + 2 * at)
            if divisions and is_division(first, second):
                self.divisions.found.add(address + 2 * at)
            if privileges and _is_msr_control(first, second):
                self.privileges.add(address + 2 * at + 4)
            at += 2
        return len(self.fpu) + len(self.divisions.found) + len(self.privileges) > known


def is_executed(xpsr: int) -> bool:
    """Whether the condition that an IT gives the next instruction holds, or there is none."""
    it = xpsr >> 8 & 0xFC | xpsr >> 25 & 3
    return not it & 0xF or condition_holds(it >> 4, xpsr)


def behind_it(xpsr: int) -> int:
    """Return an xPSR as it is behind one instruction: a step on in an IT block.

    Source: ARM DDI 0403E A7.3.3, ITAdvance.
    """
    it = xpsr >> 8 & 0xFC | xpsr >> 25 & 3
    it = it & 0xE0 | it << 1 & 0x1F if it & 7 else 0
    return xpsr & ~_IT_BITS | (it & 0xFC) << 8 | (it & 3) << 25


def condition_holds(condition: int, flags: int) -> bool:
    """Whether a condition holds for the flags of an APSR. Source: ARM DDI 0403E A7.3.

    Args:
        condition: its four bits in an instruction.
        flags: the APSR, N in bit 31.
    """
    n, z, c, v = (bool(flags >> bit & 1) for bit in (31, 30, 29, 28))
    holds = (z, c, n, v, c and not z, n == v, n == v and not z, True)[condition >> 1]
    return holds != bool(condition & 1) or condition >= _ALWAYS


def instruction_bytes(engine: Engine, address: int) -> int:
    """Return the length of the instruction at an address.

    Args:
        engine: whose memory it is in.
        address: of the instruction.
    """
    code = halfwords(engine, address, 2)
    return 4 if code and _is_wide(code[0]) else 2


def halfwords(engine: Engine, address: int, length: int) -> tuple[int, ...]:
    """Return code by halfwords; none where not all of it is memory.

    Args:
        engine: whose memory it is in.
        address: of the first byte.
        length: bytes.
    """
    code = code_bytes(engine, address, length)
    return struct.unpack(f"<{len(code) // 2}H", code)


def code_bytes(engine: Engine, address: int, length: int) -> bytes:
    """Return code; none where not all of it is memory.

    Args:
        engine: whose memory it is in.
        address: of the first byte.
        length: bytes, an even number.
    """
    try:
        return engine.load(address, length)
    except BusError:
        return b""


def _is_wide(first: int) -> bool:
    return first >> 11 >= 0b11101


def _is_fpu(first: int, second: int) -> bool:
    """Whether a 32-bit instruction is for coprocessor 10 or 11."""
    return first & 0xEC00 == 0xEC00 and second >> 8 & 0xE == 0xA


def _is_msr_control(first: int, second: int) -> bool:
    """Whether a 32-bit instruction is an MSR to CONTROL. Source: ARM DDI 0403E B5.2.3."""
    return first & 0xFFF0 == 0xF380 and second & 0xFF == 0x14 and second & 0xF000 == 0x8000
