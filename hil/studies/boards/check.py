"""Is a physical board well: probe, chip, option bytes, memories, serial port; no firmware needed.

What the flash holds stays; RAM and whatever runs do not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hil.config import board as kinds
from hil.config.board import Board, Memory
from hil.config.inventory import Unit
from hil.errors import HilError
from hil.targets import ports, probes
from hil.targets.probe import ProbeTarget, ServedTarget

if TYPE_CHECKING:
    from hil.targets.debugger import Debugger

_LOCK_WAIT_S = 30.0
_PATTERN_BYTES = 4096
"""Of each memory's two ends: over SWD a whole bank takes seconds."""

_OPTCR, _OPTCR1 = 0x4002_3C14, 0x4002_3C18
_OPTIONS_OF = "stm32f4"
_RDP_NONE = 0xAA
_SECTORS_PER_BANK = 12

_LOOP = b"\xfe\xe7"  # b .
_SLEEP = b"\x30\xbf\xfd\xe7"  # wfi; b back to it
_COUNTED_S = 0.5
_HSI_HZ = 16_000_000
_HSI_APART = 0.05  # within 4 % from -10 to 85 C: DS9405 table 41; a probe's answer takes time too


@dataclass(frozen=True)
class Finding:
    """What one look at a board found."""

    name: str
    good: bool
    detail: str


@contextmanager
def opened(unit: Unit, tell: Callable[[str], None]) -> Iterator[ProbeTarget]:
    """Take a board as a run takes it, while the block runs.

    Raises:
        LockError, ProbeError: as the target raises them.
        UsageError: there is no such kind of board.
    """
    board = kinds.load(unit.kind).on_desk(probe_id=unit.name, port=None, units=[unit])
    kind = ServedTarget if probes.is_emulated(unit) else ProbeTarget
    target = kind(replace(board, lock_wait_s=_LOCK_WAIT_S))
    target.progress = tell
    with target:
        yield target


def check(unit: Unit, tell: Callable[[str], None]) -> list[Finding]:
    """Look at everything; what fails first ends the looks that need it."""
    try:
        with opened(unit, tell) as target:
            return list(_looks(unit, target))
    except HilError as error:
        return [Finding("probe", good=False, detail=str(error))]


def _looks(unit: Unit, target: ProbeTarget) -> Iterator[Finding]:
    debugger = target.debugger
    yield Finding("probe", good=True, detail=debugger.probe_name)
    found = debugger.identity()
    if found is not None:
        detail = f"DEV_ID {found.dev_id:#05x}, {found.flash_bytes:,} B of flash, uid {found.uid}"
        yield Finding("chip", good=True, detail=detail)
    if target.board.chip == _OPTIONS_OF:
        yield _option_bytes(debugger)
    debugger.halt()
    for memory in target.board.memories:
        if memory.flash is None:
            yield _memory(memory, debugger)
    yield from _counting(target)
    yield _port(unit, target.board)


def _option_bytes(debugger: "Debugger") -> Finding:
    """Read what the factory left and a user may have changed. Source: RM0090 section 3.9.10."""
    low, high = (int.from_bytes(debugger.read(at, 4), "little") for at in (_OPTCR, _OPTCR1))
    sectors = (1 << _SECTORS_PER_BANK) - 1
    wrong = [
        text
        for there, text in (
            (low >> 8 & 0xFF != _RDP_NONE, f"read-out protection {low >> 8 & 0xFF:#04x}"),
            (not low >> 5 & 1, "the watchdog starts by itself (WDG_SW = 0): it resets long runs"),
            (low >> 4 & 1, "it boots from the second bank (BFB2 = 1)"),
            (low >> 31 & 1, "sectors are protected from reading (SPRMOD = 1)"),
            (low >> 16 & sectors != sectors, "sectors of bank 1 are protected from writing"),
            (high >> 16 & sectors != sectors, "sectors of bank 2 are protected from writing"),
        )
        if there
    ]
    said = "; ".join(wrong) or "as the factory leaves them"
    return Finding("option bytes", good=not wrong, detail=f"{low:#010x}, {high:#010x}: {said}")


def _memory(memory: Memory, debugger: "Debugger") -> Finding:
    """Write patterns at both ends and read them back, each cell as one and as zero."""
    length = min(_PATTERN_BYTES, memory.bytes // 2)
    places = (memory.address, memory.end - length)
    for seed in (0x55, 0xAA):
        patterns = [_pattern(seed + side, length) for side in (0, 1)]
        for place, pattern in zip(places, patterns, strict=True):
            debugger.write(place, pattern)
        for place, pattern in zip(places, patterns, strict=True):
            if debugger.read(place, length) != pattern:
                detail = f"{place:#010x} does not keep what is written"
                return Finding(memory.name, good=False, detail=detail)
    ends = f"{memory.address:#010x} to {memory.end - 1:#010x}"
    return Finding(memory.name, good=True, detail=f"{ends}, {length:,} B at each end keep patterns")


def _counting(target: ProbeTarget) -> Iterator[Finding]:
    """Hold the oscillator that a reset leaves against the host's clock, awake and asleep."""
    place = target.board.sram.address
    awake, passed = target.debugger.count_cycles(_LOOP, place, _COUNTED_S)
    hz = awake / passed
    if target.timing == "silicon":
        apart = hz / _HSI_HZ - 1
        detail = (
            f"{hz / 1e6:.3f} MHz by the host's clock, {apart:+.2%} of the internal oscillator's"
        )
        yield Finding("clock", good=abs(apart) < _HSI_APART, detail=detail)
    else:
        detail = f"{hz / 1e6:.0f} million cycles a second of the host: its time is its own"
        yield Finding("clock", good=awake > 0, detail=detail)
    asleep, _ = target.debugger.count_cycles(_SLEEP, place, _COUNTED_S)
    said = "counts on" if asleep > awake // 2 else "stands still"
    detail = f"the cycle counter {said} while the core sleeps, a debugger attached"
    yield Finding("sleep", good=True, detail=detail)


def _pattern(seed: int, length: int) -> bytes:
    return bytes((seed ^ at ^ at >> 8) & 0xFF for at in range(length))


def _port(unit: Unit, board: Board) -> Finding:
    try:
        device = ports.find(unit)
        ports.open_exclusively(device, board.baud).close()
    except HilError as error:
        return Finding("serial port", good=False, detail=str(error))
    return Finding("serial port", good=True, detail=f"{device} at {board.baud:,} baud")
