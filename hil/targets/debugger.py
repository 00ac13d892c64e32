"""A pyOCD session: what a real probe and the emulated one have in common."""

import logging
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from hil.build.image import Segment
from hil.config.board import Board
from hil.errors import FlashError, ProbeError
from hil.targets import core_state, identity, option_bytes, pyocd_parts, ram_program

_DEMCR, _VC_CORERESET = 0xE000_EDFC, 1  # ARMv7-M manual section C1.6.5
_LOG = logging.getLogger(__name__)
_READ_BYTES = 16384
_PROGRAM_S = 10.0
_LOOK_EVERY_S = 0.005  # a probe has no way to call: whether the core has halted must be asked

_UNREACHABLE = (
    "; a chip without power answers nothing, nor does one whose read-out protection is at level 2, "
    "for ever"
)
_READ_DESCRIPTION = "load_svd"
"""pyOCD's name of that step."""
_SESSION_OPTIONS = {
    "hide_programming_progress": True,
    "chip_erase": "sector",
    "smart_flash": True,  # leave out what the flash holds already
    "keep_unwritten": False,
    "resume_on_disconnect": False,
    "no_config": True,  # what a desk's pyocd.yaml says must not change a measurement
}


class Debugger:
    """Programs, verifies and resets the board behind a pyOCD probe.

    Args:
        probe: a pyOCD DebugProbe.
        hint: what the user can do when the probe fails.
        options: pyOCD's session options for this kind of probe.
        uid: the unique id that the chip must have, in hexadecimal; empty for any.
        ladder: further options of each attempt to connect, the gentlest first.
        tell: told what comes after an attempt that failed.
        checksums: have the chip verify flash by a checksum, for a probe that reads slowly.
    """

    def __init__(
        self,
        board: Board,
        probe: Any,
        *,
        hint: str,
        options: Mapping[str, Any] | None = None,
        uid: str = "",
        ladder: Sequence[Mapping[str, Any]] = ({},),
        tell: Callable[[str], None] = _LOG.info,
        checksums: bool = False,
    ) -> None:
        self._board = board
        self._ladder = ladder
        self._tell = tell
        self._checksums = checksums
        self._uid = uid
        self._options = {**_SESSION_OPTIONS, **(options or {})}
        self._probe = probe
        self._hint = hint
        self._session: Any = None

    def open(self) -> None:
        """Connect to the core of the chip that the board's file names. Raises ProbeError."""
        *gentle, last = self._ladder
        for rung in gentle:
            try:
                self._connect(rung)
                break
            except ProbeError as error:
                self._let_go()
                self._tell(f"{error.what}; connecting otherwise")
        else:
            self._connect(last)
        try:
            self._require_its_chip()
        except ProbeError:
            self._let_go()
            raise

    def _let_go(self) -> None:
        """Close after an error, which is what is told, whatever comes of closing."""
        with suppress(ProbeError):
            self.close()

    def _connect(self, rung: Mapping[str, Any]) -> None:
        from pyocd.core.session import Session

        pyocd_parts.register(self._board)
        options = {**self._options, **rung, "target_override": self._board.pyocd_target}
        with self._probe_errors("connecting", or_else=_UNREACHABLE):
            session = self._session = Session(self._probe, auto_open=False, options=options)
            if session.delegate is None:  # nor a script of the user's
                session.delegate = _NoDescription()
            session.open()

    def identity(self) -> identity.Identity | None:
        """Return what the chip says it is, None of a family not known. Raises ProbeError."""
        return identity.read(self._board.chip, self.read)

    def program(self, segments: Iterable[Segment]) -> None:
        """Erase, program and verify, and leave the core halted at the reset vector.

        Raises:
            FlashError: an address is no flash, programming failed, or it reads back otherwise.
            ProbeError: the probe or the core is lost, or option bytes forbid a measurement.
        """
        from pyocd.flash.loader import MemoryLoader

        pieces = list(segments)
        for piece in pieces:
            self._check_fits(piece)
        with self._probe_errors("programming"):
            option_bytes.check(self._board, self._target.read_memory, pieces)
            self._target.reset_and_halt()
            loader = MemoryLoader(self._session)
            for piece in pieces:
                loader.add_data(piece.address, piece.data)
            loader.commit()
            self._verify(pieces)
            self._target.reset_and_halt()

    def erase_all(self) -> None:
        """Erase all of the flash. Raises FlashError, ProbeError."""
        from pyocd.flash.eraser import FlashEraser

        with self._probe_errors("erasing"):
            self._target.reset_and_halt()
            FlashEraser(self._session, FlashEraser.Mode.CHIP).erase()

    def reset(self, *, by_pin: bool = False) -> None:
        """Reset the chip, by software or its pin, and let the firmware run. Raises ProbeError."""
        from pyocd.core.target import Target

        with self._probe_errors("resetting"):
            # A run that was killed may have left it on, and a reset does not clear it.
            self._target.write_memory(_DEMCR, self._target.read_memory(_DEMCR) & ~_VC_CORERESET)
            self._target.reset(Target.ResetType.HARDWARE if by_pin else None)

    def read(self, address: int, count: int) -> bytes:
        """Read memory, of a core that runs too. Raises ProbeError.

        Args:
            address: of the first byte.
            count: of bytes.
        """
        with self._probe_errors("reading memory"):
            return _memory(self._target, address, count)

    def look(self, enough: Callable[[int], bool]) -> core_state.CoreState:
        """Look what the core does; one that runs is stopped for moments.

        Args:
            enough: whether a program counter says all there is to know; else it is looked at again.

        Raises:
            ProbeError: the core cannot be reached.
        """
        with self._probe_errors("asking the core"):
            return core_state.look(self._target, self._board.chip, enough)

    def forget_resets(self) -> None:
        """Forget why the chip was reset so far. Raises ProbeError."""
        with self._probe_errors("clearing reset causes"):
            core_state.forget_resets(self._target, self._board.chip)

    def read_word(self, address: int) -> int:
        """Read a register of the chip, 32 bits. Raises ProbeError."""
        with self._probe_errors("reading a register"):
            return int(self._target.read_memory(address))

    def write(self, address: int, data: bytes) -> None:
        """Write RAM or registers. Raises ProbeError.

        Args:
            address: of the first byte.
            data: what is written there.
        """
        with self._probe_errors("writing memory"):
            self._target.write_memory_block8(address, list(data))

    def halt(self) -> None:
        """Halt the core where it is. Raises ProbeError."""
        with self._probe_errors("halting"):
            self._target.halt()

    def reset_and_halt(self) -> None:
        """Reset the chip and hold its core at the reset vector. Raises ProbeError."""
        with self._probe_errors("resetting"):
            self._target.reset_and_halt()

    def count_cycles(self, program: bytes, address: int, seconds: float) -> ram_program.Counted:
        """Run a program from RAM for a while, and count cycles: see `ram_program.count`.

        Args:
            program: Thumb code.
            address: in RAM, where it is put.
            seconds: of the host.

        Raises:
            ProbeError: the probe or the core is lost.
        """
        with self._probe_errors("counting cycles"):
            return ram_program.count(self._target, program, address, seconds)

    def execute(
        self,
        program: bytes,
        address: int,
        registers: Mapping[str, int],
        deadline_s: float = _PROGRAM_S,
    ) -> tuple[int, ...]:
        """Run a program from RAM to its BKPT, the cycle counter on: see `ram_program.counted`.

        Args:
            program: Thumb code.
            address: in RAM, where it is put.
            registers: values that it begins with, by name.
            deadline_s: after which it is given up.

        Raises:
            ProbeError: it does not end, or the probe or the core is lost.
        """
        with self._probe_errors("running a program in RAM"):
            return ram_program.counted(self._target, program, address, registers, deadline_s)

    @property
    def probe_name(self) -> str:
        """What the probe calls itself, with its firmware's version where it says so."""
        link = getattr(self._probe, "_link", None)  # an ST-LINK's
        hardware, firmware = (getattr(link, one, None) for one in ("hw_version", "jtag_version"))
        version = f", firmware V{hardware}J{firmware}" if firmware is not None else ""
        return f"{self._probe.description}{version}"

    @contextmanager
    def breakpoints(self) -> "Iterator[Breakpoint]":
        """Lend a breakpoint while the block runs; behind it the core runs on. Raises ProbeError."""
        stop = Breakpoint(self._target, self._probe_errors)
        try:
            yield stop
        finally:
            stop.release()

    def close(self) -> None:
        """Let the probe go; harmless when it is not open."""
        session, self._session = self._session, None
        if session is not None:
            with self._probe_errors("disconnecting"):
                try:
                    session.close()
                finally:
                    if self._probe.is_open:  # pyOCD lets it go only where the core still answers
                        self._probe.close()

    def _require_its_chip(self) -> None:
        found = self.identity()
        if found is None:
            return
        identity.require(found, self._board)
        if self._uid and found.uid != self._uid.lower():
            raise ProbeError(
                f"the chip behind the probe has the unique id {found.uid}, the inventory says "
                f"{self._uid}",
                hint="another board was put in its place: mend its entry in hil-boards.toml",
            )

    @property
    def _target(self) -> Any:
        if self._session is None:
            raise ProbeError("the board is not open", hint="open the target before using it")
        return self._session.target

    def _check_fits(self, piece: Segment) -> None:
        flash = self._board.flash
        if piece.address < flash.address or piece.end > flash.end:
            raise FlashError(
                f"the image has {len(piece.data):,} B at {piece.address:#010x}, outside the flash "
                f"at {flash.address:#010x}..{flash.end - 1:#010x}",
                hint="build it for this board",
            )

    def _verify(self, pieces: Sequence[Segment]) -> None:
        """Have the chip compute checksums where that is quicker; else read all back."""
        if not self._checksums:
            for piece in pieces:
                self._read_back(piece)
            return
        self._target.reset_and_halt()  # the algorithm may have left caches on
        place = self._board.sram.address
        for piece in pieces:
            found = ram_program.checksum(self._target, place, piece.address, len(piece.data))
            if found != zlib.crc32(piece.data):
                self._read_back(piece)
                raise FlashError(
                    f"the chip's checksum of {len(piece.data):,} B at {piece.address:#010x} is "
                    "wrong, and yet each reads as it was programmed",
                    hint="try again; then suspect the supply, or the RAM that the check runs in",
                )

    def _read_back(self, piece: Segment) -> None:
        for start in range(0, len(piece.data), _READ_BYTES):
            wanted = piece.data[start : start + _READ_BYTES]
            found = _memory(self._target, piece.address + start, len(wanted))
            if found != wanted:
                at = next(i for i, (a, b) in enumerate(zip(wanted, found, strict=True)) if a != b)
                raise FlashError(
                    f"flash reads {found[at]:#04x} at {piece.address + start + at:#010x} where "
                    f"{wanted[at]:#04x} was programmed",
                    hint="erase the chip and try again; then suspect the flash or the wiring",
                )

    @contextmanager
    def _probe_errors(self, doing: str, or_else: str = "") -> Iterator[None]:
        """Turn pyOCD's errors into the harness's; `or_else` goes on where the hint ends."""
        from pyocd.core import exceptions

        try:
            yield
        except (exceptions.Error, OSError) as error:
            if _interrupted(error):  # what pyOCD then failed to put in order is not what is told
                raise KeyboardInterrupt from error
            if isinstance(error, exceptions.FlashFailure):
                raise FlashError(f"pyOCD failed while {doing}: {error}", hint=self._hint) from error
            what = str(error) or type(error).__name__
            hint = self._hint + or_else
            raise ProbeError(f"pyOCD failed while {doing}: {what}", hint=hint) from error


def _memory(target: Any, address: int, count: int) -> bytes:
    """Read memory through pyOCD by words where they are aligned: it handles each item by itself."""
    words = 0 if address % 4 else count // 4
    data = struct.pack(f"<{words}I", *target.read_memory_block32(address, words)) if words else b""
    rest = count - len(data)
    return data + bytes(target.read_memory_block8(address + len(data), rest)) if rest else data


class _NoDescription:
    """pyOCD's delegate: the description of the chip's registers stays unread.

    Reading it takes longer than programming a small image, and nothing here asks for it.
    """

    def will_init_target(self, target: Any, init_sequence: Any) -> None:
        """Leave it out of what pyOCD does to connect; the name is pyOCD's."""
        del target
        if init_sequence.has_task(_READ_DESCRIPTION):
            init_sequence.remove_task(_READ_DESCRIPTION)


def _interrupted(error: BaseException) -> bool:
    """Whether an error came up while an interrupt by the user was on its way."""
    behind = error.__context__
    return behind is not None and (isinstance(behind, KeyboardInterrupt) or _interrupted(behind))


class Breakpoint:
    """One hardware breakpoint that moves through the code.

    Args:
        target: pyOCD's.
        errors: turns pyOCD's errors into the harness's.
    """

    def __init__(self, target: Any, errors: Callable[[str], AbstractContextManager[None]]) -> None:
        self._target = target
        self._errors = errors
        self._at: int | None = None

    def halt(self) -> None:
        """Halt the core where it is."""
        with self._errors("halting"):
            self._target.halt()

    def move_to(self, address: int) -> None:
        """Move the breakpoint, and let the halted core run."""
        with self._errors("setting a breakpoint"):
            self._clear()
            self._target.set_breakpoint(address)
            self._at = address
            self._target.resume()

    def reached(self, running: "Future[Any]") -> bool:
        """Wait until the core halts there; False where what it runs has ended before."""
        from pyocd.core.target import Target as PyocdTarget

        while True:
            with self._errors("waiting for a breakpoint"):
                if self._target.get_state() == PyocdTarget.State.HALTED:
                    return True
            if wait([running], timeout=_LOOK_EVERY_S).done:
                return False

    def read(self, address: int, count: int) -> bytes:
        """Read memory of the halted core.

        Args:
            address: of the first byte.
            count: of bytes.
        """
        with self._errors("reading memory"):
            return bytes(self._target.read_memory_block8(address, count))

    def register(self, name: str) -> int:
        """Read a register of the halted core."""
        with self._errors("reading a register"):
            return int(self._target.read_core_register(name))

    def release(self) -> None:
        """Take the breakpoint away and let the core run on."""
        with self._errors("going on"):
            self._clear()
            self._target.resume()

    def _clear(self) -> None:
        if self._at is not None:
            self._target.remove_breakpoint(self._at)
            self._at = None
