"""What can go wrong between a harness and a board, planted in a served one.

Serial bytes are lost, flipped or doubled; a debugger's accesses fail; erasing takes long; cells of
the flash are worn. Rates are chances of one, drawn from a seed, so that a run can be had again.
"""

import random
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING

from hil.errors import UsageError

if TYPE_CHECKING:
    from hil.targets.emulator.board import EmulatedBoard

_BAUDS_APART = 0.04  # a receiver without fraction bears 3.3 to 3.75 %: RM0090 table 140
_BITS = 8


@dataclass(frozen=True)
class Faults:
    """How a board fails.

    Attributes:
        serial_loss, serial_flip, serial_double: of bytes on the serial port, both ways.
        serial_bears: baud up to which the line does none of it.
        swd_fault, swd_wait: of a debugger's accesses: answered by FAULT, or by WAIT for too long.
        erase_s: seconds that erasing a sector takes.
        seed: of all that is drawn.
    """

    serial_loss: float = 0.0
    serial_flip: float = 0.0
    serial_double: float = 0.0
    serial_bears: float = 0.0
    swd_fault: float = 0.0
    swd_wait: float = 0.0
    erase_s: float = 0.0
    seed: int = 0

    @classmethod
    def parse(cls, said: list[str]) -> "Faults":
        """Read faults as a command line has them: `serial-loss=0.001`. Raises UsageError."""
        names = {field.name.replace("_", "-"): field for field in fields(cls)}
        given: dict[str, float] = {}
        for one in said:
            name, _, value = one.partition("=")
            if name not in names:
                raise UsageError.unknown("fault", name, list(names))
            try:
                number = float(value)
            except ValueError:
                raise UsageError(f"--fault {one!r} is no number", hint=f"{name}=0.001") from None
            given[names[name].name] = int(number) if name == "seed" else number
        return cls(**given)  # type: ignore[arg-type]


def plant(faults: Faults, emulated: "EmulatedBoard") -> None:
    """Have a board fail so from now on; faults of none make it well again.

    Args:
        faults: what goes wrong, and when.
        emulated: the board.
    """
    emulated.chip.flash_controller.erase_s = faults.erase_s
    emulated.on_access = _Accesses(faults)
    terminal = emulated.terminal
    if terminal is None:
        return
    terminal.passes = _Wire(faults)
    line, baud = emulated.line(emulated.uart), partial(_baud, emulated)
    line.arrives = lambda byte, sent: _heard(byte, sent, baud())
    line.leaves = lambda byte: _heard(byte, baud(), terminal.baud)


def _baud(emulated: "EmulatedBoard") -> float:
    chip = emulated.chip
    return chip.usarts[emulated.uart].baud(chip.rcc.core_hz)


def _heard(byte: int, sent: float, heard: float) -> int:
    """Return what a receiver of one speed makes of a byte at another; 0 for a speed not known.

    It looks at the middle of each of its bits, counted from the edge of the start bit.
    """
    if not sent or not heard or abs(sent / heard - 1) <= _BAUDS_APART:
        return byte
    line = byte << 1 | -1 << _BITS + 1  # the start bit is 0; behind the byte the line is idle
    return sum((line >> int((bit + 1.5) * sent / heard) & 1) << bit for bit in range(_BITS))


class _Wire:
    """A serial line that loses, flips and doubles bytes."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311

    def __call__(self, data: bytes, baud: int) -> bytes:
        loss, flip, double = (
            self._faults.serial_loss,
            self._faults.serial_flip,
            self._faults.serial_double,
        )
        if not (loss or flip or double) or 0 < baud <= self._faults.serial_bears:
            return data
        out = bytearray()
        for byte in data:
            drawn = self._random.random()
            if drawn < loss:
                continue
            flipped = drawn < loss + flip
            out.append(byte ^ 1 << self._random.randrange(_BITS) if flipped else byte)
            if loss + flip <= drawn < loss + flip + double:
                out.append(byte)
        return bytes(out)


class _Accesses:
    """A debugger's accesses to the chip."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311

    def __call__(self) -> None:
        fault, wait = self._faults.swd_fault, self._faults.swd_wait
        if not (fault or wait):
            return
        from pyocd.core import exceptions

        drawn = self._random.random()
        if drawn < fault:
            raise exceptions.TransferFaultError
        if drawn < fault + wait:
            raise exceptions.TransferTimeoutError
