"""What the core asks of the debug logic beside it."""

from typing import Protocol


class Debugger(Protocol):
    """Where a debugger wants the core to halt."""

    @property
    def enabled(self) -> bool:
        """Whether a debugger is there: BKPT halts instead of faulting."""

    @property
    def masks_interrupts(self) -> bool:
        """Whether interrupts wait while debugging."""

    @property
    def hit(self) -> bool:
        """Whether a data access of this run was one to halt at."""

    def breakpoints(self) -> set[int]:
        """Return the addresses of instructions to halt before."""

    def reason_at(self, address: int) -> int:
        """Return the DFSR bit of the breakpoint at an address."""

    def arm(self) -> None:
        """Have the next run note data accesses to halt at."""

    def catches(self, number: int, status: int) -> bool:
        """Whether to halt at the handler of a fault, by exception number and CFSR bits.

        Args:
            number: of the exception.
            status: the bits of CFSR that it has set.
        """
