"""Interrupt lines and deadlines of the peripherals around a core."""

from collections.abc import Callable, Sequence

from hil.targets.emulator.core.clock import NEVER, RunControl
from hil.targets.emulator.core.exceptions import FIRST_IRQ, SYSTICK, Exceptions
from hil.targets.emulator.core.source import Source
from hil.targets.emulator.core.systick import SysTick


class Interrupts:
    """What of SysTick and the peripherals is pending, and when to look again.

    Args:
        deadlines: of what has no line and needs to be looked at in time all the same.
    """

    def __init__(
        self,
        exceptions: Exceptions,
        systick: SysTick,
        run: RunControl,
        sources: Sequence[Source],
        deadlines: Sequence[Callable[[], int | None]] = (),
    ) -> None:
        self._exceptions = exceptions
        self._systick = systick
        self._run = run
        self._all = sources
        self._sources: Sequence[Source] = sources
        self._deadlines = deadlines

    def choose(self) -> None:
        """Look from now on at the peripherals that have a clock, so that others cost nothing."""
        self._sources = [source for source in self._all if source.clocked]

    def pend(self) -> None:
        """Make the exceptions pending whose lines are high."""
        pending, active = self._exceptions.state.pending, self._exceptions.state.active
        if self._systick.tick():
            pending.add(SYSTICK)
        self.set_deadline()
        for source in self._sources:
            if source.interrupt and FIRST_IRQ + source.irq not in active:
                pending.add(FIRST_IRQ + source.irq)

    def set_deadline(self) -> None:
        """Have runs end when the first line may change."""
        deadlines = [self._systick.deadline(), *(source.deadline() for source in self._sources)]
        deadlines += [deadline() for deadline in self._deadlines]
        self._run.deadline = min((d for d in deadlines if d is not None), default=NEVER)
