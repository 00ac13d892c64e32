"""Run any bare-metal program of a chip on the emulated board: the engine of `hil emulate`."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hil.config.board import Board
from hil.errors import FirmwareFault
from hil.studies.profile.flame import Chain
from hil.studies.programs.emulator import Emulator
from hil.studies.programs.outcome import Reason, Stopped

if TYPE_CHECKING:
    from hil.studies.stopped import Watched
    from hil.targets.emulator.chips.stm32.chip import Chip

_STOPPED_STATUS = 124  # as timeout(1) has it
_CALLED_OFF_STATUS = 130  # as a shell has it of what Ctrl-C ended
_YEAR_S = 365 * 86_400.0
_RESULTS = {
    Reason.ENDED: "ended",
    Reason.SAID: "said it",
    Reason.TIME: "goes on",
    Reason.CALLED_OFF: "called off",
}


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        exit_status: what it gave SYS_EXIT; 0 where it did what `until` or `seconds` asked for; 124
            when it was stopped after `max_seconds`, 130 when it was called off.
        cycles, instructions: from reset to its end.
        stacks: cycles of each chain of calls.
        unmodelled: registers that it used and that are not modelled, by peripheral.
        stopped: lines about what it was doing when it was stopped; empty where it ended by itself.
        reason: why it stands.
        seconds: of its own clock.
        stuck: whether it was stopped where it could never go on.
    """

    exit_status: int
    cycles: int
    instructions: int
    stacks: Mapping[Chain, int]
    unmodelled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stopped: tuple[str, ...] = ()
    reason: Reason = Reason.ENDED
    seconds: float = 0.0
    stuck: bool = False

    @property
    def result(self) -> str:
        """How it ended, in two or three words."""
        return _RESULTS.get(self.reason, "is stuck" if self.stuck else "out of time")


def run(
    elf: Path | Sequence[str | Path],
    board: Board,
    *,
    base: int | None = None,
    wait_states: int | None = None,
    art: bool | None = None,
    until: str | None = None,
    seconds: float | None = None,
    max_seconds: float | None = None,
    strict: bool = False,
    warn: Callable[[str], None] = lambda _text: None,
    write: Callable[[bytes], None] | None = None,
    arrange: Callable[[Emulator], None] | None = None,
    examine: Callable[["Chip"], None] | None = None,
) -> Outcome:
    """Run a program from reset until it exits, by semihosting.

    Args:
        elf: its file, or several: see `hil.studies.programs.files`.
        board: whose memory map.
        base: where a binary belongs that does not say.
        wait_states: flash wait states, whatever the program sets.
        art: flash caches and prefetch, likewise.
        until: words behind which it is done too.
        seconds: of its own time after which it is done too.
        max_seconds: host time after which the program is stopped.
        strict: whether the first use of a register that is not modelled ends the program, and
            clocks past their limits stop the chip.
        warn: told of each peripheral that is not modelled, once, when the program uses it.
        write: takes what it sends by UART, ITM and semihosting; standard output by default.
        arrange: called before it runs, to connect what is around the board.
        examine: called with the halted chip at the end, to look at its memory and profile.

    Raises:
        BuildError: the file is no ELF for Arm.
        UsageError: it does not fit the board's memory.
        FirmwareFault: the core locked up, met a BKPT that is no request, or, if `strict`, used a
            register that is not modelled.
        EmulatorError: the emulator itself failed.
    """
    from hil.studies.unmodelled import Unmodelled

    names = [elf] if isinstance(elf, str | Path) else list(elf)
    with Emulator(
        *names, board=board, base=base, wait_states=wait_states, art=art, strict=strict
    ) as emulator:
        output = write or write_to_stdout
        emulator.on_console = output
        for uart in emulator.uarts:
            uart.on_data = output
        watched: list[Watched] = []
        emulator.before_giving_up = lambda: watched.append(_watch(emulator.chip))
        unmodelled = Unmodelled(emulator.chip, emulator.elf, warn, strict=strict)
        if arrange is not None:
            arrange(emulator)
        try:
            stopped = emulator.run(text=until, seconds=seconds, host_seconds=max_seconds or _YEAR_S)
            unmodelled.raise_if_strict()
            if stopped.reason is Reason.FAULT:
                raise FirmwareFault(stopped.fault)
            if examine is not None:
                examine(emulator.chip)
            outcome = _outcome(emulator, stopped, watched)
            return replace(outcome, unmodelled=unmodelled.by_peripheral())
        finally:
            sys.stdout.flush()


def _outcome(emulator: Emulator, stopped: Stopped, watched: "list[Watched]") -> Outcome:
    from hil.studies import stopped as about

    done = {
        Reason.SAID: 0,
        Reason.TIME: 0,
        Reason.ENDED: stopped.exit_status or 0,
        Reason.CALLED_OFF: _CALLED_OFF_STATUS,
    }
    told = about.tell(emulator.chip, emulator.elf, watched[0]) if watched else ()
    return Outcome(
        exit_status=done.get(stopped.reason, _STOPPED_STATUS),
        cycles=emulator.cycles,
        instructions=emulator.instructions,
        stacks=emulator.stacks,
        stopped=tuple(told),
        reason=stopped.reason,
        seconds=emulator.seconds,
        stuck=bool(watched) and about.is_stuck(emulator.chip, watched[0]),
    )


def _watch(chip: "Chip") -> "Watched":
    from hil.studies import stopped

    return stopped.watch(chip)


def write_to_stdout(data: bytes) -> None:
    """Print what a program says."""
    sys.stdout.write(data.decode("utf-8", "replace"))
    if b"\n" in data:
        sys.stdout.flush()
