"""`hil survey`: a folder of strangers' programs, how each ended and what it lacked."""

import csv
from pathlib import Path

import pytest
import thumb
from stranger_programs import COUNTER, says

from hil import cli
from hil.errors import UsageError
from hil.studies.programs import survey

STREAM_FOR_I2C = """
function start
 ldr r0, =0x40004400
 str r0, [r0, #4]
 ldr r0, =0x40023800
 mov r1, #0x200000
 str r1, [r0, #0x30]
 ldr r0, =0x40026000
 movs r1, #1
 str r1, [r0, #0x14]
 ldr r1, =0x02000001
 str r1, [r0, #0x10]
1: nop
 b 1b
"""
"""A program that writes to USART2 without its clock, and whose DMA1 waits for I2C1_RX."""


def test_a_folder_of_programs_is_surveyed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "programs"
    (folder / "deep").mkdir(parents=True)
    sources = {
        "ends.elf": says(b"hello\n"),
        "deep/goes.elf": COUNTER,
        "dies.elf": "function start\n udf 0",
        "waits.elf": STREAM_FOR_I2C,
    }
    for name, source in sources.items():
        (folder / name).write_bytes(thumb.assemble(source).read_bytes())
    (folder / "text.elf").write_text("no program", encoding="utf-8")
    (folder / "notes.txt").write_text("none", encoding="utf-8")
    out = tmp_path / "survey.csv"
    asked = ["survey", str(folder), "--seconds", "0.01", "--csv", str(out), "--jobs", "2"]
    assert cli.main(asked) == 1
    assert "hello" in capsys.readouterr().out
    with out.open(encoding="utf-8", newline="") as file:
        rows = {row["program"]: row for row in csv.DictReader(file)}
    assert {name: row["result"] for name, row in rows.items()} == {
        "deep/goes.elf": "goes on",
        "dies.elf": "fault",
        "ends.elf": "ended",
        "text.elf": "refused",
        "waits.elf": "goes on",
    }
    assert rows["waits.elf"]["missing"] == "I2C1"
    assert rows["waits.elf"]["note"] == "written to without its clock: USART2"


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("function start\n b .", "is stuck"),
        ("function start\n ldr r0, =0x40004400\n1: ldr r1, [r0]\n b 1b", "is stuck"),
        ("function start\n udf 0\nfunction hard\n1: nop\n b 1b", "is stuck"),
        (COUNTER, "out of time"),
    ],
    ids=["jumps to itself", "polls a dead register", "fault", "works"],
)
def test_a_survey_tells_a_stuck_program_from_one_that_the_host_had_no_time_for(
    source: str, result: str
) -> None:
    terms = survey.Terms(seconds=1e6, host_seconds=0.3)
    assert survey.one(thumb.assemble(source), "a", terms).result == result


def test_a_folder_without_programs_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no program is in"):
        survey.programs(tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        survey.programs(tmp_path / "nowhere")
