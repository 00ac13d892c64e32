"""What a program of `hil emulate` runs under: the same for one program and for each of several."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hil.config import board as boards
from hil.studies import emulate
from hil.studies.programs import wires
from hil.studies.programs.console import SEMIHOSTING, Console

if TYPE_CHECKING:
    from hil.studies.programs.emulator import Emulator


@dataclass(frozen=True)
class Conditions:
    """What a program runs under.

    Attributes:
        board: whose memory map: a name, or the path of a file.
        base: where a binary belongs that does not say.
        wait_states, art: of flash, whatever the program sets.
        until: words behind which it is done.
        seconds: of its own time after which it is done.
        max_seconds: host time after which it is stopped.
        strict: whether the first use of a register that is not modelled ends it.
        uart, gpio, gpio_script, gpio_watch: what is around the board, as `wires` has it.
        trace_uart, trace_events: whether bytes, and resets, faults and sleep, are told.
        report_unmodelled: whether registers that are not modelled are listed at the end.
    """

    board: str = "stm32f439"
    base: int | None = None
    wait_states: int | None = None
    art: bool | None = None
    until: str | None = None
    seconds: float | None = None
    max_seconds: float | None = None
    strict: bool = False
    uart: tuple[str, ...] = ()
    gpio: tuple[str, ...] = ()
    gpio_script: Path | None = None
    gpio_watch: tuple[str, ...] = ()
    trace_uart: bool = False
    trace_events: bool = False
    report_unmodelled: bool = False


def run(
    names: Sequence[str],
    conditions: Conditions,
    write: Callable[[bytes], None],
    tell: Callable[[str], None],
    *,
    stdin: int | None = None,
    begin: Callable[["Emulator"], None] = lambda _emulator: None,
) -> emulate.Outcome:
    """Run a program from reset until it is done.

    Args:
        names: of its files.
        conditions: what it runs under.
        write: takes what it says by UART, ITM and semihosting.
        tell: takes lines about it, for a person.
        stdin: the descriptor that a port on `stdio` reads; None for none.
        begin: called with its emulator before it runs.

    Raises:
        HilError: as `emulate.run` does.
    """
    console = Console(write)
    with ExitStack() as stack:
        stack.callback(console.end)

        def arrange(emulator: "Emulator") -> None:
            begin(emulator)
            emulator.on_console = console.voice(SEMIHOSTING)
            for uart in emulator.uarts:
                uart.on_data = console.voice(uart.name)
            _surround(emulator, conditions, tell, stdin, stack)

        return emulate.run(
            names,
            boards.load(conditions.board),
            base=conditions.base,
            wait_states=conditions.wait_states,
            art=conditions.art,
            until=conditions.until,
            seconds=conditions.seconds,
            max_seconds=conditions.max_seconds,
            strict=conditions.strict,
            warn=tell,
            arrange=arrange,
        )


def last_words(outcome: emulate.Outcome, conditions: Conditions) -> Iterator[str]:
    """Yield what is told once a program stands: what stopped it, what it used.

    Args:
        outcome: how it ended.
        conditions: that it ran under.
    """
    if outcome.stopped:
        yield f"stopped after {conditions.max_seconds:g} s; " + "\n  ".join(outcome.stopped)
    if not conditions.report_unmodelled:
        return
    if outcome.unmodelled:
        used = (f"{name}: {', '.join(all_)}" for name, all_ in outcome.unmodelled.items())
        yield "it used registers that are not modelled:\n  " + "\n  ".join(used)
    else:
        yield "it used no register that is not modelled"


def _surround(
    emulator: "Emulator",
    conditions: Conditions,
    tell: Callable[[str], None],
    stdin: int | None,
    stack: ExitStack,
) -> None:
    if conditions.trace_uart:
        wires.trace(emulator, tell)
    stack.enter_context(wires.connected(emulator, conditions.uart, tell, stdin))
    wires.drive(emulator, conditions.gpio)
    if conditions.gpio_script is not None:
        wires.drive_by_script(emulator, conditions.gpio_script)
    wires.watch(emulator, conditions.gpio_watch, tell)
    if conditions.trace_events:
        emulator.on_event = lambda words: tell(f"cycle {emulator.cycles:,}: {words}")
