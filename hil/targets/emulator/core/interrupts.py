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
        self._living: Sequence[Source] | None = None

    def choose(self) -> None:
        """Look from now on at the peripherals that have a clock, so that others cost nothing."""
        able = self._all if self._living is None else self._living
        self._sources = [source for source in able if source.clocked]

    def stop(self, living: Sequence[Source]) -> None:
        """Look at some sources alone: the clocks of the others, and SysTick's, stand."""
        self._living = living
        self.choose()
        self.set_deadline()

    def go_on(self) -> None:
        """Look at all sources again."""
        self._living = None
        self.choose()

    def pend(self) -> None:
        """Make the exceptions pending whose lines are high."""
        pending, active = self._exceptions.state.pending, self._exceptions.state.active
        if self._living is None and self._systick.tick():
            pending.add(SYSTICK)
        self.set_deadline()
        for source in self._sources:
            if source.interrupt and FIRST_IRQ + source.irq not in active:
                pending.add(FIRST_IRQ + source.irq)

    def set_deadline(self) -> None:
        """Have runs end when the first line may change."""
        deadlines = [source.deadline() for source in self._sources]
        deadlines += [deadline() for deadline in self._deadlines]
        if self._living is None:
            deadlines.append(self._systick.deadline())
        self._run.deadline = min((d for d in deadlines if d is not None), default=NEVER)
