"""What is behind the channels of an STM32F4's ADCs, and what starts them.

Source: RM0090 sections 13.4, 13.10 and 13.13.2 to 13.13.5; STM32F439 data sheet, table 12.
"""

from collections.abc import Callable

SAMPLING_CYCLES = (3, 15, 28, 56, 84, 112, 144, 480)
"""By SMPx."""

REGULAR_TRIGGERS = (
    "TIM1_CC1", "TIM1_CC2", "TIM1_CC3", "TIM2_CC2", "TIM2_CC3", "TIM2_CC4", "TIM2_TRGO", "TIM3_CC1",
    "TIM3_TRGO", "TIM4_CC4", "TIM5_CC1", "TIM5_CC2", "TIM5_CC3", "TIM8_CC1", "TIM8_TRGO", "EXTI11",
)  # fmt: skip
"""By EXTSEL."""
INJECTED_TRIGGERS = (
    "TIM1_CC4", "TIM1_TRGO", "TIM2_CC1", "TIM2_TRGO", "TIM3_CC2", "TIM3_CC4", "TIM4_CC1",
    "TIM4_CC2", "TIM4_CC3", "TIM4_TRGO", "TIM5_CC4", "TIM5_TRGO", "TIM8_CC2", "TIM8_CC3",
    "TIM8_CC4", "EXTI15",
)  # fmt: skip
"""By JEXTSEL."""

_SHARED = ("PA0", "PA1", "PA2", "PA3")
_OF_ADC_1_AND_2 = ("PA4", "PA5", "PA6", "PA7", "PB0", "PB1")
_OF_ADC_3 = ("PF6", "PF7", "PF8", "PF9", "PF10", "PF3")
_MORE = ("PC0", "PC1", "PC2", "PC3")
PINS = {
    1: (*_SHARED, *_OF_ADC_1_AND_2, *_MORE, "PC4", "PC5"),
    2: (*_SHARED, *_OF_ADC_1_AND_2, *_MORE, "PC4", "PC5"),
    3: (*_SHARED, *_OF_ADC_3, *_MORE, "PF4", "PF5"),
}
"""By ADC and channel."""

_REFERENCE_CHANNEL, _BATTERY_CHANNEL = 17, 18
_TSVREFE, _VBATE = 1 << 23, 1 << 22
_SENSOR_V = 0.76  # at 25 degrees: STM32F439 data sheet, table 82
_INNER_REFERENCE_V = 1.21
_BATTERY_V = 3.3
_F405_F407 = 0x413


class Inputs:
    """The channels of one ADC.

    Args:
        number: 1, 2 or 3.
        volts: returns the voltage of a pin, by its name.
        control: returns ADC_CCR, which switches the inner channels on.
        dev_id: of the part, in DBGMCU_IDCODE.
    """

    def __init__(
        self, number: int, volts: Callable[[str], float], control: Callable[[], int], dev_id: int
    ) -> None:
        self._pins = PINS[number]
        self._volts = volts
        self._control = control
        self._is_first = number == 1
        old = dev_id == _F405_F407
        self._sensor_channel = 16 if old else _BATTERY_CHANNEL
        self._battery_v = _BATTERY_V / (2 if old else 4)

    def volts(self, channel: int) -> float:
        """Return the voltage of a channel; 0 of one that is nowhere or off."""
        if channel < len(self._pins):
            return self._volts(self._pins[channel])
        return self._inner(channel) if self._is_first else 0.0

    def _inner(self, channel: int) -> float:
        control = self._control()
        if channel == _BATTERY_CHANNEL and control & _VBATE:
            return self._battery_v
        if not control & _TSVREFE:
            return 0.0
        inner = {self._sensor_channel: _SENSOR_V, _REFERENCE_CHANNEL: _INNER_REFERENCE_V}
        return inner.get(channel, 0.0)
