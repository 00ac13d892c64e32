"""Is a physical board well: probe, chip, memories, clocks, serial port; no firmware needed.

What the flash holds stays; RAM and whatever runs do not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from hil.config import board as kinds
from hil.config.board import Board, Memory
from hil.config.inventory import Unit
from hil.errors import HilError
from hil.studies.boards import clocks, loops, wires
from hil.studies.boards.finding import Finding
from hil.targets import chips, ports, probes
from hil.targets.emulator.target import EmulatedTarget
from hil.targets.probe import ProbeTarget, ServedTarget

if TYPE_CHECKING:
    from hil.targets.debugger import Debugger

_LOCK_WAIT_S = 30.0
_PATTERN_BYTES = 4096
"""Of each memory's two ends: over SWD a whole bank takes seconds."""

_OPTCR, _OPTCR1 = 0x4002_3C14, 0x4002_3C18
_STM32F4 = "stm32f4"
_RDP_NONE = 0xAA
_SECTORS_PER_BANK = 12


@dataclass(frozen=True)
class Checked:
    """A board that was looked at.

    Attributes:
        unit: the board.
        findings: of every look that could be taken, in order.
        uid: of its chip; empty where it could not be read.
        probe: what the probe calls itself; empty where it was not reached.
        timing: "silicon", or "modelled" of an emulated board.
    """

    unit: Unit
    findings: tuple[Finding, ...]
    uid: str = ""
    probe: str = ""
    timing: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it; what differs from the model is the model's matter."""
        return all(one.good is not False or one.modelled is not None for one in self.findings)


@contextmanager
def opened(unit: Unit, tell: Callable[[str], None]) -> Iterator[ProbeTarget]:
    """Take a board as a run takes it, while the block runs.

    Args:
        unit: of the inventory.
        tell: takes a line for a person.

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


def check(unit: Unit, tell: Callable[[str], None]) -> Checked:
    """Look at everything; what fails first ends the looks that need it.

    Args:
        unit: of the inventory.
        tell: takes a line for a person.
    """
    findings: list[Finding] = []
    uid = probe = timing = ""
    try:
        with opened(unit, tell) as target:
            uid, probe, timing = target.unique_id(), target.debugger.probe_name, target.timing
            findings += [Finding("probe", True, probe)]
            findings.extend(_looks(unit, target))
    except HilError as error:
        findings += [Finding("looks" if findings else "probe", False, str(error))]
    return Checked(unit, tuple(findings), uid, probe, timing)


def _looks(unit: Unit, target: ProbeTarget) -> Iterator[Finding]:
    debugger, board = target.debugger, target.board
    found = debugger.identity()
    if found is not None:
        detail = f"DEV_ID {found.dev_id:#05x}, {found.flash_bytes:,} B of flash, uid {found.uid}"
        yield Finding("chip", True, detail)
    debugger.reset_and_halt()
    for memory in board.memories:
        if memory.flash is None and memory.sdram is None:  # that one the firmware brings up
            yield _memory(memory, debugger)
    yield from _options(board, debugger)
    chip = chips.find(board.chip)
    if chip is None or chip.bench is None:
        detail = f"oscillators, wires and memories' timing are not looked at on {board.chip}"
        yield Finding("registers", None, detail)
    else:
        yield from clocks.look(board, debugger, own_time=target.timing != "silicon")
        yield _access(board, debugger)
        with _model(board) as model:
            yield from loops.compare(board, debugger, model)
        debugger.reset_and_halt()
    yield from _port(unit, target)


def _options(board: Board, debugger: "Debugger") -> Iterator[Finding]:
    if board.chip == _STM32F4:
        yield _option_bytes(debugger)
    elif chips.find(board.chip) is not None:
        yield of_another_chip(board, debugger)


def of_another_chip(board: Board, debugger: "Debugger") -> Finding:
    """Say what the option bytes of a chip that is no STM32F4 keep it from.

    Args:
        board: its file.
        debugger: of the board.
    """
    chip = chips.find(board.chip)
    found = chip.option_bytes(board, debugger.read_word) if chip is not None else None
    wrong = [what for what, _ in found.obstacles] if found is not None else []
    if found is not None and found.closed:
        wrong.append(f"{len(found.closed)} sectors are protected from writing")
    said = "; ".join(wrong) or "nothing in them keeps the chip from being measured"
    return Finding("option bytes", not wrong, said)


@contextmanager
def _model(board: Board) -> "Iterator[Debugger | None]":
    """Power an emulated board of the same kind; None where the emulator is not installed."""
    if find_spec("unicorn") is None:
        yield None
        return
    with EmulatedTarget(board) as emulated:
        emulated.debugger.reset_and_halt()
        yield emulated.debugger


def _access(board: Board, debugger: "Debugger") -> Finding:
    """See whether FLASH_ACR takes a store at once. Source: RM0090 section 3.5.1."""
    late = loops.unsettled(board, debugger)
    detail = f"of {loops.SWITCHES:,} stores to FLASH_ACR {late:,} read otherwise at once"
    return Finding("flash access", late == 0, detail, late)


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
    return Finding("option bytes", not wrong, f"{low:#010x}, {high:#010x}: {said}")


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
                return Finding(memory.name, False, detail)
    ends = f"{memory.address:#010x} to {memory.end - 1:#010x}"
    return Finding(memory.name, True, f"{ends}, {length:,} B at each end keep patterns")


def _pattern(seed: int, length: int) -> bytes:
    return bytes((seed ^ at ^ at >> 8) & 0xFF for at in range(length))


def _port(unit: Unit, target: ProbeTarget) -> Iterator[Finding]:
    try:
        device = ports.find(unit)
        port = target.serial()
    except HilError as error:
        yield Finding("serial port", False, str(error))
        return
    yield Finding("serial port", True, f"{device} at {target.board.baud:,} baud")
    chip = chips.find(target.board.chip)
    if chip is not None and chip.bench is not None:
        yield from wires.look(target.board, target.debugger, port)
