from dataclasses import replace
from pathlib import Path

import pytest
from planted import HERE, METRICS, figures

from hil.errors import UsageError, Verdict
from hil.results import baseline, table
from hil.results.baseline import LOG_COLUMNS, Reason
from hil.results.compare import Outcome, compare
from hil.results.figures import gather
from hil.results.rows import Metric, in_context
from hil.results.rules import USUAL

REASON = Reason(
    "2026-11-30T00:00:00+00:00", "0123456789ab", "A <a@b>", "it is new", {"x": "zig -O2"}
)


def log(path: Path) -> list[dict[str, str]]:
    return table.records_of(baseline.log_of(path), LOG_COLUMNS)


def test_a_baseline_holds_what_is_judged_and_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "baselines" / "stm32f439.csv"
    assert baseline.update(path, figures(), REASON) == [
        "face_m4 on stm32f439 (emulator, zig 0.17.0): new"
    ]
    (kept,) = baseline.read(path)
    judged = {m.name for m in METRICS if USUAL.of("face_m4", m.name).judged}
    assert set(kept.metrics) == judged
    assert kept.build_id == "aa"
    assert [c.outcome for c in compare([kept], figures())] == [Outcome.UNCHANGED]


def test_every_move_is_logged_with_its_reason_and_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / "stm32f439.csv"
    baseline.update(path, figures(), REASON)
    assert baseline.update(path, figures(), replace(REASON, why="again")) == []
    faster = figures(values={"cycles": 1_500, "cycles.layer.stem": 600})
    baseline.update(path, faster, replace(REASON, why="a faster stem", commit="ba"))
    assert [(entry["why"], entry["change"]) for entry in log(path)] == [
        ("it is new", "new"),
        ("a faster stem", "cycles -100 cycle"),
    ]
    assert log(path)[1]["author"] == "A <a@b>"
    assert [c.outcome for c in compare(baseline.read(path), faster)] == [Outcome.UNCHANGED]


def test_entries_of_other_scenarios_targets_and_compilers_stay(tmp_path: Path) -> None:
    path = tmp_path / "stm32f439.csv"
    other = figures(replace(HERE, scenario="vww"))
    gcc = figures(replace(HERE, toolchain="gcc 12", fingerprint="gcc 12 -O2"))
    baseline.update(path, [*figures(), *other, *gcc], REASON)
    baseline.update(path, figures(values={"cycles": 1}), REASON)
    assert len(baseline.read(path)) == 3
    baseline.update(path, figures(values={"cycles": 1}), REASON, whole=True)
    assert {(f.key.scenario, f.key.toolchain) for f in baseline.read(path)} == {
        ("face_m4", "zig 0.17.0"),
        ("face_m4", "gcc 12"),
    }
    assert log(path)[-1]["change"] == "gone"


def test_another_compiler_version_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "stm32f439.csv"
    baseline.update(path, figures(), REASON)
    newer = replace(HERE, toolchain="zig 0.18.0", fingerprint="zig 0.18.0 -O2")
    baseline.update(path, figures(newer), REASON)
    assert [f.key.toolchain for f in baseline.read(path)] == ["zig 0.18.0"]
    assert log(path)[-1]["change"] == "compiler zig 0.17.0 became zig 0.18.0"


def test_no_reason_no_move(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--hil-why"):
        baseline.update(tmp_path / "b.csv", figures(), replace(REASON, why=" "))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_measurement_leaves_the_baseline_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    baseline.update(path, figures(), REASON)
    before = path.read_bytes()
    ended = gather(in_context(HERE, [Metric("outcome", 0, "", verdict=Verdict.BOOT)]))
    with pytest.raises(UsageError, match="face_m4 ended early"):
        baseline.update(path, ended, REASON)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [("scenario,", "szenario,", "lacks scenario"), (",1600,", ",many,", "line .*many")],
)
def test_a_damaged_baseline_is_refused_by_name(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    path = tmp_path / "b.csv"
    baseline.update(path, figures(), REASON)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UsageError, match=complaint):
        baseline.read(path)
