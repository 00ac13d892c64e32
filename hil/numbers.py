"""Numbers in files, and on a command line: types that state their range on refusal."""

import argparse
import math
import re
from collections.abc import Callable

_DECIMAL = re.compile(r"-?[0-9]{1,18}")  # int() takes other scripts' digits, and raises for 4,301

MOST_ITERATIONS = 10_000
MOST_RETRIES = 100
LEAST_SECONDS, MOST_SECONDS = 0.001, 86_400.0  # a millisecond, a day


def decimal(text: str) -> int | None:
    """Return the whole number that a text from a file is; None where it is none of 18 digits."""
    return int(text) if _DECIMAL.fullmatch(text) else None


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` to `most`.

    Args:
        least: that is taken.
        most: that is taken.
    """

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
    """Return a reader of finite numbers from `least` to `most`.

    Args:
        least: that is taken.
        most: that is taken.
    """

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


def address(text: str) -> int:
    """Read an address of 32 bits, in hexadecimal with 0x or in decimal."""
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 32:
        raise argparse.ArgumentTypeError(f"an address such as 0x08004000 is expected, not {text!r}")
    return value
