"""A stranger's first hour, scripted: the wheel, a project, a network and a board of their own.

Everything happens outside the repository, in an environment that has the wheel alone and borrows
the libraries of this one: as root, and as another user where the test may become one.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from test_report_browser import BROWSERS, FLAGS

from hil.paths import BOARDS

ROOT = Path(__file__).parent.parent
_UNKNOWN = 1234  # as `docker run -u 1234` has it: no name, no home
_DEADLINE_S = 840

NETWORK = """
from torch import nn


def mine():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )
"""
SCENARIO = """
model = "mine.py:mine"

[input]
rows = 24
columns = 24
channels = 3

[limits]
latency_s = 0.05
ram_bytes = 60_000
"""
TEST = """
import pytest

pytestmark = pytest.mark.hil(scenario="mine.toml", board="myboard")


def test_it_is_fast_and_right(measurement, hold):
    assert measurement.latency_s < 0.05
    hold("output.mismatches")


def test_a_fixture_of_ones_own_wins(board):
    assert board == "oak"


@pytest.fixture
def board():
    return "oak"
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel, below a folder that everybody may enter."""
    home = tmp_path_factory.mktemp("stranger")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(home)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=_DEADLINE_S)
    venv.create(home / "env", with_pip=False, symlinks=True)
    python = home / "env" / "bin" / "python"
    wheel = str(next(home.glob("*.whl")))
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", wheel]
    command = [sys.executable, "-m", "pip", "--python", str(python), *install]
    subprocess.run(command, check=True, capture_output=True, timeout=_DEADLINE_S)
    packages = next((home / "env").glob("lib/python*/site-packages"))
    (packages / "ours.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n", encoding="utf-8")
    return python


class Stranger:
    """Somebody with a folder, who types commands.

    Attributes:
        python: of their environment.
        at: the folder.
        user: their number; None for who runs this test.
    """

    def __init__(self, python: Path, at: Path, user: int | None = None) -> None:
        self.python, self.at, self.user = python, at, user
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("PYTEST", "PYTHON", "HIL", "XDG", "ZIG"))
        }
        self.environment = {**kept, "HIL_CACHE": str(at / "cache")}

    def types(
        self, *words: str, expect: int = 0, environment: Mapping[str, str] | None = None
    ) -> str:
        """Run `hil ...` or `pytest ...`; return what it says."""
        tool = [str(self.python.parent / "hil")] if words[0] == "hil" else ["-m", "pytest"]
        command = [str(self.python), *tool, *words[1:]]
        answer = subprocess.run(
            command,
            cwd=self.at,
            env=self.environment if environment is None else environment,
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
            user=self.user,
        )
        told = answer.stdout + answer.stderr
        assert answer.returncode == expect, f"{words}\n{told}"
        return told

    def write(self, name: str, text: str) -> None:
        """Write a file of theirs."""
        path = self.at / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if self.user is not None:
            shutil.chown(path, self.user)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_stranger_reaches_a_verdict_and_finds_a_regression(program: Path, tmp_path: Path) -> None:
    me = Stranger(program, tmp_path)
    assert "my_project/tiny.toml" in me.types("hil", "new", "my_project")
    me.write("mine.py", NETWORK)
    me.write("mine.toml", SCENARIO)
    me.write("boards/myboard.toml", (BOARDS / "stm32f439.toml").read_text(encoding="utf-8"))
    me.write("test_mine.py", TEST)
    told = me.types("pytest", "-q", "test_mine.py")
    assert "2 passed" in told
    assert "mine on myboard (emulator" in told
    for name in ("firmware.elf", "firmware.map", "plan.txt", "outputs.npy", "uart.txt"):
        assert (tmp_path / "build/hil/mine" / name).is_file(), name
    suite = ("--board=myboard", "--hil-scenario=mine.toml")
    me.types("hil", "test", *suite, "--hil-update-baseline", "--hil-why=first")
    assert "mine" in me.types("hil", "scenarios", "mine.toml")
    me.write("mine.py", NETWORK.replace("8", "12"))  # wider, so slower
    worse = me.types("hil", "test", *suite, "--hil-baseline", expect=1)
    assert "[regression]" in worse
    assert "cycles" in worse
    me.types("hil", "report")
    page = (tmp_path / "build/hil/report.html").read_text(encoding="utf-8")
    assert "mine" in page


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_strangers_page_opens_in_a_browser(program: Path, tmp_path: Path) -> None:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    me = Stranger(program, tmp_path)
    me.write("mine.py", NETWORK)
    me.write("mine.toml", SCENARIO)
    me.types("hil", "run", "mine.toml")
    me.types("hil", "report")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        opened = chromium.new_page()
        opened.goto((tmp_path / "build/hil/report.html").as_uri())
        assert "mine" in opened.inner_text("body")
        chromium.close()


@pytest.fixture(scope="module")
def for_all(program: Path) -> Iterator[Path]:
    """A folder that everybody may enter, with the wheel in an environment; skips without one.

    pytest's own temporary folders are for its user alone, and each of its runs makes them so again.
    """
    if os.getuid() != 0:
        pytest.skip("becoming another user takes root")
    usual = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin:/usr/local/bin")
    base = sys.executable if _is_open(Path(sys.base_prefix)) else usual
    if base is None or not _is_open(ROOT):
        pytest.skip("another user may not enter the folders of this Python")
    with tempfile.TemporaryDirectory(prefix="stranger-") as folder:
        yield _environment(Path(folder), base, program)


def _environment(home: Path, base: str, program: Path) -> Path:
    subprocess.run([base, "-m", "venv", "--without-pip", home / "env"], check=True, timeout=60)
    ours = next((program.parents[1]).glob("lib/python*/site-packages"))
    theirs = next((home / "env").glob("lib/python*/site-packages"))
    shutil.copytree(ours, theirs, dirs_exist_ok=True)
    shutil.copy(program.parent / "hil", home / "env" / "bin" / "hil")
    for name in ("cmake", "ninja"):  # scripts begin with the path of a Python of theirs
        script = (Path(sys.executable).parent / name).read_bytes()
        first, _, rest = script.partition(b"\n")
        mine = b"#!" + str(home / "env/bin/python").encode()
        copy = home / "env" / "bin" / name
        copy.write_bytes(mine + b"\n" + rest if first.startswith(b"#!") else script)
        copy.chmod(0o755)
    (home / "tmp").mkdir()
    home.chmod(0o755)
    (home / "tmp").chmod(0o1777)
    return home


def _is_open(folder: Path) -> bool:
    """Whether everybody may enter a folder."""
    return all(one.stat().st_mode & 0o001 for one in (folder, *folder.parents))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("place", [None, "/"])
def test_a_user_without_a_home_and_a_name_reaches_a_verdict(
    for_all: Path, place: str | None
) -> None:
    at = for_all / ("nowhere" if place is None else "root")
    at.mkdir()
    shutil.chown(at, _UNKNOWN)
    me = Stranger(for_all / "env/bin/python", at, user=_UNKNOWN)
    me.write("mine.py", NETWORK)
    me.write("mine.toml", SCENARIO)
    unset = {k: v for k, v in me.environment.items() if k not in {"HOME", "HIL_CACHE"}}
    there = {**unset, "TMPDIR": str(for_all / "tmp"), **({} if place is None else {"HOME": place})}
    at.chmod(0o555)
    shutil.chown(at, 0)
    told = me.types("hil", "run", "mine.toml", expect=4, environment=there)
    assert f"no right to write to {at}\n  choose another file with --hil-csv" in told
    csv = for_all / "tmp" / at.name / "results.csv"
    told = me.types("hil", "run", "mine.toml", f"--csv={csv}", environment=there)
    assert csv.is_file()
    assert "mine on stm32f439" in told
    assert (for_all / "tmp" / f"rnnpool-hil-{_UNKNOWN}" / "firmware").is_dir()
