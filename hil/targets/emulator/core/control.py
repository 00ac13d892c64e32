"""Who holds the core: whether it executes, sleeps, steps or stands, and its registers."""

from contextlib import AbstractContextManager

from hil.targets.emulator.core.clock import RunControl
from hil.targets.emulator.core.engine import Engine
from hil.targets.emulator.core.exceptions import Exceptions
from hil.targets.emulator.core.system_control import SystemControl
from hil.targets.emulator.core.thread import CoreThread


class CoreControl:
    """Halts and resumes the core, and lends its registers; any thread may call.

    Attributes:
        halted: whether the debugger holds the core.
        asleep: whether the core waits in WFI or WFE.
        awaits_event: whether it does so in WFE.
        stepping: whether it is to halt behind the next instruction.
        in_reset: whether the reset pin is held low.
    """

    def __init__(
        self,
        engine: Engine,
        exceptions: Exceptions,
        system_control: SystemControl,
        run: RunControl,
        thread: CoreThread,
    ) -> None:
        self._engine = engine
        self._exceptions = exceptions
        self._system_control = system_control
        self._run = run
        self._thread = thread
        self.in_reset = False
        self.reset()

    def reset(self) -> None:
        """Let the core execute from the start; the reset pin stays as it is."""
        self.halted = self.asleep = self.awaits_event = self.stepping = False

    @property
    def locked_up(self) -> bool:
        """Whether the core met a fault that it cannot take."""
        return self._exceptions.state.locked_up

    def may_run(self) -> bool:
        """Whether the core has anything to do."""
        return not (self.halted or self.in_reset or self.locked_up)

    def instructions(self) -> int:
        """Return how many instructions the core has executed."""
        return self._run.instructions

    def paused(self) -> AbstractContextManager[None]:
        """Keep the core from executing in a `with` block; registers are exact in it.

        Raises:
            EmulatorError: the emulator has failed.
        """
        return self._thread.paused()

    def linger(self) -> None:
        """Let a running core go on for a moment, or until it halts. Raises EmulatorError."""
        self._thread.linger()

    def raise_failure(self) -> None:
        """Tell of a failure of the emulator itself, if there was one. Raises EmulatorError."""
        self._thread.raise_failure()

    def halt(self, reason: int) -> None:
        """Stop executing, for a DFSR reason."""
        with self.paused():
            self.halted = True
            self.asleep = False
            self._run.stop = 1  # where the core itself calls, in an access say
            # Debug state ends a lockup; going on would meet the same fault again.
            self._exceptions.state.locked_up = False
            self._system_control.debug_faults |= reason

    def resume(self, *, step: bool) -> None:
        """Go on, for one instruction or until something halts the core."""
        with self.paused():
            self.halted = False
            self.stepping = step

    def read_register(self, name: str) -> int:
        """Return a core register."""
        with self.paused():
            return self._engine.read(name)

    def write_register(self, name: str, value: int) -> None:
        """Change a core register.

        Args:
            name: such as "r0", "pc" or "xpsr".
            value: 32 bits.
        """
        with self.paused():
            if name == "pc":
                value &= ~1
            elif name in {"sp", "msp", "psp"}:
                value &= ~3
            self._engine.write(name, value)
