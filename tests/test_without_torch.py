"""An environment that lacks torch: what still works there, and what says how to install it."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from hil import extras
from hil.config import board, scenario
from hil.errors import UsageError
from hil.run import kept, preflight
from hil.studies.counts import kept as counts

TINY = """
model = "rnnpool_layer"
[variant]
rows = 8
columns = 8
channels = 4
patch = 4
stride = 4
hidden_row = 4
hidden_summary = 4
"""
REMEDY = "pip install 'rnnpool-hil[torch]'"
OF_TORCH = {"torch", "torchgen", "functorch", "nvidia", "triton"}
_DEADLINE_S = 240

# Every command line of a list, in one process: it prints each one's status and what it says.
COMMANDS = """
import contextlib, io, json, sys
from hil import cli

for words in json.loads(sys.argv[1]):
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        try:
            status = cli.main(words)
        except SystemExit as end:
            status = end.code
    print(json.dumps([status or 0, told.getvalue()]))
assert "torch" not in sys.modules
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has every package of this one but torch."""
    home = tmp_path_factory.mktemp("without-torch")
    venv.create(home, with_pip=False, symlinks=True)
    packages = next(home.glob("lib/python*/site-packages"))
    for one in Path(sysconfig.get_path("purelib")).iterdir():
        if one.name.partition("-")[0] not in OF_TORCH:
            (packages / one.name).symlink_to(one)
    for name in ("cmake", "ninja"):
        (home / "bin" / name).symlink_to(Path(sys.executable).parent / name)
    return home / "bin" / "python"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scenario that another process has compiled, and one that nobody has."""
    made = tmp_path_factory.mktemp("work")
    (made / "tiny.toml").write_text(TINY, encoding="utf-8")
    (made / "other.toml").write_text(TINY.replace("8", "12"), encoding="utf-8")
    (made / "test_other.py").write_text(
        "import pytest\n\n\n@pytest.mark.hil(scenario='other.toml')\n"
        "def test_it(measurement):\n    assert measurement\n",
        encoding="utf-8",
    )
    (made / "network.tflite").write_bytes(bytes(64))
    kept.take_or_make(scenario.load(str(made / "tiny.toml")), board.load("stm32f439"), lambda: None)
    counts.counts("rnnpool_layer", board.load("stm32f439"))
    return made


def run(python: Path, folder: Path, *arguments: str, cache: Path | None = None) -> tuple[int, str]:
    """Run Python in the folder; return its exit status and all that it says."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON"))}
    if cache is not None:
        environment["HIL_CACHE"] = str(cache)
    answer = subprocess.run(
        [python, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    return answer.returncode, answer.stdout + answer.stderr


def answers(
    python: Path, folder: Path, *lines: str, cache: Path | None = None
) -> list[tuple[int, str]]:
    """Have `hil` answer several command lines, in one process; statuses and what it says."""
    words = json.dumps([line.split() for line in lines])
    status, told = run(python, folder, "-c", COMMANDS, words, cache=cache)
    assert status == 0, told
    found = [json.loads(line) for line in told.splitlines() if line.startswith("[")]
    return [(one[0], one[1]) for one in found]


@pytest.fixture(scope="module")
def ran(python: Path, folder: Path) -> tuple[int, str]:
    """A run of the compiled scenario, from firmware build to report."""
    suite = ("-m", "pytest", "--pyargs", "hil.suite", "-p", "no:cacheprovider")
    return run(python, folder, *suite, "--board=stm32f439", "--hil-scenario=tiny.toml")


def test_a_scenario_that_is_compiled_is_built_flashed_run_and_judged(
    ran: tuple[int, str], folder: Path
) -> None:
    status, told = ran
    assert status == 0, told
    assert "tiny on stm32f439" in told
    assert (folder / "build/hil/tiny/firmware.elf").is_file()


def test_firmware_is_emulated_and_results_are_read(
    python: Path, folder: Path, ran: tuple[int, str]
) -> None:
    assert ran[0] == 0
    emulated, surveyed, reported, compared, modelled = answers(
        *(python, folder, "emulate build/hil/tiny/firmware.elf --for 0.001 --cycles"),
        *("survey build/hil/tiny --seconds 0.001", "report", "compare last last"),
        "models rnnpool_layer",
    )
    assert emulated[0] == 0
    assert "cycles" in emulated[1]
    assert "firmware.elf" in surveyed[1]
    assert reported[0] == 0
    assert (folder / "build/hil/report.html").is_file()
    assert compared[0] == 0, compared[1]
    assert modelled[0] == 0, modelled[1]
    assert "rnnpool_layer" in modelled[1]


def test_commands_without_networks_answer(python: Path, folder: Path) -> None:
    lines = ("--help", "", "boards list", "scenarios", "cache", "new mine")
    for line, (status, told) in zip(lines, answers(python, folder, *lines), strict=True):
        assert status == 0, f"hil {line}\n{told}"
    ((status, told),) = answers(python, folder, "doctor")
    assert status == 1
    assert "torch: not installed" in told
    assert REMEDY in told


NEEDING = (
    "plan face_m4",
    "models face_m4 --board nucleo_f439zi",
    "quantise face_or_not",
    "profile face_or_not",
    "crosscheck face_or_not",
    "detect --seeded photograph.png",
    "evaluate lfw_subset",
    "train face_or_not --data lfw_subset:train",
    "import network.tflite",
    "survey-models .",
    "bench kernels",
    "bench link",
    "poolings",
)


def test_what_makes_networks_says_in_one_line_what_to_install(
    python: Path, folder: Path, tmp_path: Path
) -> None:
    # In a cache of its own: a network that another test has compiled needs no torch.
    told_by_line = answers(python, folder, *NEEDING, cache=tmp_path)
    for line, (status, told) in zip(NEEDING, told_by_line, strict=True):
        assert status == 2, f"hil {line}\n{told}"
        *_, what, remedy = told.strip().splitlines()
        assert what.startswith(f"hil {line.partition(' ')[0]}: "), told
        assert what.endswith(" needs torch, which is not installed")
        assert told.count("not installed") == 1
        assert remedy == f"  {REMEDY}"


def test_a_scenario_that_nobody_compiled_is_refused_before_anything_runs(
    python: Path, folder: Path
) -> None:
    suite = ("--pyargs", "hil.suite", "--board=stm32f439", "--hil-scenario=other.toml")
    for status, arguments in ((4, suite), (2, ("test_other.py",))):
        pytest_ = ("-m", "pytest", "-p", "no:cacheprovider", *arguments)
        found, told = run(python, folder, *pytest_)
        assert found == status, told
        assert f"compiling other needs torch, which is not installed\n  {REMEDY}\n" in told
        assert "Traceback" not in told
    assert run(python, folder, *pytest_, "--collect-only")[0] == 0


def test_a_run_that_takes_nothing_from_the_cache_is_refused_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "is_there", lambda _: False)
    tiny, chip = scenario.load(str(folder / "tiny.toml")), board.load("stm32f439")
    preflight.check_can_compile([tiny], chip)
    with pytest.raises(UsageError, match="compiling tiny needs torch"):
        preflight.check_can_compile([tiny], chip, anew=True)
    by_float = replace(tiny, dataset=folder)  # by the float network
    with pytest.raises(UsageError, match="compiling tiny needs torch"):
        preflight.check_can_compile([by_float], chip)


def test_only_a_missing_package_of_an_extra_is_explained() -> None:
    with pytest.raises(UsageError, match="unicorn, which is not installed") as found:
        raise extras.missing("unicorn")
    assert found.value.hint == "pip install 'rnnpool-hil[emulator]'"
    with pytest.raises(ModuleNotFoundError, match="nobody"), extras.said():
        raise ModuleNotFoundError("No module named 'nobody'", name="nobody")
    broken = ModuleNotFoundError("No module named 'torch.gone'", name="torch.gone")
    with pytest.raises(ModuleNotFoundError, match="gone"), extras.said():
        raise broken  # torch is here: its own fault is told as it is
