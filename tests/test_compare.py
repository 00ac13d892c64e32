import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import HERE, METRICS, figures

from hil.errors import Verdict
from hil.results import maps, words
from hil.results.compare import Comparison, Outcome, compare, geometric_mean
from hil.results.figures import Figures, gather
from hil.results.rows import Metric, in_context
from hil.results.rules import USUAL, Grade, Rule, Rules, fence

JUDGED = [metric for metric in METRICS if USUAL.of("face_m4", metric.name).judged]


def one(values: dict[str, float], build_id: str = "bb") -> Comparison:
    (found,) = compare(figures(), figures(replace(HERE, build_id=build_id), values))
    return found


def test_equal_figures_of_the_same_image_are_unchanged_and_of_another_neutral() -> None:
    assert one({}, build_id="aa").outcome is Outcome.UNCHANGED
    assert one({}).outcome is Outcome.NEUTRAL


def test_a_thousand_comparisons_of_equal_runs_raise_no_alarm() -> None:
    before = figures()
    for number in range(1_000):
        seconds = {"time.run": 1.5 + number, "link.resends": number % 3}
        (found,) = compare(before, figures(replace(HERE, run=str(number)), seconds))
        assert found.outcome is Outcome.UNCHANGED
        assert found.changes == ()


def test_two_hundred_random_changes_of_one_row_are_all_found_and_nothing_else() -> None:
    draw = random.Random(1)  # noqa: S311
    for _ in range(200):
        metric = draw.choice(JUDGED)
        by = draw.choice([-1, 1]) * (1 if metric.name != "output.cosine" else 0.01)
        found = one({metric.name: metric.value + by})
        assert [change.metric for change in found.changes] == [metric.name]
        assert found.changes[0].moved == pytest.approx(by)
        assert found.outcome in {Outcome.REGRESSION, Outcome.IMPROVEMENT, Outcome.CHANGED}
        better = USUAL.of("face_m4", metric.name).better
        if better != "neither":
            worse = (by > 0) == (better == "lower")
            assert found.outcome.is_worse == worse


def test_one_cycle_in_one_layer_is_a_regression_named_by_layer_and_kernel() -> None:
    found = one({"cycles": 1_601, "cycles.layer.blocks.1": 301})
    assert found.outcome is Outcome.REGRESSION
    assert words.lines(found) == [
        (
            "regression: cycles 1,600 cycle -> 1,601 cycle (+1 cycle, +0.062%): "
            "+1 cycle in blocks.1 (conv2d)"
        )
    ]


def test_more_bytes_are_named_by_buffer_or_symbol() -> None:
    found = one({"ram.arena": 4_352, "ram.total": 5_888, "ram.buffer.heads.norms.2/ring": 512})
    assert "+256 B: heads.norms.2/ring (ccm)" in words.lines(found)[0]
    found = one({"flash.code": 9_256, "flash.total": 69_256, "flash.symbol.conv2d": 896})
    assert all("+256 B: conv2d (.text)" in line for line in words.lines(found))


def test_an_improvement_is_told_apart_from_a_regression_and_from_a_bargain() -> None:
    assert one({"cycles": 1_500}).outcome is Outcome.IMPROVEMENT
    assert one({"cycles": 1_500, "ram.total": 6_000}).outcome is Outcome.MIXED
    assert one({"cycles.layer.stem": 701, "cycles.layer.blocks.0": 399}).outcome is Outcome.MIXED


def test_other_outputs_are_a_change_and_the_map_where_they_begin_is_named() -> None:
    found = one({"output.digest": 1, "output.layer.stem": 2})
    assert found.outcome is Outcome.CHANGED
    assert "differs in stem" in words.lines(found)[0]
    assert maps.NOT_KEPT in words.lines(found)[0]


MAPS = (
    *(Metric(f"output.layer.{name}", 0, "digest", note="integer reference") for name in "zba"),
    Metric("output.digest", 0, "digest"),
)


def of_maps(*digests: int) -> list[Figures]:
    return gather(
        in_context(HERE, [replace(m, value=d) for m, d in zip(MAPS, digests, strict=True)])
    )


def test_the_first_map_of_the_network_that_differs_is_named_with_the_place_and_both_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIL_CACHE", str(tmp_path))
    before = np.arange(24, dtype=np.int8).reshape(2, 4, 3)
    after = before.copy()
    after[1, 2, 0], after[1, 3, 2] = 17, -5
    same, old, new = (maps.keep(one) for one in (before[:1], before, after))
    (found,) = compare(of_maps(same, old, 1, 2), of_maps(same, new, 999, 2**47))
    assert words.lines(found)[0].endswith(
        ": differs in b (integer reference: 2 of 24 differ, "
        "first at row 1, column 2, channel 0: 17, was 18), then in 1 more"
    )
    (found,) = compare(of_maps(same, old, 1, 2), of_maps(same, maps.keep(after[1:]), 1, 3))
    assert (
        "differs in b (integer reference: its shape is (1, 4, 3), was (2, 4, 3))"
        in (words.lines(found)[0])
    )


def test_a_kept_map_that_is_damaged_or_cannot_be_kept_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIL_CACHE", str(tmp_path))
    values = np.arange(24, dtype=np.int8).reshape(2, 4, 3)
    name = maps.keep(values)
    assert np.array_equal(maps.load(maps.keep(values)), values)  # type: ignore[arg-type]
    (file,) = tmp_path.glob("maps/*")
    for damaged in (b"", file.read_bytes()[:-3], b"2 4 3\nnothing", b"x"):
        file.write_bytes(damaged)
        assert maps.load(name) is None
    other = maps.keep(values + np.int8(1))
    next(iter(set(tmp_path.glob("maps/*")) - {file})).rename(file)
    assert maps.load(name) is None
    assert maps.load(other) is None
    (tmp_path / "a-file").write_text("")
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "a-file"))
    assert maps.keep(values) == name
    assert maps.load(name) is None


@pytest.mark.parametrize(
    ("context", "said"),
    [
        (
            replace(HERE, toolchain="zig 0.18.0", fingerprint="zig 0.18.0 -O2 clock=168000000"),
            "compiler zig 0.17.0 became zig 0.18.0",
        ),
        (replace(HERE, fingerprint="zig 0.17.0 -O3"), "the flags of zig 0.17.0 are others"),
        (replace(HERE, clock_hz=84_000_000), "clock 168,000,000 Hz became 84,000,000 Hz"),
        (replace(HERE, wait_states=2), "wait states 5 became 2"),
        (replace(HERE, rules="modelled-m4-2"), "timing rules modelled-m4-1 became modelled-m4-2"),
    ],
)
def test_figures_under_other_circumstances_are_said_by_name_and_not_compared(
    context: object, said: str
) -> None:
    assert isinstance(context, type(HERE))
    (found,) = compare(figures(), figures(context, {"cycles": 1}))
    assert found.outcome is Outcome.OTHER
    assert found.said == said
    assert found.outcome.is_stale


def test_a_scenario_without_an_entry_and_one_that_is_gone_are_both_said() -> None:
    new = figures(replace(HERE, scenario="face_m5"))
    found = compare(figures(), new)
    assert {(c.key.scenario, c.outcome) for c in found} == {
        ("face_m4", Outcome.GONE),
        ("face_m5", Outcome.MISSING),
    }
    assert [c.outcome for c in compare(figures(), new, whole=False)] == [Outcome.MISSING]


def test_a_run_with_another_compiler_or_target_is_said_to_be_of_another_fingerprint() -> None:
    gcc = replace(HERE, toolchain="gcc 12.2.1", fingerprint="gcc 12.2.1 -O2")
    for context in (gcc, replace(HERE, target="probe")):
        found = compare(figures(), figures(context, {"cycles": 1}), whole=False)
        assert [one.outcome for one in found] == [Outcome.MISSING]
        assert found[0].outcome.is_stale
        assert found[0].said == (
            "the baseline has it under another fingerprint only: emulator with zig 0.17.0; "
            f"this run is on {context.target} with {context.toolchain}"
        )


def test_a_measurement_that_ended_early_is_not_compared() -> None:
    ended = gather(in_context(HERE, [Metric("outcome", 0, "", verdict=Verdict.BOOT)]))
    (found,) = compare(figures(), ended)
    assert found.outcome is Outcome.FAILED
    assert "boot" in found.said


def test_a_metric_that_is_no_longer_measured_is_said() -> None:
    fewer = gather(in_context(HERE, [m for m in METRICS if m.name != "flash.total"]))
    (found,) = compare(figures(), fewer)
    assert found.outcome is Outcome.CHANGED
    assert words.lines(found) == ["gone: flash.total 69,000 B -> none (gone, was 69,000 B)"]


def test_a_tolerance_of_a_scenario_counts_before_the_usual_rule() -> None:
    rules = Rules(USUAL.usual, {"face_m4": {"cycles*": Rule("lower", relative=0.01)}})
    (found,) = compare(figures(), figures(values={"cycles": 1_616}), rules)
    assert found.outcome is Outcome.UNCHANGED
    (found,) = compare(figures(), figures(values={"cycles": 1_617}), rules)
    assert found.outcome is Outcome.REGRESSION


SILICON = replace(
    HERE, target="probe", timing="silicon", rules="silicon", board_uid="0042", build_id="cc"
)


def on_silicon(cycles: float, history: list[float]) -> Outcome:
    after = figures(SILICON, {"cycles": cycles})
    rules = Rules(USUAL.usual, {"face_m4": {"cycles.layer.*": Rule(judged=False)}})
    (found,) = compare(figures(SILICON), after, rules, history=lambda *_: history)
    return found.outcome


def test_silicon_is_judged_by_the_boards_own_history_and_not_without_one() -> None:
    assert on_silicon(9_999, []) is Outcome.UNJUDGED
    history = [1_600.0, 1_601.0, 1_602.0, 1_603.0, 1_604.0]
    assert fence(history) == (1_595, 1_609)
    assert on_silicon(1_609, history) is Outcome.UNCHANGED
    assert on_silicon(1_610, history) is Outcome.REGRESSION
    assert on_silicon(1_594, history) is Outcome.IMPROVEMENT


@given(st.lists(st.floats(1, 1e9), min_size=4, max_size=30))
def test_no_value_of_a_history_without_outliers_is_out_of_its_fence(history: list[float]) -> None:
    low, high = fence(history)
    middle = sorted(history)[len(history) // 4 : -(len(history) // 4)]
    assert all(low <= value <= high for value in middle)
    assert Rule().grade_by_history(high, history) is Grade.NEUTRAL


def test_the_largest_change_comes_first_and_the_mean_of_ratios_is_geometric() -> None:
    names = ("a", "b", "c")
    before = [f for n in names for f in figures(replace(HERE, scenario=n))]
    values = {"a": {"cycles": 1_760}, "b": {"cycles": 3_200}, "c": {"cycles": 800}}
    after = [f for n in names for f in figures(replace(HERE, scenario=n), values[n])]
    found = compare(before, after)
    assert [c.key.scenario for c in found] == ["b", "a", "c"]
    assert geometric_mean(found, "cycles") == pytest.approx(1.1 ** (1 / 3))
    assert words.verdict(found) == "2 regression, 1 improvement"
