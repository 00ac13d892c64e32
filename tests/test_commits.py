"""Which commit a row names: that of the scenario's repository, with the harness's beside it."""

import subprocess
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from test_session import session

from hil.config import scenario
from hil.paths import FIRMWARE
from hil.results import rows
from hil.results.rows import Context, commit_of, harness
from hil.targets.emulator.target import EmulatedTarget

ROOT = FIRMWARE.parent


def repository(folder: Path, *files: str) -> str:
    """Make a repository with files; return its commit."""
    folder.mkdir(parents=True, exist_ok=True)

    def git(*words: str) -> str:
        named = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
        done = subprocess.run(
            ["git", "-C", str(folder), *named, *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "--quiet")
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("", encoding="utf-8")
        git("add", name)
    git("commit", "--quiet", "--message=first", "--allow-empty")
    return git("rev-parse", "--short=12", "HEAD")


def context(directory: Path) -> Context:
    chosen = replace(scenario.load("face_m4"), directory=directory)
    return session(EmulatedTarget, retries=0)._context(chosen)


def test_a_projects_scenario_names_the_projects_commit_and_the_harnesss_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository(tmp_path / "project", "scenarios/own.toml")
    elsewhere = repository(tmp_path / "elsewhere", "a")
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = context(tmp_path / "project" / "scenarios")
    assert (found.commit, found.harness) == (commit, harness())
    assert elsewhere not in {found.commit, found.harness}


def test_a_scenario_of_ours_and_one_outside_any_repository_name_the_harnesss_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path / "elsewhere", "a")
    monkeypatch.chdir(tmp_path / "elsewhere")
    ours = scenario.load("face_m4").directory
    (tmp_path / "none").mkdir()
    for directory in (ours, tmp_path / "none"):
        assert context(directory).commit == commit_of(ROOT)


def test_a_harness_that_was_installed_names_its_version_and_not_the_repository_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path, ".gitignore")
    (tmp_path / ".gitignore").write_text(".venv\n", encoding="utf-8")
    installed = tmp_path / ".venv" / "hil" / "_data" / "firmware"
    installed.mkdir(parents=True)
    monkeypatch.setattr(rows, "FIRMWARE", installed)
    assert rows.harness() == version("rnnpool-hil")
