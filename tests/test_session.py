"""A session's attempts: what is tried again, how often, and what is told."""

import signal
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hil.build.toolchain import Toolchain
from hil.config import board, scenario
from hil.errors import (
    BudgetError,
    EmulatorError,
    FirmwareFault,
    FlashError,
    MeasurementError,
    ProbeError,
    Verdict,
)
from hil.results.rows import RunIdentity
from hil.run.budget import Budget
from hil.run.session import Session
from hil.targets.base import Target

LAYER = scenario.load("face_m4")


def failing(error: MeasurementError, opened: list[str]) -> type[Target]:
    """A target whose flash fails with an error, whenever it is opened."""

    class Failing(Target):
        name = "failing"
        timing = "modelled"

        def open(self) -> None:
            opened.append("open")

        def flash(self, image: object) -> None:
            del image
            raise error

        def reset(self) -> None: ...

        def serial(self) -> Any: ...

        def close(self) -> None:
            opened.append("close")

    return Failing


def session(target: type[Target], retries: int) -> Session:
    return Session(
        board=board.load("stm32f439"),
        scenarios=(),
        target=target,
        toolchain=Toolchain("zig", "0.17.0", (), Path("zig")),
        identity=RunIdentity.now(None),
        store=None,
        timeout_s=1.0,
        retries=retries,
    )


def attempts(error: MeasurementError, retries: int) -> tuple[int, Session]:
    """How often a board is opened before the error is raised; each time it has to be closed."""
    opened: list[str] = []
    tried = session(failing(error, opened), retries)
    prepared: Any = SimpleNamespace(scenario=scenario.load("face_m4"), image=None)
    with pytest.raises(type(error)) as told, tried.flashed(prepared):
        pass
    assert told.value is error
    assert opened == ["open", "close"] * (len(opened) // 2)
    return len(opened) // 2, tried


@pytest.mark.parametrize("error", [ProbeError("no probe"), FlashError("no flash")])
@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_fault_of_the_set_up_is_tried_again_as_often_as_asked(
    error: MeasurementError, retries: int
) -> None:
    assert attempts(error, retries)[0] == retries + 1


def test_a_fault_of_the_firmware_is_not_tried_again() -> None:
    assert attempts(FirmwareFault("it jumped to 0"), 3)[0] == 1


def test_a_failure_of_the_emulator_is_told_at_once() -> None:
    count, tried = attempts(EmulatorError("the emulator itself failed: KeyError: 7"), 3)
    assert count == 1
    assert [row.metric.name for row in tried.rows] == ["outcome"]
    assert tried.rows[0].metric.verdict is Verdict.PROBE


def test_what_is_tried_again_is_told() -> None:
    told: list[str] = []
    tried = session(failing(ProbeError("the cable is loose"), []), 2)
    tried.progress = told.append
    prepared: Any = SimpleNamespace(scenario=scenario.load("face_m4"), image=None)
    with suppress(ProbeError), tried.flashed(prepared):
        pass
    assert told.count("the cable is loose; taking and flashing it anew") == 2


def test_a_probe_that_is_lost_while_flashing_is_told_as_such_and_tried_again() -> None:
    lost = ProbeError("the probe is lost while programming")
    opened: list[str] = []

    class Lost(failing(lost, opened)):  # type: ignore[misc]
        def close(self) -> None:
            super().close()
            raise ProbeError("pyOCD failed while disconnecting")

    tried = session(Lost, 2)
    prepared: Any = SimpleNamespace(scenario=scenario.load("face_m4"), image=None)
    with pytest.raises(ProbeError) as told, tried.flashed(prepared):
        pass
    assert told.value is lost
    assert "then: pyOCD failed while disconnecting" in told.value.__notes__
    assert opened == ["open", "close"] * 3


def test_a_run_s_budget_ends_what_is_under_way_and_what_has_not_begun() -> None:
    tried = session(failing(ProbeError("never"), []), 0)
    tried.budget = Budget(0.05)
    for _ in range(2):
        with pytest.raises(BudgetError, match=r"0\.05 s is spent") as told, tried._outcome(LAYER):
            threading.Event().wait(30)
        assert not told.value.is_worth_retry
    assert [row.metric.verdict for row in tried.rows] == [Verdict.TIMEOUT] * 2


def test_a_budget_that_is_not_spent_leaves_everything_as_it_was() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with Budget(1000).spending():
        assert signal.getsignal(signal.SIGUSR1) is not before
    assert signal.getsignal(signal.SIGUSR1) is before
    with Budget().spending():
        assert signal.getsignal(signal.SIGUSR1) is before


def test_an_interrupt_leaves_a_row() -> None:
    tried = session(failing(ProbeError("never"), []), 0)
    with pytest.raises(KeyboardInterrupt), tried._outcome(LAYER):
        raise KeyboardInterrupt
    assert [row.metric.note for row in tried.rows] == ["interrupted"]
