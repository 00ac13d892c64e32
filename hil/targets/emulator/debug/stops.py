"""Where a debugger wants the core to halt: breakpoints, watchpoints and vector catches."""

from hil.targets.emulator.core.system_control import BKPT, DWTTRAP, HALTED
from hil.targets.emulator.debug.control import DebugCore, FlashPatch, catch_of
from hil.targets.emulator.debug.dwt import DataWatchpointTrace
from hil.targets.emulator.debug.watchpoints import Watchpoints


class Stops:
    """The comparators of FPB and DWT and the catches of DEMCR, as the core asks for them.

    Attributes:
        beside: addresses to halt before that no comparator holds: those of a test, not of the chip.
    """

    def __init__(
        self,
        control: DebugCore,
        flash_patch: FlashPatch,
        dwt: DataWatchpointTrace,
        watchpoints: Watchpoints,
    ) -> None:
        self._control = control
        self._flash_patch = flash_patch
        self._dwt = dwt
        self._watchpoints = watchpoints
        self.beside: frozenset[int] = frozenset()

    @property
    def enabled(self) -> bool:
        """Whether a debugger is there: BKPT halts instead of faulting."""
        return self._control.enabled

    @property
    def masks_interrupts(self) -> bool:
        """Whether interrupts wait while debugging."""
        return self._control.masks_interrupts

    @property
    def hit(self) -> bool:
        """Whether a data access of this run was one to halt at."""
        return self._watchpoints.hit

    def breakpoints(self) -> set[int]:
        """Return the addresses of instructions to halt before."""
        if not self.enabled:
            return set(self.beside)
        points = self._flash_patch.breakpoints() | self.beside
        return points | {c.halts_at for c in self._dwt.comparators if c.halts_at is not None}

    def reason_at(self, address: int) -> int:
        """Return the DFSR bit of the breakpoint at an address."""
        if address in self.beside:
            return HALTED
        return BKPT if address in self._flash_patch.breakpoints() else DWTTRAP

    def arm(self) -> None:
        """Have the next run note data accesses to halt at."""
        self._watchpoints.update(enabled=self.enabled and self._control.tracing)

    def catches(self, number: int, status: int) -> bool:
        """Whether to halt at the handler of a fault, by exception number and CFSR bits.

        Args:
            number: of the exception.
            status: the bits of CFSR that it has set.
        """
        return bool(self._control.catches & catch_of(number, status))
