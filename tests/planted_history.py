"""A git repository whose commits hold a harness that measures nothing: it writes planted values."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

PLUGIN = """
from pathlib import Path

COLUMNS = (
    "run,when,commit,scenario,model,board,target,timing,clock_hz,toolchain,fingerprint,metric,"
    "value,unit,reference,reference_source,ratio,verdict"
)
CONTEXT = "r,2026-11-30T00:00:00+00:00,c,{scenario},m,b,emulator,modelled,168000000,zig 1,zig 1"


def pytest_addoption(parser):
    for name in ("--board", "--hil-target", "--hil-csv", "--hil-toolchain"):
        parser.addoption(name)
    parser.addoption("--hil-scenario", action="append")


def pytest_sessionfinish(session):
    options, value = session.config.option, Path("VALUE").read_text().strip()
    if value == "broken":
        raise RuntimeError("this commit does not build")
    csv = Path(options.hil_csv)
    csv.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{CONTEXT.format(scenario=name)},cycles,{value},cycle,,,,pass"
        for name in options.hil_scenario
    ]
    csv.write_text("\\n".join([COLUMNS, *rows]) + "\\n")
"""
_AUTHOR = {
    **{f"GIT_{who}_NAME": "A" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "a@b" for who in ("AUTHOR", "COMMITTER")},
}


def make(folder: Path, values: Sequence[int | str]) -> list[str]:
    """Make a repository with a commit for each value; returns the commits."""
    start(folder)
    return [commit(folder, value) for value in values]


def start(folder: Path) -> None:
    """Make a repository without commits, whose harness gives the value that VALUE holds."""
    suite = folder / "hil/suite"
    suite.mkdir(parents=True)
    (folder / "hil/__init__.py").write_text("")
    (folder / "hil/plugin.py").write_text(PLUGIN)
    (suite / "test_one.py").write_text("def test_one(): pass\n")
    (folder / "scenarios").mkdir()
    (folder / "scenarios/face_m4.toml").write_text("")
    git(folder, "init", "--quiet", "--initial-branch=main")


def commit(folder: Path, value: int | str) -> str:
    """Commit a value; returns the commit."""
    (folder / "VALUE").write_text(f"{value}\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", f"{value}")
    return git(folder, "rev-parse", "HEAD")


def merge(folder: Path, commits: Sequence[str], value: int | str) -> str:
    """Merge commits with a value; returns the merge."""
    (folder / "VALUE").write_text(f"{value}\n")
    git(folder, "add", "--all")
    parents = [word for one in commits for word in ("-p", one)]
    made = git(folder, "commit-tree", git(folder, "write-tree"), *parents, "-m", f"{value}")
    git(folder, "reset", "--quiet", "--hard", made)
    return made


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | _AUTHOR,
    )
    return done.stdout.strip()
