"""Which torch `make hil` takes, by what pip was told: a real pip, and a uv that notes its call."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
TORCH = next(
    line.partition("==")[2].strip()
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line.startswith("torch==")
)
PIP = """#!/bin/sh
case "$1" in install) echo "pip $*" >>"{log}" ;; *) exec "{python}" -m pip "$@" ;; esac
"""
UV = """#!/bin/sh
echo "uv $*" >>"{log}"
printf 'error: it failed\\n  cause: no route\\n' >&2
exit {status}
"""


def script(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def wheel(folder: Path, name: str, version: str) -> Path:
    """Write a wheel that pip takes into account; return its folder."""
    folder.mkdir(exist_ok=True)
    about = f"{name}-{version}.dist-info"
    with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")
    return folder


class Machine:
    """A machine without torch, whose pip knows no place but those of a test.

    Attributes:
        at: its folder. log: what pip was to install, and what uv was called with.
    """

    def __init__(self, at: Path, system: str = "Linux x86_64", uv_status: int = 0) -> None:
        self.at, self.log = at, at / "log"
        bin_ = at / "bin"
        bin_.mkdir()
        self.log.touch()
        script(bin_ / "pip", PIP.format(log=self.log, python=sys.executable))
        script(bin_ / "uv", UV.format(log=self.log, status=uv_status))
        script(bin_ / "python", "#!/bin/sh\nexit 1\n")  # no torch
        script(at / "uname", f"#!/bin/sh\necho {system}\n")

    def set_up(self, **told: str) -> str:
        """Run the script with settings of pip, by its variables; return what it says."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP", "UV"))}
        mine = {f"PIP_{name.upper()}": value for name, value in told.items()}
        answer = subprocess.run(
            ["/bin/sh", str(ROOT / "ci/cpu_torch.sh"), str(self.at / "bin")],
            env={
                **kept,
                "PIP_CONFIG_FILE": os.devnull,
                **mine,
                "PATH": f"{self.at}:{kept['PATH']}",
            },
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        assert not answer.stderr
        return answer.stdout

    def called(self) -> list[str]:
        """Name what was called to install something: pip for uv, uv for torch."""
        return [line.split()[0] for line in self.log.read_text(encoding="utf-8").splitlines()]


WITH_UV = ["pip", "uv"]
LATER: list[str] = []  # by pip, with all the rest


@pytest.mark.parametrize(
    ("setting", "has", "calls"),
    [
        pytest.param("", "", WITH_UV, id="nothing told"),
        pytest.param("find_links", f"{TORCH}+cpu", LATER, id="a folder with torch for the CPU"),
        pytest.param("find_links", TORCH, WITH_UV, id="a folder with another torch"),
        pytest.param("extra_index_url", f"{TORCH}+cpu", LATER, id="a further index with it"),
        pytest.param("index_url", f"{TORCH}+cpu", LATER, id="an own index with it"),
        pytest.param("index_url", TORCH, LATER, id="an own index without it"),
        pytest.param("no_index", "", LATER, id="no index"),
    ],
)
def test_torch_for_the_cpu_comes_from_where_it_is(
    tmp_path: Path, setting: str, has: str, calls: list[str]
) -> None:
    machine = Machine(tmp_path)
    page = tmp_path / "index" / "torch"
    page.mkdir(parents=True)
    folder = wheel(page, "torch", has) if has else wheel(page, "other", "1.0")
    links = [f'<a href="{one.name}">{one.name}</a>' for one in folder.glob("*.whl") if has]
    (page / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
    index = page.parent.as_uri()
    told = {
        "": {"retries": "0"},
        "find_links": {"find_links": str(folder)},
        "extra_index_url": {"extra_index_url": index},
        "index_url": {"index_url": index},
        "no_index": {"no_index": "1"},
    }[setting]
    if setting in {"find_links", "extra_index_url"}:  # nothing is asked of PyPI itself
        script(
            tmp_path / "bin" / "pip",
            PIP.replace("exec", 'exec env PIP_INDEX_URL="{index}"')
            .replace("*)", 'config) exec "{python}" -m pip "$@" ;; *)')
            .format(log=machine.log, python=sys.executable, index=(tmp_path / "none").as_uri()),
        )
    said = machine.set_up(**told)
    assert machine.called() == calls
    without = setting in {"index_url", "no_index"} and "+cpu" not in has
    assert ("pip's own index has no torch for the CPU alone" in said) == without


@pytest.mark.parametrize("system", ["Linux aarch64", "Darwin arm64"])
def test_where_pypi_has_no_cuda_pip_does_it_all(tmp_path: Path, system: str) -> None:
    machine = Machine(tmp_path, system)
    assert not machine.set_up()
    assert machine.called() == LATER


def test_a_uv_that_reaches_nothing_leaves_torch_to_pip_and_says_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path, uv_status=1)
    told = "no torch for the CPU alone can be had (no route): pip takes the one of PyPI, with CUDA"
    assert machine.set_up() == f"{told}\n"
    assert machine.called() == WITH_UV


def test_of_two_builds_of_a_version_pip_takes_the_one_with_a_label(tmp_path: Path) -> None:
    for version in (TORCH, f"{TORCH}+cpu"):
        wheel(tmp_path / "wheels", "torch", version)
    words = ["install", "--no-index", "--no-deps", "--dry-run", "--ignore-installed", "--quiet"]
    places = [
        "--find-links",
        str(tmp_path / "wheels"),
        "--constraint",
        str(ROOT / "constraints.txt"),
    ]
    answer = subprocess.run(
        [sys.executable, "-m", "pip", *words, "--report=-", *places, "torch"],
        env={k: v for k, v in os.environ.items() if not k.startswith("PIP")},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert f'"{TORCH}+cpu"' in answer.stdout
