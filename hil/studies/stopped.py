"""What a program that is stopped was about: where it stands, what it polls, what it lacks."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from hil.studies.profile.flame import Chain
from hil.studies.program_places import ProgramPlaces
from hil.targets.emulator.core.registers import Accesses
from hil.targets.emulator.errors import BusError
from hil.targets.emulator.register_names import RegisterNames

if TYPE_CHECKING:
    from hil.targets.emulator.chips.stm32.chip import Chip

_WATCHED_S = 0.05
_LEAST_POLLS = 16
_MOST_NAMED = 12
_LONGEST_CHAIN = 8
_EXCEPTIONS = {2: "NMI", 3: "HardFault", 4: "MemManage", 5: "BusFault", 6: "UsageFault",
               11: "SVCall", 12: "DebugMonitor", 14: "PendSV", 15: "SysTick"}  # fmt: skip
_FAULTS = frozenset({3, 4, 5, 6})
_TO_ITSELF = b"\xfe\xe7"  # b .
_FIRST_IRQ = 16
_FIRST_EXC_RETURN = 0xF000_0000


@dataclass(frozen=True)
class Watched:
    """What a program did in its last moments.

    Attributes:
        accesses: of each register in that time.
        seconds: of the program's own clock.
        sleeps: the instruction that it sleeps in, empty while it does not.
        chain: the entry addresses of the functions that it spent them in, from the outermost on.
    """

    accesses: dict[int, Accesses]
    seconds: float
    chain: Chain
    sleeps: str


def watch(chip: "Chip") -> Watched:
    """Look on for a moment at a program that runs, and halt it."""
    with chip.paused():
        accesses = chip.memory.bus.observe()
        stacks, began = _stacks(chip), chip.clock.run.cycles
    time.sleep(_WATCHED_S)
    with chip.paused():
        core = chip.core
        sleeps = ("WFE" if core.awaits_event else "WFI") if core.asleep else ""
        core.halt(0)
        spent = {chain: n - stacks.get(chain, 0) for chain, n in _stacks(chip).items()}
        seconds = (chip.clock.run.cycles - began) / chip.rcc.core_hz
    chain = max(spent, key=lambda one: spent[one], default=())
    return Watched(accesses, seconds, chain, sleeps)


def _stacks(chip: "Chip") -> dict[Chain, int]:
    stacks = getattr(chip.clock, "call_stacks", dict)
    return dict(stacks())


def tell(chip: "Chip", elf: Path | None, watched: Watched) -> Iterator[str]:
    """Yield lines about a halted program.

    Args:
        chip: which is halted.
        elf: the program, which names its functions; None for addresses alone.
        watched: what was seen while it ran.
    """
    places, names = ProgramPlaces(elf), RegisterNames(chip.svd)
    yield f"it stands at {places.describe(chip.core.read_register('pc'))}{_caller(chip, places)}"
    called = [places.function(entry) or "?" for entry in watched.chain]
    if len(called) > 1:
        yield f"called by way of {_chain(called)}"
    yield from _exception(chip, places)
    yield from _sleep(chip, watched)
    yield from _polls(chip, names, watched)
    yield from _missing(chip, names)


def is_stuck(chip: "Chip", watched: Watched) -> bool:
    """Whether a halted program can never go on, as far as that can be told.

    It is in a fault's handler, jumps to where it stands, or polls what is not modelled or has no
    clock.

    Args:
        chip: which is halted.
        watched: what was seen while it ran.
    """
    if chip.core.read_register("xpsr") & 0x1FF in _FAULTS:
        return True
    if _jumps_to_itself(chip):
        return True
    polled = _polled(watched)
    return polled is not None and bool(_why_dead(chip, polled[0]))


def _jumps_to_itself(chip: "Chip") -> bool:
    pc = chip.core.read_register("pc")
    try:
        return chip.bus.read(pc, len(_TO_ITSELF)) == _TO_ITSELF
    except BusError:  # nothing is there: the fetch is yet to fail
        return False


def _chain(called: list[str]) -> str:
    """Join names, those in a row that are the same counted."""
    runs = [(name, len(list(same))) for name, same in groupby(called)][-_LONGEST_CHAIN:]
    return " > ".join(f"{name} ({count} times)" if count > 1 else name for name, count in runs)


def _caller(chip: "Chip", places: ProgramPlaces) -> str:
    link = chip.core.read_register("lr")
    name = places.function(link) if link < _FIRST_EXC_RETURN else ""
    return f", lr in {name}" if name else ""


def _exception(chip: "Chip", places: ProgramPlaces) -> Iterator[str]:
    number = chip.core.read_register("xpsr") & 0x1FF
    if number:
        yield f"it is in the handler of {_exception_name(number)}"
    fault = chip.exceptions.state.fault
    if fault.number or number in _FAULTS:
        yield (
            f"its last fault was taken as {_exception_name(fault.number)} at "
            f"{places.describe(fault.pc)}: CFSR {fault.cfsr:#010x}, HFSR {fault.hfsr:#010x}, "
            f"MMFAR {fault.mmfar:#010x}, BFAR {fault.bfar:#010x}"
        )


def _exception_name(number: int) -> str:
    return _EXCEPTIONS.get(number) or f"interrupt {number - _FIRST_IRQ}"


def _sleep(chip: "Chip", watched: Watched) -> Iterator[str]:
    if not watched.sleeps:
        return
    enabled = sorted(n - _FIRST_IRQ for n in chip.exceptions.state.enabled if n >= _FIRST_IRQ)
    waits = [f"interrupt {number}" for number in enabled]
    if chip.systick.deadline() is not None:
        waits.append("SysTick")
    wakes = ", ".join(waits) or "nothing is enabled"
    yield f"it sleeps in {watched.sleeps}; what may wake it: {wakes}"


def _polls(chip: "Chip", names: RegisterNames, watched: Watched) -> Iterator[str]:
    polled = _polled(watched)
    if polled is None:
        return
    address, seen = polled
    values = ", ".join(f"{value:#010x}" for value in sorted(seen.values)[:4])
    missing = _why_dead(chip, address)
    rate = f" ({seen.reads / watched.seconds:,.0f} a second)" if watched.seconds else ""
    yield (
        f"it polls {names.name(address)}: {seen.reads:,} reads{rate} gave "
        f"{'nothing but ' if len(seen.values) == 1 else ''}{values}{missing}"
    )


def _polled(watched: Watched) -> tuple[int, Accesses] | None:
    """Return the register that was read most, if it was read often."""
    polled = max(watched.accesses.items(), key=lambda one: one[1].reads, default=None)
    return polled if polled is not None and polled[1].reads >= _LEAST_POLLS else None


def _why_dead(chip: "Chip", address: int) -> str:
    """Return why nothing comes of a register that is polled, as far as that is known."""
    if not chip.memory.bus.models(address):
        return "; it is not modelled"
    blocks = (one for one in chip.peripherals if 0 <= address - one.address < one.bytes)
    dead = next((one.name for one in blocks if not one.clocked), "")
    return f"; {dead} has no clock" if dead else ""


def _missing(chip: "Chip", names: RegisterNames) -> Iterator[str]:
    """Yield a line about the registers it has used that are not modelled, if there are any."""
    touched = chip.memory.bus.unmodelled
    if not touched:
        return
    listed = [names.name(address) for address in sorted(touched)]
    more = len(listed) - _MOST_NAMED
    text = ", ".join(listed[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    yield f"it used registers that are not modelled: {text}"
