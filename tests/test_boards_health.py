"""What the rows of earlier runs say of each board."""

from hil.errors import Verdict
from hil.results.rows import Context, Metric, Row
from hil.studies.boards import health


def row(
    run: str, verdict: Verdict = Verdict.PASS, *, uid: str = "aa", target: str = "probe"
) -> Row:
    context = Context(
        run=run,
        scenario="face_m4",
        board="stm32f439",
        target=target,
        timing="silicon",
        clock_hz=1,
        board_uid=uid,
        when="",
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
