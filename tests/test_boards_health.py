"""What the rows of earlier runs say of each board, and what runs make of it."""

import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from emulated import BOARD

from hil import cli
from hil.commands import boards
from hil.config.inventory import Unit
from hil.errors import LockError, ProbeError, UsageError, Verdict
from hil.results import health, table
from hil.results.rows import Context, Metric, Row
from hil.run import quarantine
from hil.targets import lock, probe
from hil.targets.probe import ProbeTarget


def row(
    run: str,
    verdict: Verdict = Verdict.PASS,
    *,
    uid: str = "aa",
    target: str = "probe",
    when: str = "",
) -> Row:
    context = Context(
        run=run,
        scenario="face_m4",
        board="stm32f439",
        target=target,
        timing="silicon",
        clock_hz=1,
        board_uid=uid,
        when=when,
        commit="",
        model="",
        toolchain="",
        fingerprint="",
    )
    return Row(context, Metric("outcome", 0, "", verdict=verdict))


def test_a_scenario_with_many_rows_counts_once() -> None:
    (found,) = health.of([row("1"), row("1"), row("2", Verdict.LATENCY)])
    assert (found.measured, found.failures, found.in_quarantine) == (2, {}, False)


def test_set_up_errors_are_counted_by_verdict_and_a_result_ends_the_row_of_them() -> None:
    said = [Verdict.FLASH, Verdict.BOOT, Verdict.PASS, Verdict.BOOT]
    (found,) = health.of(row(str(at), one) for at, one in enumerate(said))
    assert found.failures == {Verdict.FLASH: 1, Verdict.BOOT: 2}
    assert (found.measured, found.latest) == (1, (Verdict.BOOT,))


def test_three_set_up_errors_in_a_row_are_a_quarantine_with_its_reason() -> None:
    said = [Verdict.PASS, Verdict.PROBE, Verdict.PROBE, Verdict.LINK]
    (found,) = health.of(row(str(at), one) for at, one in enumerate(said))
    assert found.in_quarantine
    assert found.latest == (Verdict.PROBE, Verdict.PROBE, Verdict.LINK)


def test_what_is_no_boards_fault_is_not_counted() -> None:
    rows = [row("1", Verdict.BUILD), row("2", Verdict.LOCK), row("3", target="emulator")]
    assert health.of(rows) == []


def test_boards_are_told_apart_by_their_chips() -> None:
    found = health.of([row("1", uid="aa"), row("2", Verdict.FLASH, uid="bb")])
    assert [(one.uid, one.measured) for one in found] == [("aa", 1), ("bb", 0)]


def test_frames_resent_and_rungs_climbed_are_counted_per_board() -> None:
    figures = ("link.resends", 3), ("setup.recovery.reflash", 1), ("setup.recovery.pin-reset", 2)
    rows = [
        replace(row(run), metric=Metric(name, value, ""))
        for run in ("1", "2")
        for name, value in figures
    ]
    (found, other) = health.of([*rows, row("3", uid="bb")])
    assert (found.measured, found.resends) == (2, 6)
    assert found.recovered == {"reflash": 2, "pin-reset": 4}
    assert (other.resends, other.recovered) == (0, {})


DAYS = [f"2026-01-0{day}T00:00:00+00:00" for day in range(1, 6)]
UNITS = tuple(Unit(name, "stm32f439", f"066{name}", uid=uid * 12) for name, uid in ("aA", "bB"))


def failures(uid: str) -> list[Row]:
    """Three set-up errors on the first three days."""
    return [row(day, Verdict.BOOT, uid=uid, when=day) for day in DAYS[:3]]


def written(history: Path, rows: list[Row]) -> Path:
    for one in rows:
        name = f"{one.context.run[:10]}-{one.context.board_uid[:2]}.csv"
        table.write([one], history / name)
    return history


def test_a_board_that_was_found_well_is_out_of_quarantine_until_it_fails_again(
    tmp_path: Path,
) -> None:
    assert health.checked(tmp_path) == {}
    health.note_checked(tmp_path, "aa", DAYS[0])
    health.note_checked(tmp_path, "aa", DAYS[2])
    with (tmp_path / ".checked").open("a", encoding="utf-8") as file:
        file.write('{"uid": "aa", "wh')  # of a process that was killed
    checked = health.checked(tmp_path)
    assert checked == {"aa": DAYS[2]}
    (found,) = health.of(failures("aa"), checked)
    assert (found.latest, found.measured, found.failures) == ((), 0, {Verdict.BOOT: 3})
    later = row("4", Verdict.PROBE, when=DAYS[3])
    (found,) = health.of([*failures("aa"), later], checked)
    assert found.latest == (Verdict.PROBE,)


def test_runs_leave_out_a_board_in_quarantine_and_say_why(tmp_path: Path) -> None:
    first, second = UNITS
    history = written(tmp_path, failures(first.uid))
    told: list[str] = []
    board = replace(BOARD, units=UNITS)
    assert quarantine.leave_out(board, history, told.append).units == (second,)
    assert told == ["a (probe 066a) is in quarantine: boot, boot, boot since its last result"]
    named = replace(board, probe_id="a")
    assert quarantine.leave_out(named, history, told.append).units == UNITS
    with pytest.raises(UsageError, match="in quarantine") as caught:
        quarantine.leave_out(replace(BOARD, units=(first,)), history, told.append)
    assert "hil boards check a" in caught.value.hint
    health.note_checked(history, first.uid, DAYS[4])
    assert quarantine.leave_out(board, history, told.append).units == UNITS


def test_a_board_that_cannot_be_taken_is_known_by_its_inventory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lock.VARIABLE, str(tmp_path))
    unit = Unit("gone", "stm32f439", "remote:127.0.0.1:1", port="/dev/null", uid="ab" * 12)
    target = ProbeTarget(replace(BOARD, units=(unit,), lock_wait_s=0))
    with pytest.raises(ProbeError):
        target.open()
    assert target.known_uid == unit.uid


def test_of_several_boards_in_use_the_first_that_is_free_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lock.VARIABLE, str(tmp_path))
    monkeypatch.setattr(probe, "_TURN_S", 0.05)
    board = replace(BOARD, units=UNITS, lock_wait_s=30.0)
    target = ProbeTarget(board)
    with lock.held("066a", name="a", why="long", wait_s=0, tell=print):
        held = ExitStack()
        held.enter_context(lock.held("066b", name="b", why="short", wait_s=0, tell=print))
        threading.Timer(0.3, held.close).start()
        assert target._take(UNITS) == UNITS[1]
        target.close()
        with lock.held("066b", name="b", why="long", wait_s=0, tell=print):
            impatient = ProbeTarget(replace(board, lock_wait_s=0.1))
            with pytest.raises(LockError):
                impatient._take(UNITS)


def test_the_command_shows_a_quarantine_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = UNITS[0].uid
    where = ["boards", "health", "--history-dir", str(written(tmp_path, failures(uid)))]
    assert cli.main(where) == 1
    said = capsys.readouterr().out
    assert "QUARANTINE" in said
    assert "resent" in said
    health.note_checked(tmp_path, uid, DAYS[4])
    assert cli.main(where) == 0
    assert "QUARANTINE" not in capsys.readouterr().out


def test_findings_of_a_board_fit_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    words = "serial 115,200 baud: 8 bytes to PA10, 0 wrong; " * 3
    boards._print_wrapped("[x] pins               ", words)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 80
    assert " ".join(" ".join(lines).split()) == f"[x] pins {words}".strip()
    assert all(line.startswith(" " * 23) for line in lines[1:])
