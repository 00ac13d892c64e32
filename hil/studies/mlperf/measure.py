"""One image, from its reset to the time of an inference."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from hil.errors import UsageError
from hil.studies.mlperf.protocol import Image, Window

INPUT_BYTES = {"vww01": 27_648, "ic01": 3_072, "kws01": 490, "ad01": 2_560}
"""Of each network of the benchmark: uint8 images, an int8 spectrogram, 640 floats."""

_MODEL = "m-model-["
_RUNNER_WINDOW_US = 10_000_000
_MOST_WINDOWS = 4
"""The runner counts a window of at least ten seconds."""


@dataclass(frozen=True)
class Timed:
    """An image's inference.

    Attributes:
        model: as the image calls its network.
        us: microseconds of an inference.
        windows: those that were taken.
        said: what the image says of itself.
        clock_hz: of the core, where it is known; else 0.
    """

    model: str
    us: float
    windows: tuple[Window, ...]
    said: tuple[str, ...]
    clock_hz: int = 0


Take = Callable[[Image], tuple[float, tuple[Window, ...]]]
"""Takes windows; returns microseconds of an inference with them."""


def measure(image: Image, take: Take, data: bytes | None, clock_hz: int = 0) -> Timed:
    """Greet an image, give it an input, and time it.

    Args:
        image: it waits for a command.
        take: `short_windows` or `runners_window`.
        data: the input; None: zeros, as many as the network takes.
        clock_hz: of the core, where it is known.

    Raises:
        UsageError: the network is not known, so that the input must be given.
        SilenceError, ProtocolError: the image does not answer as it should.
    """
    said = [*image.greet(), *image.command("profile")]
    named = [line.removeprefix(_MODEL).rstrip("]") for line in said if line.startswith(_MODEL)]
    model = named[0] if named else ""
    if data is None:
        if model not in INPUT_BYTES:
            raise UsageError(
                f"the image calls its network {model!r}, of which no input is known",
                hint="give it one: --input FILE",
            )
        data = bytes(INPUT_BYTES[model])
    image.load(data)
    us, windows = take(image)
    return Timed(model, us, windows, tuple(said), clock_hz)


def short_windows(image: Image) -> tuple[float, tuple[Window, ...]]:
    """Time an inference by the difference of two short windows, where each repeats exactly.

    What stands between the laps beside inferences, the print of the first, drops out; in a window
    of ten seconds it is nothing.
    """
    first, second = image.infer(1), image.infer(3)
    more = second.inferences - first.inferences
    return (second.us - first.us) / more, (first, second)


def runners_window(image: Image) -> tuple[float, tuple[Window, ...]]:
    """Time an inference as the runner does: in a window of at least ten seconds.

    A window of one inference is long by the print of its first lap, so that another may be needed.
    """
    windows = [image.infer(1)]
    while len(windows) < _MOST_WINDOWS and windows[-1].us < _RUNNER_WINDOW_US:
        last = windows[-1]
        each_us = max(last.us / last.inferences, 1)
        windows.append(image.infer(math.ceil(_RUNNER_WINDOW_US / each_us)))
    return windows[-1].us / windows[-1].inferences, tuple(windows)
