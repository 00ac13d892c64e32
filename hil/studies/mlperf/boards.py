"""Where an image runs: flashed into the emulated board, or on a physical one's port."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, cast

from hil import files
from hil.build.image import Segment, read_segments
from hil.config.board import Board
from hil.errors import UsageError
from hil.studies.mlperf.protocol import Image
from hil.targets import ports
from hil.targets.emulator.target import EmulatedTarget

if TYPE_CHECKING:
    from hil.targets.emulator.chips.stm32.chip import Chip
    from hil.targets.emulator.timing import Rules, TimingCore

_REST_S = 0.001
"""From the end of an answer until an image waits for the next command: a few hundred cycles after
the last byte has left."""

_LINE_S = 600.0
"""Of a run's longest silence: an inference of an emulated board takes its time on a busy host."""
_HELD_HIGH = {"G": 1 << 12}
"""Pins that are high on the submitters' boards, by port: some images of ST wait for one."""


def segments(path: Path, board: Board) -> tuple[Segment, ...]:
    """Return what to program: an ELF's segments, or a binary file's bytes at the flash's start.

    Args:
        path: of the image.
        board: whose flash it is for.

    Raises:
        UsageError: there is no such file, or it is larger than the flash.
        BuildError: it is a damaged ELF.
    """
    if not files.is_file(path):
        raise UsageError(f"there is no image {path}")
    data = path.read_bytes()
    if data.startswith(b"\x7fELF"):
        return tuple(read_segments(path))
    if len(data) > board.flash.bytes:
        raise UsageError(
            f"{path} has {len(data):,} B, the flash of {board.name} {board.flash.bytes:,} B"
        )
    return (Segment(board.flash.address, data),)


@contextmanager
def emulated(path: Path, board: Board, rules: "Rules | None" = None) -> Iterator[Image]:
    """Run an image on the emulated board while the block runs. Raises as the target does.

    Args:
        path: of the image.
        board: whose flash it is programmed into.
        rules: of timing, other than those that figures are published with.
    """
    with EmulatedTarget(board) as target:
        chip = target.emulated.chip
        for port, pins in _HELD_HIGH.items():
            if port in chip.ports:
                chip.ports[port].drive(pins, level=True)
        target.debugger.program(segments(path, board))
        if rules is not None:
            with chip.paused():
                cast("TimingCore", chip.clock).study(rules)
        target.reset()
        image = Image(target.serial(), lambda: _rest(chip), _LINE_S)
        image.wait_until_ready()
        yield image


@contextmanager
def physical(device: str, baud: int) -> Iterator[Image]:
    """Talk, while the block runs, to the image that a physical board has in its flash.

    Args:
        device: the serial port.
        baud: its speed, which the image has chosen.

    Raises:
        LinkError: the port is absent or busy.
    """
    with ports.open_exclusively(device, baud) as port:
        port.reset_input_buffer()
        yield Image(port, lambda: Event().wait(_REST_S), _LINE_S)


def _rest(chip: "Chip") -> None:
    """Let the emulated core run on for the moment that silicon has between two bytes."""
    cycles = round(_REST_S * chip.rcc.core_hz)
    until = chip.clock.run.cycles + cycles
    while chip.clock.run.cycles < until and chip.powered:
        chip.core.linger()
        chip.core.raise_failure()
