"""The files that other projects' CI takes from here name commands and options that exist."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from hil import cli, options
from hil.pytest_plugin import baselines

ROOT = Path(__file__).parent.parent
ACTION = ROOT / "action" / "action.yml"
JOB = ROOT / "ci" / "gitlab.yml"
PAGE = ROOT / "docs" / "ci.md"


def known_options() -> set[str]:
    parser = pytest.Parser(_ispytest=True)
    options.declare(parser)
    baselines.pytest_addoption(parser)
    return {name for group in parser._groups for one in group.options for name in one.names()}


@pytest.mark.parametrize("path", [ACTION, JOB, PAGE], ids=lambda path: path.name)
def test_every_option_of_pytest_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(r"--hil-[a-z-]+", path.read_text()))
    assert named
    assert named <= known_options()


@pytest.mark.parametrize("path", [ACTION, JOB, PAGE], ids=lambda path: path.name)
def test_every_hil_command_that_is_named_is_understood(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = set(re.findall(r"\bhil report\b[^\n\"|>&`]*", path.read_text()))
    assert commands
    for command in commands:
        arguments = shlex.split(command)[1:]
        with pytest.raises(SystemExit) as stop:
            cli.main([*arguments, "--help"])
        assert stop.value.code == 0, command
        given = [a for a in arguments[1:] if a.startswith("--")]
        text = capsys.readouterr().out
        assert all(option in text for option in given), command


def test_the_actions_inputs_are_all_used_and_all_explained() -> None:
    action = yaml.safe_load(ACTION.read_text())
    used = set(re.findall(r"inputs\.([a-z-]+)", ACTION.read_text()))
    assert used == set(action["inputs"])
    assert all(entry["description"] for entry in action["inputs"].values())
    assert all("shell" in step for step in action["runs"]["steps"] if "run" in step)


def test_the_scripts_of_both_are_valid_for_their_shell() -> None:
    action, job = (
        yaml.safe_load(ACTION.read_text()),
        yaml.safe_load(JOB.read_text())[".rnnpool-hil"],
    )
    scripts = [("bash", step["run"]) for step in action["runs"]["steps"] if "run" in step]
    scripts += [
        ("sh", "\n".join(job[part])) for part in ("before_script", "script", "after_script")
    ]
    for shell, script in scripts:
        subprocess.run([shell, "-n"], input=script, text=True, timeout=120, check=True)


def test_the_job_publishes_what_its_reports_name() -> None:
    job = yaml.safe_load(JOB.read_text())[".rnnpool-hil"]
    assert job["artifacts"]["reports"]["metrics"] in "\n".join(job["after_script"])


@pytest.mark.parametrize(
    "path", [ACTION, JOB, ROOT / "hil/templates/project/dot_github/workflows/ci.yml.in"]
)
def test_what_installs_the_package_takes_a_torch_without_cuda(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "--torch-backend=cpu" in text or "cpu_torch.sh" in text
