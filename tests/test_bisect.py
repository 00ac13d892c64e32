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

HISTORIES = "HIL_HISTORIES"  # in the environment: how many planted repositories, beside one


def linear(count: int) -> dict[str, list[str]]:
    return {str(i): [str(i - 1)] for i in range(count)}


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
    found = bisect.search(linear(count), 1000, 1001, measure)
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
    found = bisect.search(linear(count), 0, 5, measure)
    assert str(culprit) in found.commits
    assert all(values[int(commit)] is None for commit in found.commits[:-1])


def planted(draw: random.Random, count: int) -> tuple[bisect.History, int, set[int]]:
    """A history with branches and merges, its culprit, and the commits that are bad."""
    history: dict[str, list[str]] = {"0": ["good"]}
    tips = [0]
    for one in range(1, count):
        kind = draw.random()
        parents = [draw.choice(tips)]
        if one == count - 1:  # what was left open is merged in the end
            parents = list(tips)
        elif kind < 0.25 and len(tips) > 1:
            parents = draw.sample(tips, 2)
        elif kind < 0.45:
            parents = [draw.randrange(one)]
        history[str(one)] = [str(parent) for parent in parents]
        tips = [*(tip for tip in tips if tip not in parents), one]
    culprit = draw.randrange(count)
    bad = {culprit}
    for one in range(culprit + 1, count):
        if bad & {int(parent) for parent in history[str(one)] if parent != "good"}:
            bad.add(one)
    return history, culprit, bad


@pytest.mark.parametrize("seed", range(200))
def test_the_culprit_is_found_among_branches_and_merges_that_cannot_all_be_built(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    count = draw.randrange(2, 60)
    history, culprit, bad = planted(draw, count)
    values: list[float | None] = [1001.0 if one in bad else 1000.0 for one in range(count)]
    for broken in draw.sample(range(count - 1), k=draw.randrange((count + 1) // 2)):
        values[broken] = None
    measure, asked = measuring(values)
    found = bisect.search(history, 1000, 1001, measure)
    assert str(culprit) in found.commits
    assert all(values[int(commit)] is None for commit in found.commits[:-1])
    assert (found.before, found.after) == (1000, 1001)
    if None not in values:
        assert found.commits == (str(culprit),)
        assert len(asked) <= 2 * math.ceil(math.log2(count)) + 1


def plant(folder: Path, draw: random.Random) -> tuple[str, str]:
    """Make a repository with a branch that is merged and commits that do not build.

    Returns:
        The commit at which the value grows, on the branch or beside it, and the good one.
    """
    planted_history.start(folder)
    good = planted_history.commit(folder, 100)
    on_branch = draw.random() < 0.5
    grows = draw.randrange(3)
    tips, culprit = [], ""
    for is_branch in (False, True):
        planted_history.git(folder, "checkout", "--quiet", "--detach", good)
        tip, value = good, 100
        for step in range(3):
            if step == grows and is_branch == on_branch:
                value = 101
                tip = culprit = planted_history.commit(folder, value)
            else:
                is_broken = draw.random() < 0.3 and step not in {grows - 1, 2}
                tip = planted_history.commit(folder, "broken" if is_broken else value)
        tips.append(tip)
    planted_history.merge(folder, tips, 101)
    planted_history.commit(folder, 101)
    planted_history.git(folder, "branch", "--force", "main", "HEAD")
    return culprit, good


@pytest.mark.parametrize("seed", range(int(os.environ.get(HISTORIES, "1"))))
def test_the_command_finds_the_culprit_of_a_repository_with_a_merge(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    culprit, good = plant(tmp_path, random.Random(seed))  # noqa: S311
    monkeypatch.chdir(tmp_path)
    assert cli.main(["bisect", "--scenario", "face_m4", good, "main"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(culprit[:7])


def test_a_branch_that_was_bad_before_it_left_is_not_taken_for_the_culprit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted_history.start(tmp_path)
    origin = planted_history.commit(tmp_path, 101)
    branch = [planted_history.commit(tmp_path, 101) for _ in range(2)]
    planted_history.git(tmp_path, "checkout", "--quiet", "--detach", origin)
    good = planted_history.commit(tmp_path, 100)
    fine = planted_history.commit(tmp_path, 100)
    culprit = planted_history.merge(tmp_path, [fine, branch[-1]], 101)
    bad = planted_history.commit(tmp_path, 101)
    monkeypatch.chdir(tmp_path)

    def committed(commit: str) -> float:
        return float(planted_history.git(tmp_path, "show", f"{commit}:VALUE"))

    monkeypatch.setattr(bisect, "measuring", lambda *_: committed)
    found = bisect.run("cycles", "face_m4", good, bad, how=How())
    assert found.commits == (culprit,)
    assert (found.before, found.after) == (100, 101)


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
