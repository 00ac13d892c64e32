"""Voltages of pins: what the chip puts out, and what is around it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hil.errors import UsageError
from hil.targets.emulator.chips.stm32.gpio import GpioPort

REFERENCE_V = 3.3
"""VREF+, VDDA and VBAT."""


@dataclass(frozen=True)
class Output:
    """What puts a voltage on a pin.

    Attributes:
        volts: returns the voltage, None while it is off.
        due: returns the cycle at which it may be another, None where it stays.
    """

    volts: Callable[[], float | None]
    due: Callable[[], int | None]


class Analog:
    """Pins as converters see them.

    Args:
        ports: by letter.
        place: finds a pin's port and number by its name. Raises UsageError.
    """

    def __init__(
        self, ports: Mapping[str, GpioPort], place: Callable[[str], tuple[str, int]]
    ) -> None:
        self._ports = ports
        self._place = place
        self._applied: dict[tuple[str, int], float] = {}
        self._watchers: dict[str, list[Callable[[float], None]]] = {}
        self._told: dict[str, float] = {}
        self.outputs: dict[tuple[str, int], Output] = {}

    def apply(self, name: str, volts: float | None) -> None:
        """Hold a pin at a voltage from outside; None lets it go.

        Args:
            name: such as "PA0".
            volts: from 0 to the reference.

        Raises:
            UsageError: there is no such pin, or the chip does not bear the voltage.
        """
        place = self._place(name)
        if volts is None:
            self._applied.pop(place, None)
        elif 0.0 <= volts <= REFERENCE_V:
            self._applied[place] = volts
        else:
            raise UsageError(
                f"{name} does not bear {volts:g} V", hint=f"0 to {REFERENCE_V:g} V, its reference"
            )

    def volts(self, name: str) -> float:
        """Return a pin's voltage: the chip's own, else one from outside, else 0. Raises UsageError.

        Args:
            name: such as "PA4". A pin that is held at a level has 0 V or the reference.
        """
        place = self._place(name)
        output = self.outputs.get(place)
        own = output.volts() if output else None
        if own is not None:
            return own
        if place in self._applied:
            return self._applied[place]
        return REFERENCE_V if self._ports[place[0]].is_held_high(place[1]) else 0.0

    def watch(self, name: str, function: Callable[[float], None]) -> None:
        """Call a function with a pin's voltage whenever the chip puts out another.

        Args:
            name: such as "PA4".
            function: gets volts.

        Raises:
            UsageError: there is no such pin, or no converter puts a voltage on it.
        """
        place = self._place(name)
        if place not in self.outputs:
            known = ", ".join(f"P{letter}{pin}" for letter, pin in self.outputs) or "none"
            raise UsageError(f"no converter drives {name}", hint=f"those that one drives: {known}")
        self._watchers.setdefault(name, []).append(function)
        self._told.setdefault(name, self.volts(name))

    def deadline(self) -> int | None:
        """Return the cycle at which a watched voltage may change, None where none does."""
        if not self._watchers:
            return None
        dues = (self.outputs[self._place(name)].due() for name in self._watchers)
        return min((due for due in dues if due is not None), default=None)

    def settle(self) -> None:
        """Tell of voltages that have changed."""
        for name, functions in self._watchers.items():
            volts = self.volts(name)
            if volts != self._told[name]:
                self._told[name] = volts
                for function in functions:
                    function(volts)
