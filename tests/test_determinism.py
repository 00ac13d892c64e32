"""The same run in other surroundings: every figure but times is the same to the bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_end_to_end import LAYER

from hil.results import table
from hil.results.rows import Row

ROOT = Path(__file__).parent.parent
_VARIES = {"run", "when", "commit"}
ELSEWHERE = {
    "PYTHONHASHSEED": "4242",
    "OMP_NUM_THREADS": "3",
    "OPENBLAS_NUM_THREADS": "2",
    "OPENBLAS_CORETYPE": "Prescott",
    "LC_ALL": "C",
    "TZ": "Asia/Kathmandu",
    "COLUMNS": "40",
}


def measured(folder: Path, cwd: Path, more: dict[str, str]) -> list[Row]:
    """Run the suite on a small network, in a process of its own."""
    folder.mkdir()
    scenario, csv = folder / "layer.toml", folder / "results.csv"
    scenario.write_text(LAYER, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(ROOT / "hil")]
    command += ["--board=stm32f439", "--hil-target=emulator", f"--hil-scenario={scenario}"]
    command += [
        f"--hil-csv={csv}",
        f"--junitxml={folder / 'junit.xml'}",
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout
    return table.load(csv)


def figures(rows: list[Row]) -> dict[str, dict[str, object]]:
    """Every row but those of times, by metric, without what names the run."""
    found: dict[str, dict[str, object]] = {}
    for row in rows:
        cells = {name: value for name, value in row.cells().items() if name not in _VARIES}
        if not row.metric.name.startswith("time."):
            found[row.metric.name] = cells
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_figures_do_not_hang_on_surroundings(tmp_path: Path) -> None:
    here = measured(tmp_path / "here", ROOT, {})
    cache = {"HIL_CACHE": str(tmp_path / "empty")}
    there = measured(tmp_path / "there", tmp_path, ELSEWHERE | cache)
    assert len(figures(here)) > 20
    assert figures(there) == figures(here)
