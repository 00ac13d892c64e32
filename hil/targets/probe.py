"""A real board through its debug probe and serial port."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

from serial import SerialBase

from hil.build.image import Image
from hil.config.board import Board
from hil.config.inventory import Unit
from hil.errors import LockError, MeasurementError, ProbeError
from hil.targets import labgrid, lock, ports, probes, recovery, serial_speed
from hil.targets.base import Target
from hil.targets.debugger import Debugger
from hil.targets.recovery import GREETING, Rung

_MOST_CHARACTERS = 200
_TURN_S = 1.0
"""How long one of several boards that are in use is waited for before the next."""

_LADDER = (
    {"frequency": 4_000_000},
    {"frequency": 1_000_000},  # long cables, weak probes
    # A core asleep with its debug clocks off answers only while it is reset.
    {"frequency": 1_000_000, "connect_mode": "under-reset"},
)


class ProbeTarget(Target):
    """A board on the desk, driven by pyOCD; its cycle counts are the chip's own."""

    name: ClassVar[str] = "probe"
    timing: ClassVar[str] = "silicon"
    greeting_rungs = GREETING
    wired: ClassVar[bool] = True

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self._held = ExitStack()
        self._unit: Unit | None = None
        self._debugger: Debugger | None = None
        self._serial: Any = None

    def open(self) -> None:
        """Take the board for this process alone, and connect to its chip.

        Raises:
            LockError: others use it, for longer than the run may wait.
            ProbeError: it is not connected, or the chip is not the board's.
        """
        try:
            self._unit = unit = self._take(candidates(self.board))
            self.known_uid = unit.uid
            if self.rung is Rung.POWER_CYCLE and unit.power_cycle:
                recovery.cycle_power(unit)
                probes.wait_for(unit)
            self._connect(unit, _LADDER)
        except BaseException:
            with suppress(MeasurementError):  # what went wrong first is what is told
                self.close()
            raise

    def _connect(self, unit: Unit, ladder: Sequence[Mapping[str, Any]]) -> None:
        probe = probes.find(unit)
        self._debugger = Debugger(
            self.board,
            probe,
            hint=probes.HINT,
            uid=unit.uid,
            ladder=ladder,
            tell=self.progress,
            checksums=True,
        )
        self._debugger.open()
        self._require_pedigree(probe)

    @classmethod
    def require(cls, board: Board) -> None:
        """Look whether a probe of the board is connected; those behind a network are not asked.

        Raises:
            ProbeError: none is.
        """
        named = units(board)
        if any(unit.is_remote or unit.place for unit in named):
            return
        here = probes.connected()
        if not any(probes.is_there(unit, here) for unit in named):
            probes.choose(here, named[0].probe if named else "", board.name)

    @classmethod
    def last_rungs(cls, board: Board) -> tuple[Rung, ...]:
        """Return what the inventory's entries of the board allow beside flashing it again."""
        return tuple(dict.fromkeys(rung for one in units(board) for rung in recovery.of_board(one)))

    def recover(self, rung: Rung) -> None:
        """Do what a rung says, the board still taken. Raises ProbeError, LinkError."""
        if rung is Rung.SLOWER:
            serial_speed.slow(self.board, self._opened, recovery.SLOWEST)
            self._use_baud(recovery.SLOWEST)
        elif rung is Rung.PIN_RESET:
            self._use_baud(self.board.baud)
            self._opened.reset(by_pin=True)
        elif rung is Rung.UNDER_RESET:
            debugger, self._debugger = self._opened, None
            debugger.close()
            self._connect(self.unit, _LADDER[-1:])
            self.reset()
        self._opened.forget_resets()  # those are the harness's own

    def flash(self, image: Image) -> None:
        """Erase, program and verify, and leave the core halted; the serial port is taken before.

        Raises:
            LinkError: the serial port is absent or busy.
            FlashError, ProbeError: programming failed.
        """
        self.serial()
        if self.rung is Rung.MASS_ERASE and self.unit.mass_erase:
            self._opened.erase_all()
        self._opened.program(image.segments)

    def reset(self) -> None:
        """Reset the chip and let the firmware run. Raises ProbeError, LinkError."""
        self._use_baud(self.board.baud)
        self._opened.reset()

    def _use_baud(self, baud: int) -> None:
        """Give the port the speed that the firmware has, behind a reset the board's; empty it."""
        port: Any = self.serial()
        port.baudrate = baud
        port.reset_input_buffer()

    def serial(self) -> SerialBase:
        """Return the open serial port of the firmware's link. Raises LinkError."""
        if self._serial is None:
            unit = self._unit or candidates(self.board)[0]
            self._serial = ports.open_exclusively(ports.find(unit), self.board.baud)
        port: SerialBase = self._serial
        return port

    @property
    def debugger(self) -> Debugger:
        """What halts the core and reads its memory. Raises ProbeError."""
        return self._opened

    @property
    def unit(self) -> Unit:
        """The physical board that was taken. Raises ProbeError."""
        if self._unit is None:
            raise ProbeError("the board is not open", hint="open the target before using it")
        return self._unit

    def close(self) -> None:
        """Release the board; harmless when it is not open."""
        serial, self._serial = self._serial, None
        debugger, self._debugger = self._debugger, None
        held, self._held = self._held, ExitStack()
        self._unit = None
        with held:
            try:
                if serial is not None:
                    serial.close()
            finally:
                if debugger is not None:
                    debugger.close()

    def _take(self, units: Sequence[Unit]) -> Unit:
        """Lock the first board that nobody uses, or that becomes free; several are asked in turn.

        Raises:
            LockError: none becomes free in time.
        """
        until = monotonic() + self.board.lock_wait_s
        for turn, unit in enumerate(cycle(units)):
            left_s = max(0.0, until - monotonic())
            asked_all = turn >= len(units)
            wait_s = min(_TURN_S, left_s) if asked_all else 0.0
            try:
                return self._lock(unit, left_s if len(units) == 1 else wait_s)
            except LockError:
                if len(units) == 1 or (asked_all and left_s == 0):
                    raise
        raise ProbeError("there is no board to take")  # of no candidates there is no turn

    def _lock(self, unit: Unit, wait_s: float) -> Unit:
        """Hold a board until it is closed; a place of a farm then says where it is."""
        with ExitStack() as held:
            held.enter_context(
                lock.held(
                    unit.probe, name=str(unit), why=_command(), wait_s=wait_s, tell=self.progress
                )
            )
            if unit.place:
                place = labgrid.acquired(unit, wait_s=wait_s, tell=self.progress)
                unit = held.enter_context(place)
            self._held.enter_context(held.pop_all())
        return unit

    def _require_pedigree(self, probe: Any) -> None:
        """Refuse counts of an emulated board as silicon's, and the other way round."""
        emulated = probes.is_emulated_probe(probe)
        if emulated != (self.timing != "silicon"):
            kind = "an emulated board" if emulated else "no emulated board"
            raise ProbeError(f"{self.unit} leads to {kind}, which the run did not expect")

    @property
    def _opened(self) -> Debugger:
        if self._debugger is None:
            raise ProbeError("the board is not open", hint="open the target before using it")
        return self._debugger


class ServedTarget(ProbeTarget):
    """An emulated board that `hil boards serve` holds in another process.

    It is met as a board on a desk is; only its cycle counts are the timing model's.
    """

    timing: ClassVar[str] = "modelled"

    @classmethod
    def timing_version(cls) -> str:
        """Name the frozen rule set of the timing model."""
        from hil.targets.emulator.timing.rules import TIMING_VERSION

        return f"{cls.timing}-{TIMING_VERSION}"


def look(board: Board, unit: Unit) -> None:
    """Read who a connected chip is; the firmware on it runs on.

    Raises:
        ProbeError: it does not answer, or is not the board's.
    """
    attach = ({"connect_mode": "attach"},)
    debugger = Debugger(board, probes.find(unit), hint=probes.HINT, uid=unit.uid, ladder=attach)
    debugger.open()
    debugger.close()


def candidates(board: Board) -> tuple[Unit, ...]:
    """Return the physical boards that a run may take, those connected before the others.

    Raises:
        ProbeError: none is named, and not exactly one probe is connected.
    """
    named = units(board)
    if not named:
        return (_with_port(probes.only(board.name), board),)
    if len(named) == 1:
        return named
    here = probes.connected() if any(not unit.is_remote for unit in named) else []
    there = tuple(unit for unit in named if probes.is_there(unit, here))
    return there or named


def units(board: Board) -> tuple[Unit, ...]:
    """Return the physical boards that the command line, the board's file or an inventory names."""
    if not board.probe_id:
        return tuple(_with_port(unit, board) for unit in board.units)
    for unit in board.units:
        if unit.is_called(board.probe_id):
            return (_with_port(unit, board),)
    return (_with_port(Unit(name="", kind=board.name, probe=board.probe_id), board),)


def _with_port(unit: Unit, board: Board) -> Unit:
    return replace(unit, port=board.port) if board.port else unit


def _command() -> str:
    """Return what runs here, for those who wait for the board."""
    program = Path(sys.argv[0]).name
    return shlex.join([program, *sys.argv[1:]])[:_MOST_CHARACTERS]
