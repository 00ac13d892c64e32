"""`hil models`: how wide it is, what stands where, and that nothing is counted twice."""

import subprocess
import sys
from pathlib import Path

import pytest

from hil import cli, models
from hil.commands import progress
from hil.compiler.macs import Macs
from hil.models.paper import figures
from hil.studies.counts.counted import Counts, Memory

MANY, MACS = 9_876_543, 3_456_789_012


def counted(name: str, board: object = None) -> Counts:
    """Figures as wide as they come; every other network does not fit."""
    obstacle = "memory: 1,234,567 B of SRAM are missing at blocks.10.project"
    fits = Memory(196_608, 65_536, 987_654, streams=True)
    lacks = Memory(obstacle=obstacle, lacking=MANY, lacks="sram")
    told = (fits if len(name) % 2 else lacks) if board else None
    paper = figures(name)
    beside = (paper.parameters, paper.macs, paper.map_bytes, paper.weight_bytes)
    parameters, macs, maps, weights = (
        2 * one if one else many for one, many in zip(beside, (MANY, MACS, MANY, MANY), strict=True)
    )
    return Counts(name, parameters, Macs.alike(macs), maps, told, weights, paper)


@pytest.mark.parametrize("options", [[], ["--no-plan"], ["face"]])
def test_the_list_fits_80_columns_families_first(
    options: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("hil.studies.counts.kept.counts", counted)
    assert cli.main(["models", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if len(line) > 80]
    assert lines[0].startswith("family ")
    if not options:
        assert [name for name in models.names() if not any(name in line for line in lines)] == []


def test_what_was_counted_once_is_read_from_the_cache_without_torch_and_names_are_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIL_CACHE", str(tmp_path))
    words = ["models", "face_or_not", "rnnpool_layer"]
    assert cli.main(words) == 0
    first = capfd.readouterr()
    for name in words[1:]:
        assert name in first.err  # the bar: which one is being counted
    script = (
        "import sys; sys.modules['torch'] = None; from hil import cli; "
        f"assert cli.main({words}) == 0"
    )
    again = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=False
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.out


def test_a_log_gets_a_line_for_each_thing_and_no_more_than_a_hundred_or_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for things in (3, 1234):
        with progress.over(things) as bar:
            for number in range(things):
                bar.begin(f"thing {number}")
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 3 if things == 3 else 100 <= len(lines) <= 110
        assert lines[0].startswith("[")
