"""A folder of programs, each run for a while: which end, which go on, and what stops the others."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from hil.config import board as boards
from hil.errors import HilError, UsageError
from hil.studies.programs.processes import Died, Ended, Processes, Voice

if TYPE_CHECKING:
    from hil.targets.emulator.chips.stm32.chip import Chip

SUFFIXES = (".elf", ".axf", ".hex", ".bin", ".out")
_ELF = b"\x7fELF"
_MOST_SAID = 60


@dataclass(frozen=True)
class Terms:
    """What every program of a survey gets.

    Attributes:
        board: whose memory map.
        seconds: of the program's own clock.
        host_seconds: of the host's.
    """

    board: str = "stm32f439"
    seconds: float = 2.0
    host_seconds: float = 60.0


@dataclass(frozen=True)
class Row:
    """What became of a program.

    Attributes:
        program: its path within the folder.
        result: "ended", "goes on", "is stuck", "out of time" (the host's was over first), "fault"
            or "refused".
        seconds: of its own clock.
        said: bytes that it has sent by UART, ITM and semihosting.
        begins: how that begins.
        missing: peripherals that it used, or waits for by DMA, and that are not modelled.
        note: why it is stuck, faulted or was refused; which peripherals it wrote to without clock.
    """

    program: str
    result: str
    seconds: float = 0.0
    said: int = 0
    begins: str = ""
    missing: str = ""
    note: str = ""


def programs(folder: Path) -> list[Path]:
    """Find every program in a folder and its folders.

    Raises:
        UsageError: there is no such folder, or no program in it.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    found = [one for one in sorted(folder.rglob("*")) if one.is_file() and _is_program(one)]
    if not found:
        raise UsageError(
            f"no program is in {folder}", hint=f"those are: {', '.join(SUFFIXES)}, ELF"
        )
    return found


def _is_program(path: Path) -> bool:
    if path.suffix.lower() in SUFFIXES:
        return True
    if path.suffix in {".o", ".a", ".so"}:
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_ELF)) == _ELF
    except OSError:
        return False


def run(folder: Path, paths: Sequence[Path], terms: Terms, jobs: int) -> Iterator[Row]:
    """Run programs, each in a process of its own; yield them as they end.

    Args:
        folder: that they are in.
        paths: of the programs.
        terms: the same for all.
        jobs: processes at once.

    Raises:
        UsageError: there is no such board.
    """
    boards.load(terms.board)
    names = [str(path.relative_to(folder)) for path in paths]
    tasks = [(path, name, terms) for path, name in zip(paths, names, strict=True)]
    with Processes(_process, tasks, jobs) as all_:
        for event in all_.events():
            match event:
                case Ended():
                    yield event.result
                case Died():
                    yield Row(names[event.number], "fault", note="the emulator's process died")


def _process(task: tuple[Path, str, Terms], _voice: Voice) -> Row:
    return one(*task)


def one(path: Path, name: str, terms: Terms) -> Row:
    """Run one program; whatever it does becomes a row.

    Args:
        path: of the ELF.
        name: of the row.
        terms: how long it may run, and on what.
    """
    from hil.studies import emulate

    said, missing, dead = bytearray(), set[str](), set[str]()

    def examine(chip: "Chip") -> None:
        missing.update(_missing(chip))
        dead.update(chip.memory.bus.unclocked)

    try:
        outcome = emulate.run(
            path,
            boards.load(terms.board),
            seconds=terms.seconds,
            max_seconds=terms.host_seconds,
            write=said.extend,
            examine=examine,
        )
    except HilError as error:
        kind = "refused" if not said and "at pc" not in str(error) else "fault"
        return Row(name, kind, said=len(said), begins=_begins(said), note=error.what)
    status = f"status {outcome.exit_status}" if outcome.exit_status else ""
    unclocked = f"written to without its clock: {', '.join(sorted(dead))}" if dead else ""
    return Row(
        name,
        outcome.result,
        outcome.seconds,
        len(said),
        _begins(said),
        ", ".join(sorted(missing)),
        "; ".join(part for part in (*outcome.stopped, status, unclocked) if part),
    )


def _missing(chip: "Chip") -> Iterator[str]:
    from hil.targets.emulator.chips.stm32.gates import block_at
    from hil.targets.emulator.register_names import RegisterNames

    names = RegisterNames(chip.svd)
    for address in chip.memory.bus.unmodelled:
        yield names.peripheral(address) or block_at(chip.unmodelled, address) or f"{address:#010x}"
    for peripheral in chip.peripherals:
        yield from (request.partition("_")[0] for request in peripheral.unmet)


def _begins(said: bytearray) -> str:
    text = bytes(said[: 4 * _MOST_SAID]).decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_MOST_SAID]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=os.linesep)
    writer.writerow([one.name for one in fields(Row)])
    writer.writerows(astuple(row) for row in rows)
    return text.getvalue()
