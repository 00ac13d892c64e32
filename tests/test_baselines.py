"""The committed baselines, beside the scenarios that they are of."""

from pathlib import Path

import pytest

from hil.config import scenario
from hil.results import baseline, table
from hil.results.figures import Figures

ROOT = Path(__file__).parent.parent
BASELINE = ROOT / baseline.path_of("stm32f439")
_ROOM = 1.15  # a limit allows a tenth more, rounded up


def entries() -> list[Figures]:
    return baseline.read(BASELINE)


def test_the_baseline_is_of_scenarios_that_there_are() -> None:
    found = {one.key.scenario for one in entries() if one.key.toolchain.startswith("zig")}
    assert "face_m4" in found
    assert found <= set(scenario.names())


@pytest.mark.parametrize("one", entries(), ids=lambda one: one.key.title)
def test_limits_bite_near_the_baseline(one: Figures) -> None:
    limits = scenario.load(one.key.scenario).limits
    cycles, ram, flash = (one.value(name) for name in ("cycles", "ram.total", "flash.total"))
    assert cycles is not None
    assert ram is not None
    assert flash is not None
    assert limits.latency_s is not None
    assert limits.ram_bytes is not None
    assert limits.flash_bytes is not None
    assert 1 <= limits.latency_s / (cycles / one.key.clock_hz) < _ROOM
    assert 1 <= limits.ram_bytes / ram < _ROOM
    assert 1 <= limits.flash_bytes / flash < _ROOM


def test_every_entry_has_a_reason_in_the_log() -> None:
    log = table.records_of(baseline.log_of(BASELINE), baseline.LOG_COLUMNS)
    told = {(entry["scenario"], entry["target"]) for entry in log if entry["why"].strip()}
    assert {(one.key.scenario, one.key.target) for one in entries()} <= told
