"""Names of a chip's registers, from ST's description as pyOCD's package carries it."""

from bisect import bisect_right
from functools import cached_property
from typing import Any

_BLOCK_BYTES = 0x400


class RegisterNames:
    """Names registers by address.

    Args:
        svd: the description's file name in pyOCD's package; empty for a chip without one.
    """

    def __init__(self, svd: str) -> None:
        self._svd = svd

    def name(self, address: int) -> str:
        """Return a register's name with its address, such as RNG_SR (0x50060804)."""
        known = self._registers.get(address & ~3) or self._in_block(address)
        return f"{known} ({address:#010x})" if known else f"{address:#010x}"

    def peripheral(self, address: int) -> str:
        """Return the name of the peripheral that an address belongs to, empty where none does."""
        index = bisect_right(self._blocks, (address, "~")) - 1
        if index < 0:
            return ""
        start, name = self._blocks[index]
        return name if address - start < _BLOCK_BYTES else ""

    def register(self, address: int) -> str:
        """Return a register's name without its peripheral's, else its address."""
        full = self._registers.get(address & ~3, "")
        return full.removeprefix(f"{self.peripheral(address)}_") or f"{address:#010x}"

    def _in_block(self, address: int) -> str:
        name = self.peripheral(address)
        start = next((at for at, one in self._blocks if one == name), 0)
        return f"{name}+{address - start:#x}" if name else ""

    @cached_property
    def _device(self) -> Any:
        from pyocd.debug.svd.loader import SVDFile

        if not self._svd:
            return None
        file: Any = SVDFile.from_builtin(self._svd)
        file.load()
        return file.device

    @cached_property
    def _blocks(self) -> list[tuple[int, str]]:
        peripherals = self._device.peripherals if self._device else ()
        return sorted((one.base_address, one.name.upper()) for one in peripherals)

    @cached_property
    def _registers(self) -> dict[int, str]:
        return {
            peripheral.base_address + register.address_offset: _full(peripheral, register)
            for peripheral in (self._device.peripherals if self._device else ())
            for register in peripheral.registers or ()
        }


def _full(peripheral: Any, register: Any) -> str:
    prefix = f"{peripheral.name}_".upper()
    name = str(register.name).upper()
    return name if name.startswith(prefix) else prefix + name
