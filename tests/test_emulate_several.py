"""`hil emulate` of several programs: a board each, whose words are whose, how each ended."""

import contextlib
import io
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import thumb
from emulated import BOARD
from stranger_programs import COUNTER, EXIT, says

from hil import cli
from hil.studies import emulate
from hil.studies.programs import files, several
from hil.studies.programs.conditions import Conditions

LINES = 40
SPEAKERS = [says(*(f"{name} {n}\n".encode() for n in range(LINES)), b"no end") for name in "ab"]
TESTS = says(b"ok 1 - adds\nnot ok 2 - divides\n")
FAULT = "function start\n udf 0"
SPEAKS_AND_GOES_ON = says(b"here\n").replace(EXIT, "\n b .\n")
MIB = 1 << 20
HIL = "import sys; from hil import cli; sys.exit(cli.main(sys.argv[1:]))"
COMMAND = [sys.executable, "-c", HIL, "emulate"]


@dataclass(frozen=True)
class Run:
    """What a run of the command left."""

    status: int
    out: str
    err: str
    junit: ET.Element
    rows: dict[str, list[str]]


def command(*arguments: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main(["emulate", *map(str, arguments)])
    return status, out.getvalue(), err.getvalue()


def copied(source: str, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(thumb.assemble(source).read_bytes())
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two programs of one name, one with tests of its own, one that faults: two at once."""
    folder = tmp_path_factory.mktemp("programs")
    named = [
        copied(SPEAKERS[0], folder / "one" / "main.elf"),
        copied(SPEAKERS[1], folder / "other" / "main.elf"),
        copied(TESTS, folder / "tests.elf"),
        copied(FAULT, folder / "dies.elf"),
    ]
    junit = folder / "results.xml"
    asked: list[str | Path] = [*named, "--jobs", "2", "--max-seconds", "100", "--junit", junit]
    done = subprocess.run(
        [*COMMAND, *asked], capture_output=True, text=True, timeout=200, check=False
    )
    table = done.stderr.partition("─ \n")[2].splitlines()
    rows = {name: rest for name, *rest in map(str.split, filter(str.strip, table))}
    tree = ET.parse(junit)  # noqa: S314
    return Run(done.returncode, done.stdout, done.stderr, tree.getroot(), rows)


def test_each_line_says_whose_it_is_and_is_whole(done: Run) -> None:
    lines = done.out.splitlines()
    for name, path in (("a", "one/main.elf"), ("b", "other/main.elf")):
        of_one = [line for line in lines if line.startswith(path)]
        expected = [*(f"{name} {n}" for n in range(LINES)), "no end"]
        assert [line.partition(" | ")[2] for line in of_one] == expected
    assert sum(" | ok 1 - adds" in line for line in lines) == 1
    assert all(" | " in line for line in lines)
    assert "[fault] the core locked up" in done.err


def test_a_program_takes_the_cycles_that_it_takes_alone(done: Run) -> None:
    alone = emulate.run(thumb.assemble(SPEAKERS[0]), BOARD, write=lambda _data: None)
    result, status, instructions, cycles, seconds, memory = done.rows["one/main.elf"]
    assert (result, status) == ("ended", "0")
    assert int(instructions.replace(",", "")) == alone.instructions
    assert int(cycles.replace(",", "")) == alone.cycles
    assert float(seconds) == pytest.approx(alone.seconds, abs=1e-6)
    assert int(memory) > 10


def test_the_exit_status_is_the_worst(done: Run) -> None:
    statuses = {name: row[1] for name, row in done.rows.items()}
    assert statuses == {"one/main.elf": "0", "other/main.elf": "0", "tests": "1", "dies": "2"}
    assert done.status == 2
    assert done.rows["dies"][0] == "fault"


def test_junit_has_a_test_for_each_program_and_those_that_it_printed(done: Run) -> None:
    assert "hil emulate: 6 tests of 4 programs, 2 failed: " in done.err
    cases = done.junit.iter("testcase")
    assert {(case.get("classname"), case.get("name")): len(case) for case in cases} == {
        ("one/main.elf", "runs to its end"): 0,
        ("other/main.elf", "runs to its end"): 0,
        ("tests", "adds"): 0,
        ("tests", "divides"): 1,
        ("tests", "runs to its end"): 0,
        ("dies", "runs to its end"): 1,
    }


def test_programs_that_hang_end_at_their_own_time() -> None:
    """One at once: the second begins when the time of the first is over."""
    hanging = [("stuck", "function start\n b ."), ("counter", COUNTER)]
    found = [several.Program(name, (str(thumb.assemble(source)),)) for name, source in hanging]
    rows = several.run(found, Conditions(max_seconds=0.3), 1, lambda *_heard: None)
    assert [row.exit_status for row in rows] == [124, 124]
    assert {row.result for row in rows} <= {"is stuck", "out of time"}
    assert all("it stands at" in row.problem for row in rows)
    assert all(10 * MIB < row.memory_bytes < 2000 * MIB for row in rows)


def test_an_interrupt_ends_all_and_keeps_what_there_is(tmp_path: Path) -> None:
    elf, junit = thumb.assemble(SPEAKS_AND_GOES_ON), tmp_path / "results.xml"
    asked = [*3 * [str(elf)], "--jobs", "2", "--junit", str(junit)]
    with subprocess.Popen(
        [*COMMAND, *asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        heard = {run.stdout.readline(), run.stdout.readline()}
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=100)
    assert {line.partition(" | ")[2] for line in heard} == {"here\n"}
    assert (run.returncode, out) == (130, "")
    assert [err.count(words) for words in ("called off", "not begun", "Traceback")] == [2, 1, 0]
    cases = list(ET.parse(junit).getroot().iter("testcase"))  # noqa: S314
    assert [len(case) for case in cases] == [1, 1, 1]


@pytest.mark.parametrize(
    "option", [("--uart", "usart1=pty"), ("--view",), ("--trace", "trace.json")]
)
def test_what_is_for_one_program_is_refused_for_several(option: tuple[str, ...]) -> None:
    status, out, err = command("a.elf", "b.elf", *option)
    assert (status, out) == (2, "")
    assert f"{option[0]} is for one program; 2 are named" in err


def test_a_file_that_is_not_there_is_told_before_anything_runs() -> None:
    status, out, err = command(thumb.assemble(COUNTER), "nowhere.elf")
    assert (status, out, err) == (2, "", "hil emulate: there is no file nowhere.elf\n")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["x/a.elf", "x/b.hex"], ["a", "b"]),
        (["x/a.elf", "x/a.hex"], ["a.elf", "a.hex"]),
        (["x/a.elf", "y/a.elf", "b.elf"], ["x/a.elf", "y/a.elf", "b"]),
        (["/w/x/a/f.elf", "/w/y/a/f.elf", "/w/b/f.elf"], ["x/a/f.elf", "y/a/f.elf", "b/f.elf"]),
        (["x/a.elf", "x/a.elf"], ["a#1", "a#2"]),
        (["a.bin@0x0", "a.bin@0x8000"], ["a.bin@0x0", "a.bin@0x8000"]),
        (["boot.hex+app.bin@0x08010000", "b.elf"], ["boot+app", "b"]),
    ],
)
def test_programs_have_names_of_their_own(arguments: list[str], names: list[str]) -> None:
    assert [one.name for one in several.programs(arguments)] == names


def test_files_of_one_program_are_joined(tmp_path: Path) -> None:
    (tmp_path / "a+b.elf").touch()
    assert files.joined(str(tmp_path / "a+b.elf")) == (str(tmp_path / "a+b.elf"),)
    assert files.joined("boot.hex+app.bin@0x8010000") == ("boot.hex", "app.bin@0x8010000")
    application = tmp_path / "app.bin"
    application.write_bytes(b"\x18\x20\x01\x49\xab\xbe\x00\xbf\x26\x00\x02\x00")  # SYS_EXIT
    boot = thumb.assemble("function start\n ldr r1, =0x08010001\n bx r1\n")
    assert command(f"{boot}+{application}@0x08010000", "--max-seconds", 60)[0] == 0


def test_files_that_could_be_one_program_are_told(tmp_path: Path) -> None:
    application = tmp_path / "app.bin"
    application.write_bytes(b"\x01\x30\xfd\xe7")
    boot = str(thumb.assemble(COUNTER))
    found = several.programs([boot, f"{application}@0x08010000", boot])
    (note, _) = several.apart(found, Conditions())
    assert f"{boot}+{application}@0x08010000 is one program on one board" in note
    assert not list(several.apart(several.programs([boot, boot]), Conditions()))
