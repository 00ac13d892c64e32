"""Run any bare-metal program of a chip on the emulated board: the engine of `hil emulate`."""

import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hil.build.image import Segment, read_segments
from hil.config.board import Board
from hil.errors import FirmwareFault, UsageError
from hil.studies.profile.flame import Chain

if TYPE_CHECKING:
    from hil.targets.emulator.chips.stm32.chip import Chip

_STOPPED_STATUS = 124  # as timeout(1) has it
_WAIT_STATE_BITS = 0xF
_ART_BITS = 0x700
_FAULT_REGISTERS = (("CFSR", 0xE000_ED28), ("HFSR", 0xE000_ED2C), ("BFAR", 0xE000_ED38))


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        exit_status: what it gave SYS_EXIT; 124 when it was stopped after `max_seconds`.
        cycles, instructions: from reset to its end.
        stacks: cycles of each chain of calls.
        unmodelled: registers that it used and that are not modelled, by peripheral.
        stopped: lines about what it was doing when it was stopped; empty where it ended by itself.
    """

    exit_status: int
    cycles: int
    instructions: int
    stacks: Mapping[Chain, int]
    unmodelled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stopped: tuple[str, ...] = ()


def run(
    elf: Path,
    board: Board,
    *,
    wait_states: int | None = None,
    art: bool | None = None,
    max_seconds: float | None = None,
    strict: bool = False,
    warn: Callable[[str], None] = lambda _text: None,
    write: Callable[[bytes], None] | None = None,
    examine: Callable[["Chip"], None] | None = None,
) -> Outcome:
    """Run a program from reset until it exits, by semihosting.

    Args:
        elf: segments are loaded at their load addresses.
        board: whose memory map.
        wait_states: flash wait states, whatever the program sets.
        art: flash caches and prefetch, likewise.
        max_seconds: host time after which the program is stopped.
        strict: whether the first use of a register that is not modelled ends the program, and buses
            that are too fast stop the chip.
        warn: told of each peripheral that is not modelled, once, when the program uses it.
        write: takes what it sends by UART, ITM and semihosting; standard output by default.
        examine: called with the halted chip at the end, to look at its memory and profile.

    Raises:
        BuildError: the file is no ELF for Arm.
        UsageError: it does not fit the board's memory.
        FirmwareFault: the core locked up, met a BKPT that is no request, or, if `strict`, used a
            register that is not modelled.
        EmulatorError: the emulator itself failed.
    """
    from hil.studies import stopped
    from hil.studies.unmodelled import Unmodelled
    from hil.targets.emulator import chips
    from hil.targets.emulator.board import default_clock
    from hil.targets.emulator.debug.semihosting import Semihosting
    from hil.targets.emulator.timing import TimingCore

    segments = read_segments(elf)
    output = write or _write_to_stdout
    kind = chips.find(board.chip)
    chip = kind(board, make_clock=default_clock, override_acr=_acr_override(wait_states, art))
    for usart in chip.usarts.values():
        usart.line.tap = output
        usart.times_bytes = True
    chip.itm.tap = output
    chip.waiting.paced = False
    chip.forgives_buses = not strict
    ended = threading.Event()
    semihosting = Semihosting(
        core=chip.core,
        engine=chip.engine,
        memory=chip.bus,
        clock=chip.clock,
        core_hz=lambda: chip.rcc.core_hz,
        write=output,
        ended=ended.set,
    )
    chip.endings.on_breakpoint = _or_end(chip, semihosting, ended.set)
    chip.runner.on_lockup = chip.on_failure = ended.set
    unmodelled = Unmodelled(chip, elf, warn, ended.set if strict else None)
    for segment in segments:
        _load(chip, segment)
    try:
        chip.power_on(entry=_entry(segments, board))
        in_time = ended.wait(max_seconds)
        watched = None if in_time else stopped.watch(chip)
        chip.core.halt(0)
        unmodelled.raise_if_strict()
        if in_time and semihosting.exit_status is None:
            raise _fault(chip)
        if examine is not None:
            examine(chip)
        status = semihosting.exit_status
        clock = chip.clock
        return Outcome(
            exit_status=_STOPPED_STATUS if status is None else status,
            cycles=clock.run.cycles,
            instructions=clock.run.instructions,
            stacks=clock.call_stacks() if isinstance(clock, TimingCore) else {},
            unmodelled=unmodelled.by_peripheral(),
            stopped=tuple(stopped.tell(chip, elf, watched)) if watched else (),
        )
    finally:
        chip.power_off()
        sys.stdout.flush()


def _write_to_stdout(data: bytes) -> None:
    sys.stdout.write(data.decode("utf-8", "replace"))
    if b"\n" in data:
        sys.stdout.flush()


def _acr_override(wait_states: int | None, art: bool | None) -> Callable[[int], int]:
    """Return what the flash access control register becomes when the program writes it."""

    def override(value: int) -> int:
        if wait_states is not None:
            value = value & ~_WAIT_STATE_BITS | wait_states & _WAIT_STATE_BITS
        if art is not None:
            value = value & ~_ART_BITS | (_ART_BITS if art else 0)
        return value

    return override


def _or_end(
    chip: "Chip", semihosting: Callable[[int], bool], ended: Callable[[], None]
) -> Callable[[int], bool]:
    """Return a BKPT handler that ends the program where semihosting does not know the request."""

    def on_breakpoint(address: int) -> bool:
        if not semihosting(address):
            chip.core.halt(0)
            ended()
        return True

    return on_breakpoint


def _load(chip: "Chip", segment: Segment) -> None:
    regions = chip.board.regions
    for region in regions:
        # Programs linked for the boot alias at 0 are programmed into flash.
        address = segment.address + (region.address if segment.address < region.bytes else 0)
        if region.holds(address) and address + len(segment.data) <= region.end:
            chip.load(address, segment.data)
            return
    listed = ", ".join(f"{r.name} {r.address:#010x}..{r.end - 1:#010x}" for r in regions)
    raise UsageError(
        f"the program has {len(segment.data):,} B at {segment.address:#010x}, where "
        f"{chip.board.name} has no memory",
        hint=f"link it for {listed}",
    )


def _entry(segments: tuple[Segment, ...], board: Board) -> int | None:
    """Return where the vector table is, None where the chip looks by itself: at 0."""
    starts = [segment.address for segment in segments]
    if not starts or 0 in starts or board.flash.address in starts:
        return None
    return starts[0]


def _fault(chip: "Chip") -> FirmwareFault:
    words = (
        f"{n} {int.from_bytes(chip.bus.read(at, 4), 'little'):#010x}" for n, at in _FAULT_REGISTERS
    )
    if chip.runner.lockup_pc is not None:
        what, pc = "the core locked up", chip.runner.lockup_pc
    else:
        # A BKPT that is no request: the core halted behind it.
        what, pc = "the program met a BKPT that is no request", chip.core.read_register("pc") - 2
    if chip.broken:
        what = f"the chip stopped, as {chip.broken}:"
    return FirmwareFault(f"{what} at pc {pc:#010x}; {', '.join(words)}")


def _word(chip: "Chip", address: int) -> int:
    return int.from_bytes(chip.bus.read(address, 4), "little")
