"""What every scenario must do against a baseline; these run with `--hil-baseline` only."""

from collections.abc import Callable


def test_baseline(hil_hold_to_baseline: Callable[[], None]) -> None:
    hil_hold_to_baseline()


def test_no_scenario_of_the_baseline_is_gone(hil_lost_scenarios: list[str]) -> None:
    assert not hil_lost_scenarios, (
        f"[regression] the baseline has {', '.join(hil_lost_scenarios)}, this run does not; "
        'where that is meant: --hil-all --hil-update-baseline --hil-why "..."'
    )
