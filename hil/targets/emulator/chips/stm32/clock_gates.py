"""Which peripherals have their clock, as RCC's enable and reset registers say."""

import logging
from collections.abc import Mapping, Sequence

from hil.targets.emulator.chips.stm32.clocks import ResetAndClockControl
from hil.targets.emulator.chips.stm32.gates import Gate, Unmodelled, block_at
from hil.targets.emulator.core.registers import Bus, Peripheral

_log = logging.getLogger(__name__)


class ClockGates:
    """Gives peripherals their clocks.

    Args:
        bus: that has their registers.
        rcc: says who is on.
        peripherals: all that are modelled.
        gates: of those that have to be switched on, by name.
        unmodelled: blocks with a clock of their own, by name.
        absent: what this part of the family does not have.
    """

    def __init__(
        self,
        bus: Bus,
        rcc: ResetAndClockControl,
        peripherals: Sequence[Peripheral],
        *,
        gates: Mapping[str, Gate],
        unmodelled: Mapping[str, Unmodelled],
        absent: frozenset[str],
    ) -> None:
        self._bus = bus
        self._rcc = rcc
        self._gated = [(one, gates[one.name]) for one in peripherals if one.name in gates]
        self._unmodelled = unmodelled
        self._absent = absent
        self._missed: set[str] = set()

    def update(self) -> None:
        """Give each peripheral the clock and the reset that RCC says."""
        for peripheral, gate in self._gated:
            held = self._rcc.is_reset(gate)
            if held:
                peripheral.reset()
            on = self._gives_clock(peripheral.name, gate) and not held
            if on != peripheral.clocked:
                self._bus.set_clock(peripheral, on=on)
        for name, block in self._unmodelled.items():
            held = self._rcc.is_reset(block.gate)
            on = self._gives_clock(name, block.gate) and not held
            self._bus.set_block(block.address, block.bytes, on=on, keeps=not held)

    def _gives_clock(self, name: str, gate: Gate) -> bool:
        """Whether a peripheral that the part has is switched on."""
        if not self._rcc.is_clocked(gate):
            return False
        if name not in self._absent:
            return True
        if name not in self._missed:
            self._missed.add(name)
            _log.warning("the program switches on %s, which this part does not have", name)
        return False

    def tell_poll(self, address: int) -> None:
        """Say that the program waits for what never comes."""
        name = block_at(self._unmodelled, address)
        if not name:
            _log.warning("the program polls %#010x, where no register is modelled", address)
            return
        gate = self._unmodelled[name].gate
        on = self._rcc.is_clocked(gate) and not self._rcc.is_reset(gate)
        why = "is not modelled: its registers only keep what is written" if on else "has no clock"
        _log.warning("the program polls %#010x of %s, which %s", address, name, why)
