"""The emulated board as a target: flashed through pyOCD, talked to through pyserial."""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from serial import SerialBase

from hil import extras
from hil.build.image import Image
from hil.config.board import Board
from hil.errors import ProbeError
from hil.targets.base import Target
from hil.targets.debugger import Debugger
from hil.targets.spent import Moment

if TYPE_CHECKING:
    from hil.targets.emulator.board import EmulatedBoard

_HINT = "this is the emulated board: please report it, with what was run"
_PATIENCE_S = 300.0
_OPTIONS = {
    # A reset needs no time to settle here.
    "reset.post_delay": 0.0,
    "reset.hold_time": 0.0,
    # pyOCD's limits are those of silicon; here a loaded machine alone makes an algorithm slow.
    "flash.timeout.init": _PATIENCE_S,
    "flash.timeout.analyzer": _PATIENCE_S,
    "flash.timeout.erase_all": _PATIENCE_S,
    "flash.timeout.erase_sector": _PATIENCE_S,
    "flash.timeout.program": _PATIENCE_S,
    "reset.halt_timeout": _PATIENCE_S,
    "reset.core_recover.timeout": _PATIENCE_S,
}
_numbers = itertools.count(1)


class EmulatedTarget(Target):
    """An emulated board, powered while the target is open; each target object has its own."""

    name: ClassVar[str] = "emulator"
    timing: ClassVar[str] = "modelled"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self._unique_id = f"emulated-{board.name}-{os.getpid()}-{next(_numbers)}"
        self._emulated: EmulatedBoard | None = None
        self._debugger: Debugger | None = None
        self._serial: Any = None

    @classmethod
    def timing_version(cls) -> str:
        """Name the frozen rule set of the timing model."""
        from hil.targets.emulator.timing.rules import TIMING_VERSION

        return f"{cls.timing}-{TIMING_VERSION}"

    @classmethod
    def load(cls) -> None:
        """Import pyOCD and the board, where Unicorn is installed; itself it comes later."""
        if extras.is_there("unicorn"):
            from pyocd.flash import loader  # noqa: F401
            from pyocd.probe import aggregator  # noqa: F401

            from hil.targets.emulator import board, serial_urls  # noqa: F401

    def open(self) -> None:
        """Give the board power and connect to its core. Raises ProbeError."""
        _require_unicorn()
        from hil.targets.emulator import powered
        from hil.targets.emulator.board import EmulatedBoard, default_clock

        self._emulated = EmulatedBoard(self.board, self._unique_id, make_clock=default_clock)
        powered.add(self._emulated)
        self._debugger = Debugger(
            self.board, _find_probe(self._unique_id), hint=_HINT, options=_OPTIONS
        )
        self._debugger.open()

    def flash(self, image: Image) -> None:
        """Erase, program and verify, and leave the core halted. Raises FlashError, ProbeError."""
        debugger, segments = self._opened_debugger, list(image.segments)
        if not self.anew:
            self.emulated.know(segment.data for segment in segments)
        debugger.program(segments)

    def reset(self) -> None:
        """Reset the chip and let the firmware run. Raises ProbeError."""
        if self._serial is not None:
            self._serial.reset_input_buffer()
        self._opened_debugger.reset()

    def serial(self) -> SerialBase:
        """Return the open serial port of the firmware's link."""
        if self._serial is None:
            from hil.targets.emulator import serial_urls

            self._serial = serial_urls.open_port(self._unique_id, self.board.uart)
        port: SerialBase = self._serial
        return port

    def clock(self) -> Callable[[], float]:
        """Return the seconds that the machine gives the core. Raises ProbeError."""
        from hil.targets.emulator.given_time import GivenTime

        return GivenTime(self.emulated.chip.native_thread)

    @contextmanager
    def spending(self, *, causes: bool) -> Iterator[list[Moment] | None]:
        """Note, while the block runs, the board's own count at each read of the cycle counter."""
        moments: list[Moment] = []
        emulated = self.emulated

        def note() -> None:
            spent = emulated.spent() if causes else None
            moments.append(Moment(emulated.chip.clock.now(), spent))

        if emulated.counts_causes:
            emulated.chip.dwt.on_read = note
        try:
            yield moments if emulated.counts_causes else None
        finally:
            emulated.chip.dwt.on_read = None

    def unique_id(self) -> str:
        """Return nothing: emulated boards are all alike, and none has a history of its own."""
        return ""

    @property
    def debugger(self) -> Debugger:
        """What halts the core and reads its memory. Raises ProbeError."""
        return self._opened_debugger

    def close(self) -> None:
        """Take the power away; harmless when there is none."""
        serial, self._serial = self._serial, None
        if serial is not None:
            serial.close()
        debugger, self._debugger = self._debugger, None
        emulated, self._emulated = self._emulated, None
        try:
            if debugger is not None:
                debugger.close()
        finally:
            if emulated is not None:
                from hil.targets.emulator import powered

                powered.remove(emulated)
                emulated.power_off()

    @property
    def emulated(self) -> "EmulatedBoard":
        """The board itself, for tests and profiles that look inside. Raises ProbeError."""
        if self._emulated is None:
            raise _not_open()
        return self._emulated

    @property
    def _opened_debugger(self) -> Debugger:
        if self._debugger is None:
            raise _not_open()
        return self._debugger


def _not_open() -> ProbeError:
    return ProbeError("the board is not open", hint="open the target before using it")


def _find_probe(unique_id: str) -> Any:
    """Return the board's probe as pyOCD finds it."""
    from pyocd.probe.aggregator import PROBE_CLASSES, DebugProbeAggregator

    from hil.targets.emulator.powered import PROBE_TYPE

    if PROBE_TYPE not in PROBE_CLASSES:
        raise ProbeError(
            "pyOCD does not know the emulated board's probe",
            hint="install the project (pip install -e .): that registers it with pyOCD",
        )
    return DebugProbeAggregator.get_probe_with_id(f"{PROBE_TYPE}:{unique_id}")


def _require_unicorn() -> None:
    if not extras.is_there("unicorn"):
        error = extras.missing("unicorn")
        raise ProbeError(error.what, hint=error.hint)
