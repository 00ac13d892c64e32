"""Stop and Standby, and what ends them. Source: RM0090 sections 5.3.4 to 5.3.6 and 5.4.

Nobody has measured how long waking takes: here it takes no time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hil.targets.emulator.chips.stm32f4.rcc import PowerControl, Stm32F4Clocks
from hil.targets.emulator.core.interrupts import Interrupts
from hil.targets.emulator.core.registers import Peripheral


@dataclass(frozen=True)
class Wiring:
    """What deep sleep needs of the chip.

    Attributes:
        now: the core's cycle count.
        sleeps_deep: SCR.SLEEPDEEP.
        interrupts: those whose sources stand in Stop.
        stand: the peripherals whose clock stops.
        living: those whose interrupts end Stop: EXTI and RTC.
        attend: has the core look at once at what there is.
        tell: told what happens, in words.
    """

    now: Callable[[], int]
    sleeps_deep: Callable[[], bool]
    interrupts: Interrupts
    stand: Sequence[Peripheral]
    living: Iterable[Peripheral]
    attend: Callable[[], None]
    tell: Callable[[str], None]


class LowPower:
    """The deep sleep of a chip.

    Attributes:
        in_standby: whether only a reset goes on.
        wakes: whether Standby is to end.
    """

    def __init__(self, rcc: Stm32F4Clocks, power: PowerControl, wiring: Wiring) -> None:
        self._rcc, self._power, self._wiring = rcc, power, wiring
        self._since: int | None = None
        self.in_standby = self.wakes = False

    def fall_asleep(self) -> None:
        """Stop the clocks if the core sleeps deep; called whenever it is about to wait."""
        wiring = self._wiring
        if self._since is not None or self.in_standby or not wiring.sleeps_deep():
            return
        if self._power.wants_standby:
            self.in_standby, self.wakes = True, self._power.has_woken
            if self.wakes:
                wiring.attend()
            wiring.tell("Standby begins")
        else:
            wiring.tell("Stop begins")
        self._rcc.stop()
        self._since = wiring.now()
        for one in wiring.stand:
            one.stop()
        wiring.interrupts.stop([source for one in wiring.living for source in one.sources])

    def wake_up(self) -> None:
        """Let the clocks go on from where they stood, the core on the internal oscillator."""
        if self._since is None:
            return
        cycles = self._wiring.now() - self._since
        self._since = None
        for one in self._wiring.stand:
            one.go_on(cycles)
        self._wiring.interrupts.go_on()
        if not self.in_standby:
            self._wiring.tell(f"Stop ends, after {cycles:,} cycles of the internal oscillator")

    def reset(self) -> None:
        """Be awake: a reset ends every deep sleep."""
        self.wake_up()
        if self.in_standby:
            self._power.note_standby()
        self.in_standby = self.wakes = False

    def notice(self, *, is_pin: bool) -> None:
        """Take what wakes from Standby: an edge of PA0, or an event of the RTC."""
        if is_pin and not self._power.has_wake_up_pin:
            return
        self._power.note_wake_up()
        self.wakes = self.in_standby
