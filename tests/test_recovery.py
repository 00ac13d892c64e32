"""The recovery ladder: which rung helps, what each does to the board, what is told and counted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_desk import Desk, desk
from test_faults import _prepare

from hil.config.inventory import Unit, load, text
from hil.errors import BootError, FirmwareFault, PortError, ProbeError, Verdict
from hil.run import recovery
from hil.run.recovery import Ladder
from hil.targets import lock, probes
from hil.targets.probe import ServedTarget
from hil.targets.recovery import GREETING, Rung, cycle_power, of_board

RUNGS = [*GREETING, Rung.REFLASH]
UNTOUCHED = 0x0816_0000
"""In a sector that no image here needs."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(lock.VARIABLE, str(tmp_path_factory.mktemp("locks")))
        patch.setattr(recovery, "AGAIN_S", 0.3)
        with desk(tmp_path_factory.mktemp("desk"), _prepare) as made:
            yield made


@pytest.fixture
def dead(shared: Desk) -> Iterator[Desk]:
    """A board that answers nothing until something revives it."""
    terminal = shared.served.emulated.terminal
    assert terminal is not None
    shared.options |= {"hil_timeout": 0.3, "hil_retries": 1}
    terminal.passes = lambda _data, _baud: b""
    yield shared
    shared.mend()


def rungs(rows: list[object]) -> dict[str, float]:
    """How often each rung was tried, as the rows say."""
    stem = "setup.recovery."
    named = {row.metric.name: row.metric.value for row in rows}  # type: ignore[attr-defined]
    return {name[len(stem) :]: value for name, value in named.items() if name.startswith(stem)}


@pytest.mark.parametrize(
    "rung",
    [RUNGS[0], *(pytest.param(one, marks=pytest.mark.slow) for one in RUNGS[1:-1]), RUNGS[-1]],
)
def test_a_rung_that_helps_ends_the_ladder_and_is_counted(
    dead: Desk, rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    terminal = dead.served.emulated.terminal
    assert terminal is not None

    def revive(stage: str) -> None:
        told.append(stage)
        if stage.endswith(rung.means):
            assert dead.current is not None
            dead.current.timeout_s = 60.0
            monkeypatch.setattr(recovery, "AGAIN_S", 60.0)
            terminal.passes = lambda data, _baud: data

    dead.watch = revive
    met = dead.run()
    assert met.error is None
    tried = RUNGS[: RUNGS.index(rung) + 1]
    assert rungs([*met.rows]) == {str(one): 1 for one in tried}
    assert sum(stage.endswith(tuple(one.means for one in Rung)) for stage in told) == len(tried)


@pytest.mark.slow
def test_where_nothing_helps_the_verdict_says_what_was_tried(dead: Desk) -> None:
    met = dead.run()
    assert met.verdict is Verdict.BOOT
    (ended,) = met.rows
    twice = ", ".join(GREETING)
    assert ended.metric.note.endswith(f"tried: {twice}, reflash, {twice}")
    assert dead.is_free


def test_no_retries_is_no_ladder(dead: Desk) -> None:
    dead.options["hil_retries"] = 0
    (ended,) = dead.run().rows
    assert "tried" not in ended.metric.note


def test_the_reset_pin_and_connecting_under_reset_reach_the_chip(
    shared: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven: list[bool] = []
    hold = shared.chip.hold_in_reset

    def note(*, asserted: bool) -> None:
        driven.append(asserted)
        hold(asserted=asserted)

    monkeypatch.setattr(shared.chip, "hold_in_reset", note)
    with ServedTarget(shared.session().board) as target:
        assert driven == []
        target.recover(Rung.PIN_RESET)
        assert driven == [True, False]
        target.recover(Rung.UNDER_RESET)
        assert driven[2:4] == [True, False]
        assert not shared.chip.core.halted


def test_power_is_cycled_and_flash_erased_only_where_the_inventory_says_so(
    shared: Desk, tmp_path: Path
) -> None:
    done = tmp_path / "cycled"
    unit = replace(shared.served.unit, power_cycle=f"touch {done}", mass_erase=True)
    board = shared.session().board
    for units, erased in ((board.units, False), ((unit,), True)):
        shared.chip.load(UNTOUCHED, b"kept")
        for rung in (Rung.POWER_CYCLE, Rung.MASS_ERASE):
            target = ServedTarget(replace(board, units=units))
            target.rung = rung
            with target:
                if rung is Rung.MASS_ERASE:
                    target.flash(shared.prepared.image)
                left = target.debugger.read(UNTOUCHED, 4)
            assert done.exists() is erased
        assert (left == b"\xff" * 4) is erased


def test_the_last_rungs_come_after_flashing_again_and_only_where_a_retry_helps(
    shared: Desk,
) -> None:
    unit = replace(shared.served.unit, power_cycle="true", mass_erase=True)
    board = replace(shared.session().board, units=(unit,))

    def climbed(error: ProbeError | FirmwareFault, retries: int) -> list[Rung]:
        ladder = Ladder(ServedTarget, board, retries, lambda _stage: None)
        while ladder.next(error) is not None:
            pass
        return ladder.tried

    lost = ProbeError("no probe")
    assert climbed(lost, 2) == [Rung.REFLASH] * 2 + [Rung.POWER_CYCLE, Rung.MASS_ERASE]
    assert climbed(lost, 0) == []
    assert climbed(FirmwareFault("it crashed"), 2) == []


def test_a_port_that_fails_is_greeted_no_further(shared: Desk) -> None:
    ladder = Ladder(ServedTarget, shared.session().board, 1, lambda _stage: None)

    def pulled(_within_s: float | None) -> object:
        raise PortError("pulled")

    def mute(_within_s: float | None) -> object:
        raise BootError("nothing")

    target = ServedTarget(shared.session().board)
    with pytest.raises(PortError):
        ladder.greet(target, pulled)  # type: ignore[arg-type]
    assert ladder.tried == []
    with pytest.raises(BootError):
        ladder.greet(target, mute)  # type: ignore[arg-type]
    assert ladder.tried == [*GREETING]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("false", "it ended with status 1"),
        ("no-such-command", "No such file"),
        ("sh -c 'echo no hub >&2; exit 3'", "status 3: no hub"),
    ],
)
def test_a_power_cycle_that_fails_is_told(command: str, said: str) -> None:
    unit = Unit("desk", "stm32f439", "066B", power_cycle=command)
    with pytest.raises(ProbeError, match=said) as caught:
        cycle_power(unit)
    assert command in caught.value.hint


def test_a_probe_that_comes_back_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([False, False, True])
    monkeypatch.setattr(probes, "connected", list)
    monkeypatch.setattr(probes, "is_there", lambda _unit, _here: next(looks))
    monkeypatch.setattr(probes, "_LOOK_EVERY_S", 0.0)
    probes.wait_for(Unit("desk", "stm32f439", "066B"))
    assert next(looks, None) is None


def test_an_inventory_says_how_to_cycle_power_and_whether_to_erase(tmp_path: Path) -> None:
    unit = Unit("a", "stm32f439", "066B", power_cycle="uhubctl -l 1-1 -a cycle", mass_erase=True)
    file = tmp_path / "boards.toml"
    file.write_text(text(unit), encoding="utf-8")
    (found,) = load(file, tmp_path)
    assert replace(found, source="") == unit
    assert of_board(found) == (Rung.POWER_CYCLE, Rung.MASS_ERASE)
