"""Where and why a program on an emulated board stands."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from hil.studies.program_places import ProgramPlaces

if TYPE_CHECKING:
    from hil.targets.emulator.chips.stm32.chip import Chip

EXCEPTIONS = {"NMI": 2, "HardFault": 3, "MemManage": 4, "BusFault": 5, "UsageFault": 6}
"""Numbers of the exceptions that can be raised by name."""

_FAULT_REGISTERS = (("CFSR", 0xE000_ED28), ("HFSR", 0xE000_ED2C), ("BFAR", 0xE000_ED38))


class Reason(Enum):
    """Why a program stands."""

    ENDED = "it ended, by semihosting"
    REACHED = "it reached the place that was asked for"
    SAID = "it said what was asked for"
    TIME = "the time that was asked for is over"
    FAULT = "it cannot go on"
    HOST_TIME = "the host has waited long enough"
    CALLED_OFF = "it was called off"


@dataclass(frozen=True)
class Stopped:
    """Where and why a program stands.

    Attributes:
        where: function, file and line, as far as the program's file knows them.
        pc: the address of the next instruction.
        exit_status: what it gave SYS_EXIT; None where it did not end.
        fault: what keeps it from going on; empty where nothing does.
    """

    reason: Reason
    where: str
    pc: int
    exit_status: int | None = None
    fault: str = ""


def fault_of(chip: "Chip", elf: Path | None) -> str:
    """Say what keeps a program from going on, what the fault registers hold, and what was before.

    Args:
        chip: that runs the program.
        elf: the program's file, which knows functions and lines.
    """
    return _fault(chip) + _first_fault(chip, elf)


def _fault(chip: "Chip") -> str:
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
    return f"{what} at pc {pc:#010x}; {', '.join(words)}"


def _first_fault(chip: "Chip", elf: Path | None) -> str:
    """Say in which handler a locked-up core met its fault, and where that exception arose."""
    fault = chip.exceptions.state.fault
    names = {number: name for name, number in EXCEPTIONS.items()}
    if chip.runner.lockup_pc is None or fault.number not in names:
        return ""
    place = ProgramPlaces(elf).describe(fault.pc)
    return f"; that was in the handler of {names[fault.number]}, which was taken at {place}"
