"""The private peripheral bus as the core reaches it: for privileged code.

Source: ARM DDI 0403E B3.1.1 (an unprivileged access is a BusFault), B3.2.6 (CCR.USERSETMPEND lets
unprivileged code write to STIR), C1.7.1 (the ITM takes unprivileged stores to its ports).
"""

from collections.abc import Callable
from dataclasses import dataclass

from hil.targets.emulator.core.engine import Engine
from hil.targets.emulator.core.registers import Bus
from hil.targets.emulator.errors import BusError

ADDRESS = 0xE000_0000
_ITM = range(ADDRESS, ADDRESS + 0x1000)
_STIR = 0xE000_EF00


@dataclass
class PrivateBus:
    """Lets privileged code through to the registers.

    Attributes:
        user_may_set_pending: CCR.USERSETMPEND.
    """

    engine: Engine
    bus: Bus
    user_may_set_pending: Callable[[], bool]

    def read(self, address: int, size: int) -> int:
        """Read a register. Raises BusError without privilege.

        Args:
            address: of the first byte.
            size: 1, 2 or 4 bytes.
        """
        if self.engine.unprivileged and address not in _ITM:
            raise BusError(address)
        return self.bus.read(address, size)

    def write(self, address: int, size: int, value: int) -> None:
        """Write a register. Raises BusError without privilege.

        Args:
            address: of the first byte.
            size: 1, 2 or 4 bytes.
            value: what is stored.
        """
        if self.engine.unprivileged and address not in _ITM and not self._is_open(address):
            raise BusError(address)
        self.bus.write(address, size, value)

    def _is_open(self, address: int) -> bool:
        return address == _STIR and self.user_may_set_pending()
