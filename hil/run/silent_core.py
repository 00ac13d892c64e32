"""Finds out why a board no longer answers as it should, by a look at its core.

A link that falls silent or babbles looks the same whether a cable is loose or the firmware hangs.
The debugger tells them apart: a core that waits for a request is well, and the line is not.
"""

from typing import TYPE_CHECKING

from hil.build.places import Places
from hil.config import board as boards
from hil.config.board import Board
from hil.errors import (
    BootError,
    FirmwareFault,
    FirmwareTimeout,
    LinkError,
    MeasurementError,
    PortError,
    ProtocolError,
    SilenceError,
)

if TYPE_CHECKING:
    from hil.build.image import Image
    from hil.targets.core_state import CoreState
    from hil.targets.debugger import Debugger

_WAITS = {"port_receive", "port_listen"}
_CRASHED = {"fault_taken", "report"}
_HINT = "run it again under a debugger, stopped there: see docs/emulator.md"


def cause(
    error: MeasurementError,
    image: "Image",
    debugger: "Debugger | None",
    board: Board | None = None,
) -> MeasurementError:
    """Return what stands behind an error of the link: it, or the firmware's that explains it.

    Args:
        error: what ended the measurement.
        image: the firmware that runs.
        debugger: of the board; None where the target has none.
        board: its kind, to tell where its firmware listens; None where that is not wanted.
    """
    told = isinstance(error, BootError | LinkError | SilenceError)
    if debugger is None or not told or isinstance(error, PortError | ProtocolError):
        return error
    places = Places(image.elf)
    try:
        state = debugger.look(lambda pc: places.function(pc) in _WAITS)
    except MeasurementError as lost:
        error.what += f"; its core cannot be asked either: {lost.what}"
        return error
    found = judge(error, state, places)
    if found is error and isinstance(error, BootError) and board is not None and not state.supply:
        error.hint = _wiring(board)
    return found


def judge(error: MeasurementError, state: "CoreState", places: Places) -> MeasurementError:
    """Tell the firmware's fault from the line's, by what the core does.

    Args:
        error: of the link.
        state: of the core.
        places: of the image, which names functions and lines.
    """
    if state.resets:
        return _fault(error, f"the firmware restarted itself: {' and '.join(state.resets)}")
    if state.supply:
        error.what += f"; the chip was reset by {' and '.join(state.supply)}"
        return error
    here = places.describe(state.pc)
    functions = [places.function(place) for place in state.places]
    if state.locked_up:
        status = f"CFSR {state.cfsr:#010x}, HFSR {state.hfsr:#010x}"
        after = f" after {places.describe(state.stacked)}" if state.stacked else ""
        return _fault(error, f"the core is locked up at {here}{after}: {status}")
    if state.halted:
        return _fault(error, f"the firmware halted at a breakpoint of its own, {here}")
    if _WAITS.intersection(functions):
        error.what += "; its core waits for a request, so that what is sent does not arrive"
        return error
    if state.asleep:
        masked = "with interrupts off" if state.primask else "and nothing wakes it"
        return _fault(error, f"the firmware sleeps {masked}, {here}")
    if _CRASHED.intersection(functions):
        return _fault(error, f"the firmware crashed: CFSR {state.cfsr:#010x}, {here}")
    called = places.describe(state.lr)
    busy = f"the firmware is at work and does not come back, {here}, to return to {called}"
    if isinstance(error, LinkError):
        return _fault(error, busy)
    return FirmwareTimeout(
        f"{busy}; {error.what}",
        hint="is it an endless loop? A slow board needs a longer --hil-timeout",
        stage=error.stage,
    )


def _wiring(board: Board) -> str:
    """Say where a firmware that waits listens, and which boards of the same chip listen elsewhere.

    A kind of board that is named wrongly is flashed all the same, and then waits on other pins.
    """
    pins = [port.rx for port in board.ports]
    where = [f"{port.rx} ({port.uart})" for port in board.ports]
    listed = " and ".join(filter(None, [", ".join(where[:-1]), where[-1]]))
    others = boards.known()
    elsewhere = {
        other.name: [port.rx for port in other.ports if port.rx not in pins]
        for other in others
        if other.dev_id == board.dev_id
    }
    alive = f"the firmware is alive and listens on {listed} at {board.baud:,} baud"
    return "; ".join(
        [
            f"{alive}: is the serial port wired there?",
            *(f"--board={name} listens on {', '.join(at)}" for name, at in elsewhere.items() if at),
        ]
    )


def _fault(error: MeasurementError, what: str) -> FirmwareFault:
    return FirmwareFault(f"{what}; {error.what}", hint=_HINT, stage=error.stage)
