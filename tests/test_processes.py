"""Processes that work beside each other: one that dies takes nothing with it, nor does one stay."""

import subprocess
import sys
from pathlib import Path

from process_work import doubles_or_dies, hears_nothing, waits

from hil.studies.programs.processes import Died, Ended, Processes, Said

ORPHANS = """
import os
from process_work import waits
from hil.studies.programs.processes import Processes

if __name__ == "__main__":
    with Processes(waits, [0], 1) as all_:
        for event in all_.events():
            print(event.kind, flush=True)
            os._exit(3)
"""


def test_a_process_that_dies_takes_no_other_with_it() -> None:
    with Processes(doubles_or_dies, [0, 1, 2, 3], 2) as all_:
        events = list(all_.events())
    ends = {one.number: one for one in events if not isinstance(one, Said)}
    assert ends == {0: Died(0, -9), 1: Died(1, 7), 2: Ended(2, 4), 3: Ended(3, 6)}
    said = {one.number: one.data for one in events if isinstance(one, Said)}
    assert said == {0: b"0", 1: b"1", 2: b"2", 3: b"3"}


def test_what_runs_ends_with_what_it_has_and_nothing_else_begins() -> None:
    events = []
    with Processes(waits, [0, 1], 1) as all_:
        for event in all_.events():
            events.append(event)
            if isinstance(event, Said):
                all_.call_off()
    assert events == [Said(0, "waits", b""), Ended(0, "called off")]


def test_what_does_not_hear_is_killed_at_the_second_call() -> None:
    events = []
    with Processes(hears_nothing, [0], 1) as all_:
        for event in all_.events():
            events.append(event)
            all_.call_off()
            all_.call_off()
    assert events[-1] == Died(0, -9)


def test_a_process_ends_with_its_parent(tmp_path: Path) -> None:
    """It holds the pipe that is read here to its end."""
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        timeout=60,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parent)},
    )
    assert (run.returncode, run.stdout) == (3, b"waits\n")
