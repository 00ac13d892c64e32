import argparse
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import report_rows
import thumb

from hil import cli
from hil.commands import run
from hil.results import table


def test_help_teaches_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for command in (
        "new",
        "doctor",
        "plan",
        "quantise",
        "profile",
        "models",
        "poolings",
        "detect",
        "emulate",
        "bench",
        "cache",
    ):
        assert f"\n    {command} " in text
    assert "pytest hil/ --board=stm32f439" in text


def names() -> list[str]:
    """Every command, as it is typed."""
    (action,) = (one for one in cli._parser()._actions if one.dest == "command")
    assert action.choices is not None
    return list(action.choices)


@pytest.mark.parametrize("name", names())
def test_the_help_of_every_command_teaches_by_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"  hil {name}" in text.partition("examples:\n")[2]
    assert "exit status: " in text.lower()


@pytest.mark.parametrize("arguments", [[], *([name] for name in names())])
def test_helps_fit_80_columns(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main([*arguments, "--help"])
    assert not [line for line in capsys.readouterr().out.splitlines() if len(line) > 80]


def test_hil_alone_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert capsys.readouterr().out.startswith("usage: hil ")


def test_hil_test_and_hil_run_become_pytest_on_the_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _, words: became.append(words[1:]))
    run.test(["--board=stm32f439", "-k", "latency"])
    cli.main(["run", "face_m4", "mine.toml", "--iterations", "3", "--hil-retries=0"])
    suite = ["-m", "pytest", "--pyargs", "hil.suite"]
    assert became[0] == [*suite, "--board=stm32f439", "-k", "latency"]
    csv = "--hil-csv=build/hil/results.csv"
    assert {*suite, "--hil-iterations=3", "--hil-target=named", "--hil-retries=0", csv} <= {
        *became[-1]
    }
    assert [one for one in became[-1] if one.startswith("--hil-scenario")] == [
        "--hil-scenario=face_m4",
        "--hil-scenario=mine.toml",
    ]


@pytest.mark.parametrize("name", names())
def test_every_example_of_a_help_can_be_parsed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    text = capsys.readouterr().out.replace(" \\\n", "")
    lines = text.partition("examples:\n")[2].splitlines()
    examples = [line.partition("  ")[0] for line in (one.strip() for one in lines)]
    typed = [example.partition(" >")[0] for example in examples if example.startswith("hil ")]
    shown = [shlex.split(example) for example in typed]
    assert shown
    for words in shown:
        if name == "test":  # whose options are pytest's
            words[1:] = ["test"]
        assert cli._parsed(words[1:]).command == name


# Files that a command reads although their options are called as those of files to be written are.
READ = {("report", "--csv"), ("reproduce", "--csv"), ("scenarios", "--hil-csv")}
OF_FILES = {"--csv", "--svg", "--out", "--json", "--junit", "--trace"}


def written_options() -> list[tuple[str, str, argparse.Action]]:
    """Every option of every command that names a file or folder to be written."""
    (action,) = (one for one in cli._parser()._actions if one.dest == "command")
    assert isinstance(action.choices, dict)
    return [
        (name, option, one)
        for name, parser in action.choices.items()
        for one in parser._actions
        for option in one.option_strings
        if option in OF_FILES and one.metavar and (name, option) not in READ
    ]


def test_a_file_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    found = written_options()
    assert len(found) > 15
    (tmp_path / "file").touch()
    for name, option, action in found:
        assert callable(action.type), f"hil {name} {option}"
        with pytest.raises(argparse.ArgumentTypeError, match="cannot be written"):
            action.type(str(tmp_path / "file" / "below"))
        assert action.type(str(tmp_path / "new" / "one")) == tmp_path / "new" / "one"


def test_no_option_is_unknown_to_hil_run_but_a_wrong_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (["run", "face_m4", "--frob"], ["doctor", "--hil-all"]):
        with pytest.raises(SystemExit) as stop:
            cli.main(words)
        assert stop.value.code == 2
        assert f"unrecognized arguments: {words[-1]}" in capsys.readouterr().err


def test_help_imports_nothing_heavy_and_little_of_ours() -> None:
    script = (
        "import sys; from hil import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'pandas', 'pyocd', 'unicorn', 'rich', 'skimage', 'msgspec'}\n"
        "rooms = {name.split('.')[1] for name in sys.modules if name.startswith('hil.')}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
        "print('rooms:', sorted(rooms))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    heavy, rooms = answer.stdout.splitlines()[-2:]
    assert heavy == "heavy: []"
    ours = ["cli", "commands", "errors", "extras", "files", "numbers", "paths", "targets"]
    assert rooms == f"rooms: {ours}"


def test_an_interrupt_ends_a_command_with_130_and_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BEGUN, "emulate", str(thumb.assemble("function start\n b ."))]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline() == "begun\n"
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=60) == 130
        assert run.stderr.read() == "hil emulate: interrupted\n"


BEGUN = """
import sys
from hil import cli
from hil.targets.emulator.chips.stm32f4.chip import Stm32F4 as kind

power_on = kind.power_on

def tell(*arguments, **more):
    power_on(*arguments, **more)
    print("begun", flush=True)

kind.power_on = tell
sys.exit(cli.main())
"""


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"], ["history", "cycles"]])
def test_output_that_nobody_reads_ends_a_command_in_silence(
    arguments: list[str], tmp_path: Path
) -> None:
    if "history" in arguments:
        table.write(report_rows.rows(), tmp_path / "run.csv")
        arguments = [*arguments, f"--history-dir={tmp_path}"]
        assert cli.main(arguments) == 0  # it prints a table
    # argparse and rich notice it first where output is not buffered, and end with 0 and 1.
    script = "import sys; from hil import cli; sys.stdin.read(); sys.exit(cli.main())"
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        run.stdin.close()
        assert run.wait(timeout=120) in {0, 1, 141}
        assert run.stderr.read() == ""


def test_a_broken_pipe_that_is_not_the_outputs_is_not_hushed_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(_: object) -> int:
        raise BrokenPipeError("of a socket")

    monkeypatch.setattr(cli, "_run", fail)
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(BrokenPipeError, match="of a socket"):
            cli.main([])


def test_an_unknown_scenario_is_told_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["plan", "face_m5"]) == 2
    assert "unknown scenario 'face_m5'\n  known: " in capsys.readouterr().err


def test_the_plan_shows_every_buffer_and_its_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "face_m4"]) == 0
    text = capsys.readouterr().out
    assert "pool" in text
    assert "76,800" in text
    assert "B in SRAM" in text


def test_the_frontier_trades_memory_for_cycles_and_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "schedules.svg"
    assert cli.main(["plan", "face_m4", "--pareto", "--svg", str(picture)]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    ram = [int(line.split()[0].replace(",", "")) for line in lines]
    all_in = [int(line.split()[2].replace(",", "")) for line in lines]
    cycles = [int(line.split()[4].replace(",", "")) for line in lines]
    assert len(lines) > 2
    assert all(least < most for least, most in zip(ram, all_in, strict=True))
    assert ram == sorted(ram, reverse=True)
    assert cycles == sorted(cycles)
    drawn = ET.parse(picture).getroot()  # noqa: S314
    told = {mark.get("aria-label") for mark in drawn.iter()} - {None}
    seconds = [count / 168e6 for count in cycles]
    for count, one, most in zip(cycles, seconds, all_in, strict=True):
        assert f"{count / 1e6:.1f} M: {one:.4g} s, {most:,} B of RAM" in told
    assert "--surface: #ffffff" in picture.read_text(encoding="utf-8")


def test_a_picture_of_one_schedule_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "face_m4", "--svg", "schedules.svg"]) == 2
    assert "--svg draws schedules: name --pareto as well" in capsys.readouterr().err


def test_a_cap_that_no_schedule_meets_is_told_by_how_much(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["plan", "face_m4", "--optimise", "100_000"]) == 2
    assert "[memory at plan]" in capsys.readouterr().err


def test_an_aim_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["plan", "face_m4", "--optimise", "size"])
    assert "speed, ram, or a number of bytes" in capsys.readouterr().err


LAYER = """
model = "rnnpool_layer"

[variant]
rows = 24
columns = 24
channels = 4
patch = 6
stride = 4
hidden_row = 4
hidden_summary = 4
"""


def test_quantise_reports_what_each_choice_buys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, figures, whole = (tmp_path / n for n in ("layer.toml", "f.csv", "f.json"))
    scenario.write_text(LAYER)
    command = ["quantise", str(scenario), "--report", "--photographs", "2"]
    assert cli.main([*command, "--csv", str(figures), "--json", str(whole)]) == 0
    text = capsys.readouterr().out
    assert "states of the cells in 8 bits" in text
    assert "astronaut" in text
    assert "chelsea" not in text
    assert figures.read_text().startswith("variant,metric,of,value\n")
    assert whole.read_text().startswith("{")


def test_quantise_without_report_is_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = tmp_path / "layer.toml"
    scenario.write_text(LAYER)
    assert cli.main(["quantise", str(scenario), "--photographs", "1"]) == 0
    text = capsys.readouterr().out
    assert "cosine of all outputs" in text
    assert "instead" not in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["face_m5"], "hil quantise: unknown scenario 'face_m5'\n  known: "),
        (["face_m4", "--checkpoint", "none.pth"], "hil quantise: there is no checkpoint none.pth"),
    ],
)
def test_quantise_says_what_is_not_there(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["quantise", *arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_no_photographs_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["quantise", "face_m4", "--photographs", "0"])
    assert "a whole number from 1 to" in capsys.readouterr().err


def test_an_error_of_the_system_is_told_in_words_by_every_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["compare", "x" * 5000, "y"]) == 2
    assert "File name too long" in capsys.readouterr().err
