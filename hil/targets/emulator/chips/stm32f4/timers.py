"""The timers of an STM32F4. Source: RM0090 sections 2.3, 12.2 and 17 to 20."""

from collections.abc import Iterator
from typing import NamedTuple

from hil.targets.emulator.chips.stm32.timer_inputs import ETR


class Placed(NamedTuple):
    """A timer's place.

    Attributes:
        irq: of its update, and of the rest where `compare_irq` says nothing else.
        compare_irq: of its compare channels, 0 where they share `irq`.
    """

    name: str
    address: int
    irq: int
    channels: int
    bits: int = 16
    compare_irq: int = 0


TIMERS = (
    Placed("TIM1", 0x4001_0000, 25, 4, compare_irq=27),
    Placed("TIM2", 0x4000_0000, 28, 4, bits=32),
    Placed("TIM3", 0x4000_0400, 29, 4),
    Placed("TIM4", 0x4000_0800, 30, 4),
    Placed("TIM5", 0x4000_0C00, 50, 4, bits=32),
    Placed("TIM6", 0x4000_1000, 54, 0),
    Placed("TIM7", 0x4000_1400, 55, 0),
    Placed("TIM8", 0x4001_0400, 44, 4, compare_irq=46),
    Placed("TIM9", 0x4001_4000, 24, 2),
    Placed("TIM10", 0x4001_4400, 25, 1),
    Placed("TIM11", 0x4001_4800, 26, 1),
    Placed("TIM12", 0x4000_1800, 43, 2),
    Placed("TIM13", 0x4000_1C00, 44, 1),
    Placed("TIM14", 0x4000_2000, 45, 1),
)

MASTERS = {  # behind ITR0 to ITR3: tables 93, 97, 101 and 105
    "TIM1": ("TIM5", "TIM2", "TIM3", "TIM4"),
    "TIM8": ("TIM1", "TIM2", "TIM4", "TIM5"),
    "TIM2": ("TIM1", "TIM8", "TIM3", "TIM4"),
    "TIM3": ("TIM1", "TIM2", "TIM5", "TIM4"),
    "TIM4": ("TIM1", "TIM2", "TIM3", "TIM8"),
    "TIM5": ("TIM2", "TIM3", "TIM4", "TIM8"),
    "TIM9": ("TIM2", "TIM3", "TIM10", "TIM11"),
    "TIM12": ("TIM4", "TIM5", "TIM13", "TIM14"),
}

_PINS = {  # STM32F439 data sheet, table 12: alternate function, then pins by channel
    "TIM1": (
        1,
        (
            "A8 E9",
            "A9 E11",
            "A10 E13",
            "A11 E14",
        ),
    ),
    "TIM2": (
        1,
        (
            "A0 A5 A15",
            "A1 B3",
            "A2 B10",
            "A3 B11",
        ),
    ),
    "TIM3": (
        2,
        (
            "A6 B4 C6",
            "A7 B5 C7",
            "B0 C8",
            "B1 C9",
        ),
    ),
    "TIM4": (
        2,
        (
            "B6 D12",
            "B7 D13",
            "B8 D14",
            "B9 D15",
        ),
    ),
    "TIM5": (
        2,
        (
            "A0 H10",
            "A1 H11",
            "A2 H12",
            "A3 I0",
        ),
    ),
    "TIM8": (
        3,
        (
            "C6 I5",
            "C7 I6",
            "C8 I7",
            "C9 I2",
        ),
    ),
    "TIM9": (
        3,
        (
            "A2 E5",
            "A3 E6",
        ),
    ),
    "TIM10": (3, ("B8 F6",)),
    "TIM11": (3, ("B9 F7",)),
    "TIM12": (
        9,
        (
            "B14 H6",
            "B15 H9",
        ),
    ),
    "TIM13": (9, ("A6 F8",)),
    "TIM14": (9, ("A7 F9",)),
}


_TRIGGERS = {"TIM1": (1, "A12 E7"), "TIM3": (2, "D2"), "TIM4": (2, "E0"), "TIM8": (3, "A0 I3")}
"""ETR's pins, TIM2's being those of its first channel too."""


def _channels() -> Iterator[tuple[tuple[str, int, int], tuple[str, int]]]:
    for timer, (function, channels) in _PINS.items():
        for number, pins in enumerate(channels):
            for pin in pins.split():
                yield (pin[0], int(pin[1:]), function), (timer, number)
    for timer, (function, triggers) in _TRIGGERS.items():
        for pin in triggers.split():
            yield (pin[0], int(pin[1:]), function), (timer, ETR)


CHANNELS = dict(_channels())
"""A timer's name and its channel's number from 0, or ETR, by port, pin and alternate function."""
