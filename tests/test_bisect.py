import math
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import planted_history
import pytest

from hil import cli
from hil.errors import UsageError
from hil.run import revisions
from hil.run.revisions import How
from hil.studies import bisect


def measuring(values: Sequence[float | None]) -> tuple[Callable[[str], float | None], list[str]]:
    asked: list[str] = []

    def measure(commit: str) -> float | None:
        asked.append(commit)
        return values[int(commit)]

    return measure, asked


@pytest.mark.parametrize("seed", range(20))
def test_the_commit_of_a_planted_history_is_found_in_few_measurements(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    count = draw.randrange(1, 200)
    culprit = draw.randrange(count)
    values = [1000.0 if i < culprit else 1001.0 for i in range(count)]
    measure, asked = measuring(values)
    found = bisect.search([str(i) for i in range(count)], 1000, 1001, measure)
    assert found.commits == (str(culprit),)
    assert (found.before, found.after) == (1000, 1001)
    assert len(asked) <= math.ceil(math.log2(count)) + 1


@pytest.mark.parametrize("seed", range(20))
def test_commits_that_cannot_be_measured_are_passed_over(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    count = draw.randrange(3, 60)
    culprit = draw.randrange(count)
    values: list[float | None] = [0.0 if i < culprit else 5.0 for i in range(count)]
    for broken in draw.sample(range(count - 1), k=(count - 1) // 2):
        values[broken] = None
    measure, _ = measuring(values)
    found = bisect.search([str(i) for i in range(count)], 0, 5, measure)
    assert str(culprit) in found.commits
    assert all(values[int(commit)] is None for commit in found.commits[:-1])


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    commits = planted_history.make(tmp_path, [100, 100, "broken", 100, 101, 101])
    monkeypatch.chdir(tmp_path)
    return commits


def test_the_command_names_the_commit_and_leaves_the_checkout_as_it_is(
    history: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bisect", "--scenario", "face_m4", history[0], "main"]) == 0
    said = capsys.readouterr().out
    assert "cycles of face_m4: 100 cycle -> 101 cycle (+1 cycle)" in said
    assert said.splitlines()[-1].startswith(history[4][:7])
    assert planted_history.git(Path(), "status", "--porcelain") == ""
    assert planted_history.git(Path(), "worktree", "list").count("\n") == 0


def test_what_a_killed_run_left_behind_is_removed_by_the_next_and_a_living_ones_stays(
    history: list[str], tmp_path: Path
) -> None:
    code = (
        "import os, signal; from hil.run import revisions\n"
        f"with revisions.checked_out({history[0]!r}) as tree:\n"
        "    print(tree, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    killed = subprocess.run(
        [sys.executable, "-P", "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=environment,
    )
    left = Path(killed.stdout.strip())
    assert (left / "VALUE").is_file()
    with revisions.checked_out(history[1]) as living, revisions.checked_out(history[2]):
        assert not left.parent.exists()
        assert (living / "VALUE").is_file()
        assert planted_history.git(Path(), "worktree", "list").count("\n") == 2


def test_what_did_not_become_worse_is_not_searched(history: list[str]) -> None:
    how = How()
    with pytest.raises(UsageError, match="did not become worse"):
        bisect.run("cycles", "face_m4", history[0], history[1], how=how)
    with pytest.raises(UsageError, match="no ancestor"):
        bisect.run("cycles", "face_m4", history[4], history[1], how=how)
    with pytest.raises(UsageError, match="gives no cycles"):
        bisect.run("cycles", "face_m9", history[0], history[4], how=how)


def test_a_scenario_that_a_revision_lacks_gives_no_rows(history: list[str]) -> None:
    assert revisions.measure(history[0], ["face_m9"], How()) == []
    assert len(revisions.measure(history[0], ["face_m9", "face_m4"], How())) == 1
