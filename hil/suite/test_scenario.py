"""What every scenario must do on its board: right, close, fast enough, small enough.

One test per scenario and metric with a limit; `hil/results/metrics.py` lists them.
"""

from collections.abc import Callable


def test_limit(hil_hold: Callable[[str], None], hil_metric: str) -> None:
    hil_hold(hil_metric)
