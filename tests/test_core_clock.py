"""Seconds of silicon come from a clock that was measured against the host's."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

import pytest
from faulty_desk import Desk, desk
from test_faults import _prepare
from test_judge import measurement

from hil.run import core_clock, plausible
from hil.run.core_clock import CoreClock, Look
from hil.run.figures import figures
from hil.targets import lock
from hil.targets.probe import ServedTarget

HZ = 168_000_000
OSCILLATOR_HZ = 166_900_000


class Core:
    """A core whose counter runs by a clock of its own, behind a probe that takes its time."""

    def __init__(self, hz: int, delays_s: Iterator[float]) -> None:
        self.now_s = 1000.0
        self._hz = hz
        self._delays_s = delays_s

    def clock(self) -> float:
        return self.now_s

    def read_word(self, _address: int) -> int:
        delay_s = next(self._delays_s)
        self.now_s += delay_s / 2
        counted = round(self.now_s * self._hz) & 0xFFFF_FFFF
        self.now_s += delay_s / 2
        return counted


def core(*delays_s: float) -> Any:
    return Core(OSCILLATOR_HZ, iter(delays_s * 10))


def test_the_quickest_of_several_looks_counts() -> None:
    probe = core(0.02, 0.001, 0.004, 0.03, 0.05)
    assert core_clock.look(probe, probe.clock).uncertain_s == pytest.approx(0.0005)


@pytest.mark.parametrize("passed_s", [3.0, 30.0, 200.0])
def test_a_clock_is_measured_however_often_its_counter_came_round(passed_s: float) -> None:
    probe = core(0.002)
    since = core_clock.look(probe, probe.clock)
    probe.now_s += passed_s
    found = core_clock.measure(probe, since, HZ, probe.clock)
    assert found.hz == pytest.approx(OSCILLATOR_HZ, abs=found.uncertainty_hz)
    assert found.uncertainty_hz == pytest.approx(OSCILLATOR_HZ * 0.002 / passed_s, rel=0.05)


def test_a_short_run_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(Event, "wait", lambda _event, seconds: waited.append(seconds))
    probe = core(0.002)
    core_clock.measure(probe, Look(0, probe.now_s - 0.5, 0.001), HZ, probe.clock)
    assert waited == [pytest.approx(core_clock.LEAST_S - 0.5)]


def test_seconds_are_cycles_over_the_measured_clock_and_a_fallback_is_said() -> None:
    wished = {one.name: one.value for one in figures(measurement())}
    clock = CoreClock(84_000_000, 1000)
    found = replace(measurement(), clock=clock, falls_back=True)
    measured = {one.name: one.value for one in figures(found)}
    assert measured["latency"] == 2 * wished["latency"] == 2 * found.cycles / HZ
    assert (measured["clock.measured"], measured["clock.uncertainty"]) == (84_000_000, 1000)
    assert measured["clock.fallback"] == 1
    assert not {name for name in wished if name.startswith("clock.")}


class AsSilicon(ServedTarget):
    """The served board, taken for one of silicon."""

    timing: ClassVar[str] = "silicon"

    def _require_pedigree(self, probe: object) -> None:
        del probe


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv(lock.VARIABLE, str(tmp_path / "locks"))
    with desk(tmp_path, _prepare) as made:
        yield made


def test_a_run_on_silicon_keeps_the_clock_that_it_measured(
    served: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_clock, "LEAST_S", 0.1)
    monkeypatch.setattr(plausible, "check", lambda _evidence: None)  # emulated time is its own
    session = served.session()
    session.target = AsSilicon
    session.timeout_s = 60.0
    with session.flashed(served.prepared) as device:
        result = session.measure(served.prepared, device)
    rows = {row.metric.name: row.metric.value for row in session.rows}
    assert rows["clock.measured"] > 0
    assert rows["clock.uncertainty"] > 0
    assert rows["latency"] == result.cycles / rows["clock.measured"]
