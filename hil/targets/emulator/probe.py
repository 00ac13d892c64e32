"""The emulated board as a pyOCD debug probe, registered under the entry point `pyocd.probe`.

pyOCD imports this module whenever it starts, so it imports nothing of the emulator until a probe is
opened. It is pyOCD's to import: imported before pyOCD it would find itself half loaded.

In a process that has powered a board (the harness) the probe leads to that board; elsewhere (`pyocd
gdbserver`) opening it powers a board of its own.
"""

import importlib.util
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyocd.core import exceptions
from pyocd.core.plugin import Plugin
from pyocd.probe.debug_probe import DebugProbe

from hil.targets import pyocd_parts
from hil.targets.emulator import powered

if TYPE_CHECKING:
    from pyocd.board.board_ids import BoardInfo

    from hil.config.board import Board
    from hil.targets.emulator.board import EmulatedBoard
    from hil.targets.emulator.debug.port import DebugPort

BOARD_VARIABLE = "HIL_EMULATOR_BOARD"
FLASH_VARIABLE = "HIL_EMULATOR_FLASH"
TERMINAL_VARIABLE = "HIL_EMULATOR_TTY"
_DEFAULT_BOARD = "stm32f439"
_DEBUG_IS_OFF = 2  # the level of read-out protection from which no debugger comes back


class EmulatedProbe(DebugProbe):
    """A probe whose wire is a method call."""

    @classmethod
    def get_all_connected_probes(
        cls,
        unique_id: str | None = None,
        is_explicit: bool = False,
    ) -> Sequence["EmulatedProbe"]:
        """Return the probes of all powered boards, and one that powers its own."""
        del unique_id, is_explicit
        ids = powered.unique_ids()
        return [cls(one) for one in [*ids, *({_own_unique_id()} - set(ids))]]

    @classmethod
    def get_probe_with_id(
        cls,
        unique_id: str,
        is_explicit: bool = False,
    ) -> "EmulatedProbe | None":
        """Return the probe of a unique id, None if there is none."""
        del is_explicit
        probes = cls.get_all_connected_probes()
        return next((p for p in probes if p.unique_id.lower() == unique_id.lower()), None)

    def __init__(self, unique_id: str) -> None:
        super().__init__()
        self._unique_id = unique_id
        self._board: EmulatedBoard | None = None
        self._connected = False
        self._reset_asserted = False

    # what it says of itself

    @property
    def vendor_name(self) -> str:
        """Maker of the probe."""
        return "rnnpool-hil"

    @property
    def product_name(self) -> str:
        """Name of the probe."""
        return f"emulated {self._described.name}"

    @property
    def unique_id(self) -> str:
        """Unique id of the board."""
        return self._unique_id

    @property
    def supported_wire_protocols(self) -> Collection[DebugProbe.Protocol]:
        """Protocols that `connect` takes."""
        return (DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD)

    @property
    def wire_protocol(self) -> DebugProbe.Protocol | None:
        """The protocol spoken, None when not connected."""
        return DebugProbe.Protocol.SWD if self._connected else None

    @property
    def is_open(self) -> bool:
        """Whether the probe is open."""
        return self._board is not None

    @property
    def capabilities(self) -> set[DebugProbe.Capability]:
        """What the probe can do beyond the least."""
        return {DebugProbe.Capability.SWJ_SEQUENCE}

    @property
    def associated_board_info(self) -> "BoardInfo":
        """The board it is part of, which gives pyOCD the target type."""
        from pyocd.board.board_ids import BoardInfo

        pyocd_parts.register(self._described)
        # The binary is what pyOCD's own test scripts run on this family of chips.
        return BoardInfo(
            name=self.product_name,
            target=self._described.pyocd_target,
            binary="NUCLEO_F411RE.bin",
            vendor="rnnpool-hil",
        )

    def create_associated_board(self) -> Any:
        """Return pyOCD's board object.

        pyOCD's description of a part may lack its CCM, and gdb reads no memory that is not
        described: a stack there could not be walked.
        """
        from pyocd.board.board import Board
        from pyocd.core.memory_map import RamRegion

        session: Any = self.session
        made = Board(session, board_info=self.associated_board_info)
        for ram in self._described.regions:
            if made.target.memory_map.get_region_for_address(ram.address) is None:
                region = RamRegion(
                    start=ram.address,
                    length=ram.bytes,
                    name=ram.name,
                    is_default=False,
                    is_testable=False,
                )
                made.target.memory_map.add_region(region)
        return made

    @property
    def _described(self) -> "Board":
        """The board behind the probe, or that opening it would power."""
        found = self._board or powered.find(self._unique_id)
        return found.board if found else _own_board()

    # opening

    def open(self) -> None:
        """Find the powered board, or power one."""
        self._board = powered.find(self._unique_id) or _power_board(self._unique_id)

    def close(self) -> None:
        """Let the board go; it keeps its power."""
        self._connected = False
        self._board = None

    def connect(self, protocol: DebugProbe.Protocol | None = None) -> None:
        """Start speaking SWD."""
        del protocol
        if self._opened.chip.options.level == _DEBUG_IS_OFF:
            raise exceptions.TransferError("no ACK received")
        self._port.connect()
        self._connected = True

    def disconnect(self) -> None:
        """Stop speaking."""
        self._connected = False

    def swj_sequence(self, length: int, bits: int) -> None:
        """Take a line reset or protocol switch: the DP forgets errors and power requests.

        Args:
            length: bits.
            bits: the sequence, its first bit lowest.
        """
        del bits
        if length > 50:
            self._port.connect()

    def set_clock(self, frequency: float) -> None:
        """Take any speed: nothing here takes time."""

    def flush(self) -> None:
        """Do nothing: writes take effect at once."""

    # reset

    def reset(self) -> None:
        """Pulse the reset pin."""
        self.assert_reset(asserted=True)
        self.assert_reset(asserted=False)

    def assert_reset(self, asserted: bool) -> None:
        """Drive the reset pin."""
        self._reset_asserted = asserted
        self._opened.chip.hold_in_reset(asserted=asserted)

    def is_reset_asserted(self) -> bool:
        """Return whether the reset pin is driven."""
        return self._reset_asserted

    # access

    def read_dp(self, addr: int, now: bool = True) -> Any:
        """Read a DP register."""
        return _now_or_later(lambda: self._port.read_dp(addr), now=now)

    def write_dp(self, addr: int, data: int) -> None:
        """Write a DP register."""
        self._port.write_dp(addr, data)

    def read_ap(self, addr: int, now: bool = True) -> Any:
        """Read an AP register."""
        return _now_or_later(lambda: self._port.read_ap(addr), now=now)

    def write_ap(self, addr: int, data: int) -> None:
        """Write an AP register."""
        _faults(lambda: self._port.write_ap(addr, data))

    def read_ap_multiple(self, addr: int, count: int = 1, now: bool = True) -> Any:
        """Read an AP register several times over."""
        return _now_or_later(lambda: self._port.read_ap_many(addr, count), now=now)

    def write_ap_multiple(self, addr: int, values: Sequence[int]) -> None:
        """Write an AP register several times over."""
        _faults(lambda: self._port.write_ap_many(addr, values))

    @property
    def _opened(self) -> "EmulatedBoard":
        if self._board is None:
            raise exceptions.ProbeError("the emulated probe is not open")
        return self._board

    @property
    def _port(self) -> "DebugPort":
        opened = self._opened
        opened.on_access()
        return opened.debug_port


def _faults(access: Callable[[], Any]) -> Any:
    """Do an access; a fault response becomes pyOCD's exception."""
    from hil.targets.emulator.debug.port import TransferFault

    try:
        return access()
    except TransferFault as fault:
        raise exceptions.TransferFaultError from fault


def _now_or_later(access: Callable[[], Any], *, now: bool) -> Any:
    """Do a read at once, and give its outcome now or through a function, as pyOCD asks."""
    try:
        value = _faults(access)
    except exceptions.TransferFaultError as error:
        if now:
            raise
        return _raiser(error)
    return value if now else lambda: value


def _raiser(error: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def _own_board() -> "Board":
    """Return the board that a pyOCD command powers."""
    from hil.config import board

    return board.load(os.environ.get(BOARD_VARIABLE) or _DEFAULT_BOARD)


def _own_unique_id() -> str:
    chosen = os.environ.get(BOARD_VARIABLE) or _DEFAULT_BOARD
    return f"emulated-{Path(chosen).stem}"


def _power_board(unique_id: str) -> "EmulatedBoard":
    """Power a board for a pyOCD command: flash in a file, serial port on a pseudo-terminal."""
    from hil.targets.emulator.board import EmulatedBoard, default_clock

    flash = os.environ.get(FLASH_VARIABLE)
    emulated = EmulatedBoard(
        _own_board(),
        unique_id,
        make_clock=default_clock,
        flash_file=Path(flash) if flash else None,
    )
    emulated.open_terminal(os.environ.get(TERMINAL_VARIABLE))
    powered.keep(emulated)
    return emulated


class EmulatedProbePlugin(Plugin):
    """Tells pyOCD of the probe, where Unicorn is installed."""

    def should_load(self) -> bool:
        """Return whether the emulator can work here."""
        return importlib.util.find_spec("unicorn") is not None

    def load(self) -> type[EmulatedProbe]:
        """Return the probe class."""
        return EmulatedProbe

    @property
    def name(self) -> str:
        """Name of the probe type, as in `-u hil-emulator:ID`."""
        return powered.PROBE_TYPE

    @property
    def description(self) -> str:
        """What `pyocd list --plugins` says."""
        return "Emulated board"
