"""Numbers on a command line: types for argparse and pytest that state their range on refusal."""

import argparse
import math
from collections.abc import Callable

MOST_ITERATIONS = 10_000
MOST_RETRIES = 100
LEAST_SECONDS, MOST_SECONDS = 0.001, 86_400.0  # a millisecond, a day


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"a whole number from {least:,} to {most:,} is expected, not {text!r}"
            )
        return value

    return read


def real(least: float, most: float) -> Callable[[str], float]:
    """Return a reader of finite numbers from `least` to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"a number from {least:g} to {most:,g} is expected, not {text!r}"
            )
        return value

    return read


iterations = whole(1, MOST_ITERATIONS)
retries = whole(0, MOST_RETRIES)
seconds = real(LEAST_SECONDS, MOST_SECONDS)
share = real(0, 1)
