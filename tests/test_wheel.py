"""The package as users get it: a wheel outside the checkout, and a project of their own."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from hil import cli
from hil.commands import new
from hil.config import scenario
from hil.errors import UsageError

ROOT = Path(__file__).parent.parent
_DATA = ("firmware", "boards", "scenarios")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(directory.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel, and what it depends on from ours."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    program = home / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel)]
    command = [sys.executable, "-m", "pip", "--python", str(program), *install]
    subprocess.run(command, check=True, capture_output=True)
    packages = next(home.glob("lib/python*/site-packages"))
    ours = sysconfig.get_paths()["purelib"]
    (packages / "ours.pth").write_text(f"{ours}\n", encoding="utf-8")
    return program


def run(python: Path, *arguments: str, at: Path) -> str:
    """Run a command of the environment; returns what it says."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON"))}
    command = [str(python), *arguments]
    answer = subprocess.run(
        command, cwd=at, env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_the_wheel_carries_every_file_of_the_package(wheel: Path) -> None:
    command = ["git", "ls-files", "hil", *_DATA]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    wanted = {n if n.startswith("hil/") else f"hil/_data/{n}" for n in tracked}
    carried = set(zipfile.ZipFile(wheel).namelist())
    assert len(wanted) > 200
    assert wanted <= carried
    assert not [name for name in carried if "__pycache__" in name]


@pytest.mark.slow
def test_a_project_of_ones_own_passes_its_tests_with_the_wheel(
    python: Path, tmp_path: Path
) -> None:
    where = run(python, "-c", "import hil; print(hil.__file__)", at=tmp_path)
    assert Path(where.strip()).is_relative_to(python.parents[1])
    hil = str(python.parent / "hil")
    said = run(python, hil, "new", "my_project", at=tmp_path)
    assert "my_project/test_tiny.py" in said
    project = tmp_path / "my_project"
    assert "7 passed" in run(python, "-m", "pytest", "-p", "no:cacheprovider", at=project)
    assert (project / "build" / "hil" / "results.csv").is_file()
    suite = ("--pyargs", "hil.suite", "--hil-scenario=tiny.toml", "--board=stm32f407g_disc1")
    assert "tiny on stm32f407g_disc1" in run(python, "-m", "pytest", *suite, at=project)


def test_a_new_project_is_read_as_its_readme_says(tmp_path: Path) -> None:
    files = new.write(tmp_path / "mine")
    assert {str(path.relative_to(tmp_path / "mine")) for path in files} == {
        *(".github/workflows/ci.yml", ".gitignore", "README.md", "nets.py", "requirements.txt"),
        *("test_tiny.py", "tiny.toml"),
    }
    for path in files:
        assert not re.search("@[A-Z]+@", path.read_text(encoding="utf-8")), path
    assert scenario.load(str(tmp_path / "mine" / "tiny.toml")).model == "nets.py:tiny"
    assert (tmp_path / "mine" / "README.md").read_text(encoding="utf-8").startswith("# mine\n")


def test_a_new_project_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("dear", encoding="utf-8")
    assert cli.main(["new", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err
    with pytest.raises(UsageError, match="cannot be written to"):
        new.write(tmp_path / "thesis.tex" / "mine")
    assert len(list(tmp_path.iterdir())) == 1
