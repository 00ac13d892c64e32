"""A few instructions that a debugger runs from RAM: no firmware is needed, and flash stays."""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from time import monotonic
from typing import Any

from hil.errors import ProbeError

_DEMCR, _TRCENA = 0xE000_EDFC, 1 << 24  # ARMv7-M manual section C1.6.5
_DWT_CTRL, CYCCNT = 0xE000_1000, 0xE000_1004
_THUMB = 1 << 24  # of xPSR
_POLYNOMIAL = 0xEDB8_8320  # zlib's, the lowest bit first
_CRC_S = 60.0  # 50 cycles a byte: 2 MiB take 7 s at 16 MHz
_CRC = b"".join(
    word.to_bytes(2, "little")
    for word in (
        *(0x7804, 0x3001),  # next: ldrb r4,[r0]; adds r0,#1
        *(0x4062, 0x2508),  # eors r2,r4; movs r5,#8
        *(0x0852, 0xD300, 0x405A),  # bit: lsrs r2,r2,#1; bcc over; eors r2,r3
        *(0x3D01, 0xD1FA),  # over: subs r5,#1; bne bit
        *(0x4288, 0xD1F4),  # cmp r0,r1; bne next
        *(0x43D2, 0xBE00),  # mvns r2,r2; bkpt #0
    )
)
_LOOK_EVERY_S = 0.005  # a probe has no way to call


@dataclass(frozen=True)
class Counted:
    """Cycles that the core counted, beside the host's clock.

    Attributes:
        cycles: of CYCCNT.
        seconds: of the host, meanwhile.
        uncertain_s: by how much the seconds may be wrong: the probe takes time to start and stop
            the core.
    """

    cycles: int
    seconds: float
    uncertain_s: float

    @property
    def hz(self) -> float:
        """Cycles a second."""
        return self.cycles / self.seconds

    @property
    def uncertainty(self) -> float:
        """Of `hz`, as a part of it."""
        return self.uncertain_s / self.seconds


def count(target: Any, program: bytes, address: int, seconds: float) -> Counted:
    """Run a program for a while and count the core's cycles. Afterwards the core is halted.

    Args:
        target: pyOCD's, its core halted.
        program: Thumb instructions that loop or sleep.
        address: in RAM.
        seconds: how long; fewer than the 32-bit counter holds.
    """
    _load(target, program, address, {})
    _start_counter(target)
    before, asked = target.read_memory(CYCCNT), monotonic()
    target.resume()
    began = monotonic()
    Event().wait(seconds)
    stopping = monotonic()
    target.halt()
    ended = monotonic()
    cycles = target.read_memory(CYCCNT) - before & 0xFFFF_FFFF
    uncertain = (began - asked + ended - stopping) / 2
    return Counted(cycles, (stopping + ended - asked - began) / 2, uncertain)


def counted(
    target: Any, program: bytes, address: int, registers: Mapping[str, int], deadline_s: float
) -> tuple[int, ...]:
    """Run a program to its BKPT with the cycle counter on: see `execute`.

    Args:
        target: pyOCD's.
        program: Thumb code.
        address: in RAM, where it is put.
        registers: values that it begins with, by name.
        deadline_s: after which it is given up.
    """
    _start_counter(target)
    return execute(target, program, address, registers, deadline_s)


def execute(
    target: Any, program: bytes, address: int, registers: Mapping[str, int], deadline_s: float
) -> tuple[int, ...]:
    """Run a program to its BKPT.

    Args:
        target: pyOCD's, its core halted.
        program: Thumb instructions.
        address: in RAM.
        registers: at its start.
        deadline_s: the longest that it may take.

    Returns:
        r0 to r7 behind it.

    Raises:
        ProbeError: it does not end.
    """
    from pyocd.core.target import Target

    _load(target, program, address, registers)
    target.resume()
    until = monotonic() + deadline_s
    while target.get_state() != Target.State.HALTED:
        if monotonic() > until:
            target.halt()
            raise ProbeError(
                f"a program in RAM did not end within {deadline_s:g} s",
                hint="does the core run? Try again, then switch the power off and on",
            )
        Event().wait(_LOOK_EVERY_S)
    return tuple(target.read_core_registers_raw([f"r{number}" for number in range(8)]))


def checksum(target: Any, scratch: int, address: int, count: int) -> int:
    """Return zlib's CRC-32 of memory, computed by the chip.

    Args:
        target: pyOCD's, its core halted behind a reset.
        scratch: RAM that the program may have.
        address: of the first byte.
        count: of bytes, at least one.

    Raises:
        ProbeError: it does not end.
    """
    registers = {"r0": address, "r1": address + count, "r2": 0xFFFF_FFFF, "r3": _POLYNOMIAL}
    return execute(target, _CRC, scratch, registers, _CRC_S)[2]


def _start_counter(target: Any) -> None:
    target.write_memory(_DEMCR, target.read_memory(_DEMCR) | _TRCENA)
    target.write_memory(_DWT_CTRL, target.read_memory(_DWT_CTRL) | 1)


def _load(target: Any, program: bytes, address: int, registers: Mapping[str, int]) -> None:
    target.write_memory_block8(address, list(program))
    names = [*registers, "pc", "xpsr"]
    target.write_core_registers_raw(names, [*registers.values(), address, _THUMB])
