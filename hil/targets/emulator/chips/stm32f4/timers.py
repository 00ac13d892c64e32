"""The timers of an STM32F4. Source: RM0090 sections 2.3, 12.2 and 17 to 20."""

from typing import NamedTuple


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
