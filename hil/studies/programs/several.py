"""Several programs at once, each on an emulated board of its own in a process of its own."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from hil import files as plain_files
from hil.config import board as boards
from hil.errors import HilError, UsageError
from hil.studies.programs import conditions as one_program
from hil.studies.programs import files, processes, verdicts
from hil.studies.programs.conditions import Conditions
from hil.studies.programs.processes import Died, Ended, Processes, Said, Voice

if TYPE_CHECKING:
    from hil.studies.programs.emulator import Emulator

SAYS, TOLD, ENDS = "says", "told", "ends"
"""What is heard of a program: its own words, lines about it, and that there are no more."""

_INTERRUPTED, _COULD_NOT_GO_ON = 130, 2  # as the command of one program has them
_CHUNK_BYTES = 4096
Hear = Callable[[str, str, bytes], None]
"""Called with a program's name, `SAYS`, `TOLD` or `ENDS`, and bytes."""


@dataclass(frozen=True)
class Program:
    """A program of several.

    Attributes:
        name: that no other of them has.
        files: that are loaded into its board.
    """

    name: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """What a process does.

    Attributes:
        program: that it runs.
        conditions: the same for all.
        tests: whether the tests that the program prints count.
    """

    program: Program
    conditions: Conditions
    tests: bool = False


@dataclass(frozen=True)
class Row:
    """What became of a program.

    Attributes:
        program: its name.
        result: "ended", "said it", "goes on" (its time is over), "is stuck", "out of time",
            "fault", "refused", "called off", "not begun" or "died".
        exit_status: as if it had run alone.
        instructions, cycles: from reset to its end.
        seconds: of the board's clock.
        memory_bytes: the most that its process had, resident.
        problem: why it did not come to its end; empty where it did.
        cases: tests that it printed.
    """

    program: str
    result: str
    exit_status: int
    instructions: int = 0
    cycles: int = 0
    seconds: float = 0.0
    memory_bytes: int = 0
    problem: str = ""
    cases: tuple[verdicts.Case, ...] = ()


def programs(arguments: Sequence[str]) -> list[Program]:
    """Return the programs that a command line names, each with a name of its own.

    A program is called by its file's name without the ending; where two would be called alike, with
    it, and with as many of its folders as tell them apart; one that is named twice has a number.

    Args:
        arguments: one for each; files of one program are joined with "+".
    """
    every = [files.joined(one) for one in arguments]
    called, count, seen = _names([*dict.fromkeys(every)]), Counter(every), Counter[str]()
    found = []
    for parts in every:
        name = called[parts]
        seen[name] += 1
        found.append(Program(f"{name}#{seen[name]}" if count[parts] > 1 else name, parts))
    return found


def _names(every: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Return what programs are called that all differ."""
    paths = [[files.split(one)[0] for one in parts] for parts in every]
    names = ["+".join(path.stem for path in parts) for parts in paths]
    for depth in range(1, 1 + max(len(path.parts) for parts in paths for path in parts)):
        count = Counter(names)
        names = [
            _tail(parts, depth) if count[name] > 1 else name
            for name, parts in zip(names, paths, strict=True)
        ]
    count = Counter(names)  # of one file at two addresses, say
    told = ["+".join(p) if count[n] > 1 else n for n, p in zip(names, every, strict=True)]
    return dict(zip(every, told, strict=True))


def _tail(parts: Sequence[Path], depth: int) -> str:
    return "+".join("/".join(path.parts[-depth:]) for path in parts)


def check(found: Sequence[Program], conditions: Conditions) -> None:
    """Refuse what would fail in every process, or fail late.

    Raises:
        UsageError: there is no such board, or no such file.
    """
    boards.load(conditions.board)
    for name in (name for program in found for name in program.files):
        path, _ = files.split(name)
        if not plain_files.exists(path):
            raise UsageError(f"there is no file {path}")


def apart(found: Sequence[Program], conditions: Conditions) -> Iterator[str]:
    """Yield a note for each two programs in a row that could as well be files of one program."""
    flash = boards.load(conditions.board).flash.address
    base = flash if conditions.base is None else conditions.base
    for first, second in pairwise(found):
        try:
            files.read([*first.files, *second.files], base)
        except HilError:
            continue
        one, other = "+".join(first.files), "+".join(second.files)
        yield f"{one} and {other} get a board each; {one}+{other} is one program on one board"


def run(
    found: Sequence[Program],
    conditions: Conditions,
    jobs: int,
    hear: Hear,
    *,
    tests: bool = False,
) -> list[Row]:
    """Run programs; return what became of each, in their order.

    A Ctrl-C calls off those that run; their rows have what they came to.

    Args:
        found: the programs.
        conditions: the same for all.
        jobs: processes at once.
        hear: called with what is heard of each, as it comes.
        tests: whether the tests that they print count.
    """
    tasks = [Task(program, conditions, tests=tests) for program in found]
    rows: dict[int, Row] = {}
    with Processes(one, tasks, jobs) as all_, processes.on_interrupt(all_.call_off) as interrupted:
        for event in all_.events():
            name = found[event.number].name
            match event:
                case Said():
                    hear(name, event.kind, event.data)
                case Ended():
                    hear(name, ENDS, b"")
                    rows[event.number] = event.result
                case Died():
                    hear(name, ENDS, b"")
                    rows[event.number] = _died(name, event.status, interrupted=interrupted())
    missing = (
        Row(program.name, "not begun", _INTERRUPTED, problem="not begun") for program in found
    )
    return [rows.get(number, row) for number, row in enumerate(missing)]


def _died(name: str, status: int, *, interrupted: bool) -> Row:
    if interrupted:
        return Row(name, "called off", _INTERRUPTED, problem="it was called off, and killed")
    problem = f"the emulator's process died, with status {status}"
    return Row(name, "died", _COULD_NOT_GO_ON, problem=problem)


def one(task: Task, voice: Voice) -> Row:
    """Run one program in this process; whatever it does becomes a row.

    Args:
        task: what to run.
        voice: hears it, and calls it off.
    """
    said, emulators = bytearray(), list["Emulator"]()
    words = _Words(voice)

    def write(data: bytes) -> None:
        words.take(data)
        if task.tests:
            said.extend(data)

    def begin(emulator: "Emulator") -> None:
        emulators.append(emulator)
        voice.on_call_off = emulator.call_off
        if voice.called_off:
            emulator.call_off()

    name, terms = task.program.name, task.conditions
    try:
        outcome = one_program.run(task.program.files, terms, write, words.tell, begin=begin)
    except HilError as error:
        words.tell(str(error))
        result, status, problem = "fault" if emulators else "refused", _COULD_NOT_GO_ON, error.what
    else:
        for line in one_program.last_words(outcome, terms):
            words.tell(line)
        result, status = outcome.result, outcome.exit_status
        unwell = f"{result}, with exit status {status}" if status else ""
        problem = "; ".join(outcome.stopped) or unwell
    words.flush()
    cases = tuple(verdicts.cases(said.decode("utf-8", "replace"))) if task.tests else ()
    failed = any(case.result == "failed" for case in cases)
    return _counted(
        Row(name, result, status or int(failed), problem=problem, cases=cases), emulators
    )


def _counted(row: Row, emulators: "Sequence[Emulator]") -> Row:
    """Return a row with what its program took, as far as there was one."""
    row = replace(row, memory_bytes=processes.peak_memory_bytes())
    for board in emulators:
        row = replace(
            row, instructions=board.instructions, cycles=board.cycles, seconds=board.seconds
        )
    return row


class _Words:
    """Sends a program's words by lines or in larger pieces, not by the byte."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._held = b""

    def take(self, data: bytes) -> None:
        self._held += data
        if b"\n" in data or len(self._held) >= _CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._held:
            self._voice.say(SAYS, self._held)
            self._held = b""

    def tell(self, line: str) -> None:
        self.flush()
        self._voice.say(TOLD, line.encode() + b"\n")


def worst(rows: Sequence[Row]) -> int:
    """Return the highest exit status."""
    return max(row.exit_status for row in rows)


def tests_in_words(rows: Sequence[Row]) -> str:
    """Return how many tests there were, and how many failed: those of `junit`."""
    every = [case.result == "failed" for row in rows for case in row.cases]
    every += [bool(row.problem) for row in rows]
    return f"{len(every)} tests of {len(rows)} programs, {sum(every)} failed"


def junit(rows: Sequence[Row]) -> str:
    """Return JUnit's XML: a suite for each program, with a test that it runs to its end."""
    return verdicts.junit_of_several(
        verdicts.Suite(row.program, row.cases, row.problem, row.seconds) for row in rows
    )
