"""A whole pytest run that a signal ends, at each stage: board free, rows kept, the next run green.

The board is served in this process, so that the signal comes while the stage lasts, whatever the
machine's speed.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
from faulty_desk import Desk, desk
from test_end_to_end import LAYER, open_session

from hil.config import inventory
from hil.errors import Verdict
from hil.results import table
from hil.run.measurement import Prepared
from hil.targets import lock, ports

DEADLINE_S = 600.0
FIRST, SECOND = "layer", "second"
STAGES = ("connecting", "erasing", "programming", "running")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


def _prepare(scenario: Path) -> Prepared:
    session = open_session(scenario.parent, scenario=str(scenario))
    return session.prepare(session.scenarios[0])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(lock.VARIABLE, str(tmp_path_factory.mktemp("locks")))
        with desk(tmp_path_factory.mktemp("desk"), _prepare) as made:
            yield made


def arm(board: Desk, stage: str, act: Callable[[], None]) -> None:
    """Have something done whenever the board is at a stage."""
    match stage:
        case "connecting":
            board.served.emulated.on_access = act
        case "running":
            board.chip.dwt.on_read = act
        case _:
            wanted = {"erasing": "erase", "programming": "program"}[stage]
            board.chip.flash_controller.on_step = lambda now: act() if now == wanted else None


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("number", SIGNALS)
def test_a_run_of_pytest_that_is_ended_keeps_its_rows_and_frees_the_board(
    shared: Desk, tmp_path: Path, number: signal.Signals, stage: str
) -> None:
    scenarios = [tmp_path / f"{name}.toml" for name in (FIRST, SECOND)]
    for path, rows in zip(scenarios, (24, 32), strict=True):
        path.write_text(LAYER.replace("rows = 24", f"rows = {rows}"), encoding="utf-8")
    file, csv = tmp_path / "boards.toml", tmp_path / "results.csv"
    file.write_text(inventory.text(shared.served.unit), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "pytest", "--pyargs", "hil.suite", "--board=stm32f439"),
        *(f"--hil-scenario={path}" for path in scenarios),
        *(f"--hil-inventory={file}", "--hil-target=probe", f"--hil-csv={csv}"),
        *("-p", "no:cacheprovider", f"--junitxml={tmp_path / 'junit.xml'}"),
    ]
    ended = Event()

    def end() -> None:
        """End the run at this stage of its second scenario: the first's rows are there."""
        if csv.exists() and not ended.is_set():
            ended.set()
            run.send_signal(number)

    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        arm(shared, stage, end)
        said, _ = run.communicate(timeout=DEADLINE_S)
    shared.mend()
    assert ended.is_set(), said
    assert run.returncode == (-number if number is signal.SIGKILL else 2), said
    assert lock.holder(shared.served.unit.probe) is None
    assert not is_left(run.pid)
    users = [one for one in ports.holders(str(shared.link)) if f"{os.getpid()})" not in one]
    assert users == []
    kept = table.load(csv)
    first = {row.metric.name for row in kept if row.context.scenario == FIRST}
    assert {"cycles", "output.mismatches"} <= first
    if number is not signal.SIGKILL:
        second = [row.metric for row in kept if row.context.scenario == SECOND]
        assert [(one.name, one.note) for one in second] == [("outcome", "interrupted")]
        assert (tmp_path / "junit.xml").exists()
    again = shared.run()
    assert (again.error, again.verdict) == (None, Verdict.PASS)


def is_left(group: int) -> bool:
    """Whether any process of a group is there yet; one that ends is waited for."""
    until = monotonic() + DEADLINE_S
    with suppress(ProcessLookupError):
        while monotonic() < until:
            os.killpg(group, 0)
            Event().wait(0.05)
        return True
    return False
