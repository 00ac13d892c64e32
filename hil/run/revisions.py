"""Measurements of other revisions: checked out beside this one, built and run there.

A revision is measured by its own harness, in a process of its own. The firmware cache is shared, so
what did not change is not built again.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hil.errors import BuildError, UsageError
from hil.results import table
from hil.results.rows import Row

_MOST_LINES_SHOWN = 30
_GIT_DEADLINE_S = 120.0
_PREFIX = "hil-revision-"  # of a checkout's folder; the process that made it follows
_OWNER = re.compile(rf"{_PREFIX}(\d+)-\w+")
_TESTS_RAN = {0, 1}  # pytest's exit status when they all passed, or some failed


@dataclass(frozen=True)
class How:
    """What a revision is measured on.

    Attributes:
        repository: a directory inside the git repository.
        deadline_s: longest time for one revision.
    """

    board: str = "stm32f439"
    target: str = "emulator"
    toolchain: str = "zig"
    repository: Path = Path()
    deadline_s: float = 3600.0


def resolve(revision: str, repository: Path = Path()) -> str:
    """Return the commit that a revision names, in full.

    Args:
        revision: of git, such as HEAD~1.
        repository: a folder of it.

    Raises:
        UsageError: there is no such revision, or no repository.
    """
    return git(repository, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")


def between(good: str, bad: str, repository: Path = Path()) -> dict[str, list[str]]:
    """List the commits after `good` up to `bad`, parents before children, with their parents.

    Args:
        good: an ancestor of `bad`.
        bad: the last of the commits.
        repository: a directory inside it.

    Returns:
        Each commit's parents, those that are not after `good` too.

    Raises:
        UsageError: `good` is no ancestor of `bad`.
    """
    listed = git(repository, "rev-list", "--reverse", "--topo-order", "--parents", f"{good}..{bad}")
    commits = [line.split() for line in listed.splitlines()]
    if not commits or git(repository, "merge-base", good, bad) != resolve(good, repository):
        raise UsageError(f"{good} is no ancestor of {bad}", hint="name the earlier revision first")
    return {commit: parents for commit, *parents in commits}


def subject(commit: str, repository: Path = Path()) -> str:
    """Return a commit's short name, date and subject.

    Args:
        commit: in full or short.
        repository: a folder of it.
    """
    return git(repository, "show", "--no-patch", "--format=%h %as %s", commit)


def git(repository: Path, *arguments: str) -> str:
    """Run git and return what it prints.

    Raises:
        UsageError: it refuses; carries what it said.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_DEADLINE_S,
            check=False,
            env=_outside_of_hooks(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"git cannot be run: {error}", hint="install git") from error
    if done.returncode != 0:
        raise UsageError(
            f"git {' '.join(arguments)} failed: {done.stderr.strip()}",
            hint="name a revision of this repository",
        )
    return done.stdout.strip()


def _outside_of_hooks() -> dict[str, str]:
    """The environment without what git sets for its hooks, which would name another tree."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


@contextmanager
def checked_out(commit: str, repository: Path = Path()) -> Iterator[Path]:
    """Check a commit out in a directory of its own while the block runs.

    Checkouts that a killed process has left behind are removed first.

    Args:
        commit: in full.
        repository: a folder of it.

    Raises:
        UsageError: there is no such commit.
    """
    _sweep(repository)
    with TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as scratch:
        tree = Path(scratch, "tree")
        git(repository, "worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            git(repository, "worktree", "remove", "--force", str(tree))


def _sweep(repository: Path) -> None:
    """Remove the checkouts of processes that run no longer."""
    for line in git(repository, "worktree", "list", "--porcelain").splitlines():
        kind, _, path = line.partition(" ")
        scratch = Path(path).parent
        owner = _OWNER.fullmatch(scratch.name)
        if kind == "worktree" and owner and not _is_alive(int(owner[1])):
            git(repository, "worktree", "remove", "--force", path)
            shutil.rmtree(scratch, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def measure(revision: str, scenarios: Sequence[str], how: How) -> list[Row]:
    """Measure scenarios as a revision builds and runs them.

    Args:
        revision: of the repository.
        scenarios: names, or paths within the repository; one that it does not have gives no rows.
        how: board, target and compiler.

    Raises:
        UsageError: there is no such revision. BuildError: its harness cannot be run.
    """
    with checked_out(resolve(revision, how.repository), how.repository) as tree:
        there = [name for name in scenarios if _has(tree, name)]
        return _run(tree, there, how) if there else []


def _has(tree: Path, scenario: str) -> bool:
    if scenario.endswith(".toml"):
        return Path(tree, scenario).is_file()
    return (tree / "scenarios" / f"{scenario}.toml").is_file()


def _run(tree: Path, scenarios: Sequence[str], how: How) -> list[Row]:
    csv = tree / "build/hil/results.csv"
    suite = ["hil/"] if (tree / "hil/suite").is_dir() else ["--pyargs", "hil.suite"]
    command = [
        *(sys.executable, "-m", "pytest", *suite, "--quiet", "-p", "no:cacheprovider"),
        *(f"--board={how.board}", f"--hil-target={how.target}", f"--hil-csv={csv}"),
        *(f"--hil-toolchain={how.toolchain}",),
        *(f"--hil-scenario={name}" for name in scenarios),
    ]
    before = os.environ.get("PYTHONPATH")
    path = f"{tree}{os.pathsep}{before}" if before else str(tree)
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env=_outside_of_hooks() | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=how.deadline_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"the revision cannot be run: {error}", stage="revision") from error
    if done.returncode not in _TESTS_RAN or not csv.is_file():
        said = "\n".join(done.stdout.splitlines()[-_MOST_LINES_SHOWN:])
        raise BuildError(
            f"the revision's harness ended with status {done.returncode}:\n{said}",
            hint="does its suite run in this environment?",
            stage="revision",
        )
    return table.load(csv)
