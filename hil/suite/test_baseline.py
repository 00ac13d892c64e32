"""What every scenario must do against a baseline; these run with `--hil-baseline` only."""

from collections.abc import Callable


def test_nothing_is_worse_than_the_baseline(hold_to_baseline: Callable[[], None]) -> None:
    hold_to_baseline()


def test_no_scenario_of_the_baseline_is_gone(lost_scenarios: list[str]) -> None:
    assert not lost_scenarios, (
        f"[regression] the baseline has {', '.join(lost_scenarios)}, this run does not; "
        'where that is meant: --hil-all --hil-update-baseline --hil-why "..."'
    )
