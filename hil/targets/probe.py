"""A real board through its debug probe and serial port."""

from collections.abc import Sequence
from typing import Any, ClassVar

from serial import SerialBase

from hil.build.image import Image
from hil.config.board import Board
from hil.errors import LinkError, ProbeError
from hil.targets.base import Target
from hil.targets.debugger import Debugger

_HINT = "check the cable, and that `pyocd list` shows the probe and nobody else uses it"
_SERIAL_HINT = "name the port with --hil-port, or in the board's file under [probe]"


class ProbeTarget(Target):
    """A board on the desk, driven by pyOCD; its cycle counts are the chip's own."""

    name: ClassVar[str] = "probe"
    timing: ClassVar[str] = "silicon"

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self._debugger: Debugger | None = None
        self._serial: Any = None
        self._probe_id = ""

    def open(self) -> None:
        """Take the probe. Raises ProbeError."""
        probe = choose(real_probes(), self.board.probe_id)
        self._probe_id = probe.unique_id
        self._debugger = Debugger(self.board, probe, hint=_HINT)
        self._debugger.open()

    def flash(self, image: Image) -> None:
        """Erase, program and verify, and leave the core halted. Raises FlashError, ProbeError."""
        self._opened.program(image.segments)

    def reset(self) -> None:
        """Reset the chip and let the firmware run. Raises ProbeError."""
        if self._serial is not None:
            self._serial.reset_input_buffer()
        self._opened.reset()

    def serial(self) -> SerialBase:
        """Return the open serial port of the firmware's link. Raises LinkError."""
        if self._serial is None:
            self._serial = _open_port(self.board.port or _find_port(self._probe_id), self.board)
        port: SerialBase = self._serial
        return port

    @property
    def debugger(self) -> Debugger:
        """What halts the core and reads its memory. Raises ProbeError."""
        return self._opened

    def close(self) -> None:
        """Release the board; harmless when it is not open."""
        serial, self._serial = self._serial, None
        if serial is not None:
            serial.close()
        debugger, self._debugger = self._debugger, None
        if debugger is not None:
            debugger.close()

    @property
    def _opened(self) -> Debugger:
        if self._debugger is None:
            raise ProbeError("the board is not open", hint="open the target before using it")
        return self._debugger


def real_probes() -> list[Any]:
    """Return all connected probes but the emulated ones; it waits for none."""
    from pyocd.probe.aggregator import PROBE_CLASSES

    from hil.targets.emulator.powered import PROBE_TYPE

    kinds = [kind for name, kind in PROBE_CLASSES.items() if name != PROBE_TYPE]
    return [probe for kind in kinds for probe in kind.get_all_connected_probes()]


def choose(probes: Sequence[Any], unique_id: str) -> Any:
    """Return the probe of a unique id, or the only one there is.

    Args:
        probes: pyOCD's probes.
        unique_id: whole, in any case; empty for the only probe.

    Raises:
        ProbeError: there is none, or several and no unique id chooses between them.
    """
    listed = ", ".join(f"{probe.unique_id} ({probe.description})" for probe in probes) or "none"
    if unique_id:
        for probe in probes:
            if probe.unique_id.lower() == unique_id.lower():
                return probe
        raise ProbeError(f"no probe {unique_id!r} is connected; connected: {listed}", hint=_HINT)
    if not probes:
        raise ProbeError(
            "no debug probe is connected",
            hint="connect the board, or run on the emulated one with --hil-target=emulator",
        )
    if len(probes) > 1:
        raise ProbeError(
            f"several probes are connected: {listed}", hint="choose one with --hil-probe"
        )
    return probes[0]


def _find_port(probe_id: str) -> str:
    """Return the serial port of the USB device that the probe is, by its serial number."""
    from serial.tools.list_ports import comports  # type: ignore[attr-defined]

    ports = list(comports())
    for port in ports:
        if port.serial_number and port.serial_number.lower() == probe_id.lower():
            return str(port.device)
    listed = ", ".join(str(port.device) for port in ports) or "none"
    raise LinkError(
        f"no serial port belongs to probe {probe_id}; ports here: {listed}", hint=_SERIAL_HINT
    )


def _open_port(device: str, board: Board) -> SerialBase:
    import serial

    try:
        port: SerialBase = serial.serial_for_url(device, baudrate=board.baud)
    except (serial.SerialException, ValueError) as error:
        raise LinkError(f"{device} cannot be opened: {error}", hint=_SERIAL_HINT) from error
    return port
