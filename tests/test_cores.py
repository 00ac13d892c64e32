"""Scenarios over cores: when the suite shares them out by itself, and in which order."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree as ET

import pytest

from hil.config import scenario
from hil.config.scenario import Limits
from hil.pytest_plugin import cores
from hil.results import table

FACE = scenario.load("face_m4")
SCENARIOS = [
    replace(FACE, name=name, limits=Limits(latency_s=seconds))
    for name, seconds in (("quick", 0.1), ("slow", 2.0), ("middle", 1.0))
]
DEADLINE_S = 240


def run_of(
    scenarios: int = 3, target: str = "emulator", plugin: bool = True, **options: object
) -> Any:
    """Let the plugin look at a run on a machine of two cores; return its options."""
    usual: dict[str, object] = {
        "numprocesses": None,
        "dist": "no",
        "tx": [],
        "capture": "fd",
        "usepdb": False,
    }
    option = SimpleNamespace(**(usual | {"trace": False, "collectonly": False} | options))
    config = SimpleNamespace(
        option=option,
        hook=SimpleNamespace(pytest_xdist_auto_num_workers=lambda **_: 2),
        pluginmanager=SimpleNamespace(has_plugin=lambda _: plugin, register=lambda *_: None),
    )
    session = SimpleNamespace(scenarios=SCENARIOS[:scenarios], target=SimpleNamespace(name=target))
    cores.use(cast("pytest.Config", config), [cast("Any", session)])
    return option


def test_several_scenarios_on_emulated_boards_go_to_as_many_workers_as_there_are_cores() -> None:
    option = run_of()
    assert (option.numprocesses, option.dist, option.tx) == (2, "load", ["popen"] * 2)


@pytest.mark.parametrize(
    "told",
    [
        {"scenarios": 1},
        {"target": "probe"},
        {"target": "renode"},
        {"plugin": False},
        {"numprocesses": 0},
        {"capture": "no"},
        {"usepdb": True},
        {"collectonly": True},
    ],
)
def test_others_stay_in_one_process(told: dict[str, Any]) -> None:
    option = run_of(**told)
    assert (option.dist, option.tx) == ("no", [])


def test_the_longest_comes_first_by_earlier_runs_or_else_by_the_limits() -> None:
    assert cores.longest_first(SCENARIOS, {}) == ["slow", "middle", "quick"]
    assert cores.longest_first(SCENARIOS, {"quick": 9}) == ["slow", "middle", "quick"]
    took = {"quick": 9.0, "slow": 1.0, "middle": 4.0}
    assert cores.longest_first(SCENARIOS, took) == ["quick", "middle", "slow"]


def test_a_worker_runs_scenarios_in_the_order_that_it_was_told() -> None:
    worker = cast("pytest.Config", SimpleNamespace(workerinput={"hil_order": ["b", "a"]}))
    assert [cores.place(worker, name) for name in ("a", "b", "", "c")] == [1, 0, 2, 2]
    alone = cast("pytest.Config", SimpleNamespace())
    assert cores.place(alone, "a") == cores.place(alone, "b")


@pytest.fixture
def suite(tmp_path: Path) -> list[str]:
    """The command that runs the suite on three small networks."""
    for columns in (8, 12, 16):
        variant = f"rows = 8\ncolumns = {columns}\nchannels = 4\npatch = 4\nstride = 4\n"
        (tmp_path / f"tiny_{columns}.toml").write_text(
            f'model = "rnnpool_layer"\n[limits]\nlatency_s = {columns / 8}\n[variant]\n{variant}'
            "hidden_row = 4\nhidden_summary = 4\n",
            encoding="utf-8",
        )
    return [
        *(sys.executable, "-m", "pytest", "--pyargs", "hil.suite", "--board=stm32f439"),
        *(f"--hil-scenario=tiny_{columns}.toml" for columns in (8, 12, 16)),
        *("--hil-target=emulator", "-p", "no:cacheprovider"),
    ]


TWO = os.environ | {"PYTEST_XDIST_AUTO_NUM_WORKERS": "2"}


@pytest.mark.slow
def test_the_suite_runs_over_two_cores_and_its_results_are_whole(
    suite: list[str], tmp_path: Path
) -> None:
    said = subprocess.run(
        suite, cwd=tmp_path, env=TWO, capture_output=True, text=True, timeout=DEADLINE_S, check=True
    ).stdout
    begun = re.findall(r"^  \[\d/3\] (\S+) \.\.\.$", said, re.MULTILINE)
    assert sorted(begun) == ["tiny_12", "tiny_16", "tiny_8"]
    assert begun[-1] == "tiny_8", "the shortest was not the last"
    rows = table.load(tmp_path / "build/hil/results.csv")
    cycles = [row.context.scenario for row in rows if row.metric.name == "cycles"]
    assert sorted(cycles) == ["tiny_12", "tiny_16", "tiny_8"]
    (suites,) = ET.parse(tmp_path / "build/hil/junit.xml").getroot()  # noqa: S314
    ended = re.findall(r"(\d+) (?:passed|skipped)", said)
    assert int(suites.get("tests", 0)) == sum(map(int, ended)) > 3
    assert (tmp_path / "build/hil/tiny_8/firmware.elf").exists()
    assert said.count("scenarios pass") == 1


@pytest.mark.slow
def test_ctrl_c_ends_all_workers_and_keeps_the_rows_that_were_there(
    suite: list[str], tmp_path: Path
) -> None:
    csv = tmp_path / "build/hil/results.csv"
    with subprocess.Popen(
        [*suite, "--hil-iterations=1000"],
        cwd=tmp_path,
        env=TWO,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if line.startswith("  [2/3]"):
                break
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does
        said = run.stdout.read()
        assert run.wait(DEADLINE_S) == pytest.ExitCode.INTERRUPTED, said
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)
    assert (csv.parent / "junit.xml").exists()
