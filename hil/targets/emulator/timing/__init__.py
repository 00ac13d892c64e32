"""The timing model: how many cycles a Cortex-M4 with the STM32F4's flash takes."""

from hil.targets.emulator.timing.core import TimingCore
from hil.targets.emulator.timing.profile import BlockProfile, Stalls
from hil.targets.emulator.timing.rules import TIMING_VERSION, Rules

__all__ = ["TIMING_VERSION", "BlockProfile", "Rules", "Stalls", "TimingCore"]
