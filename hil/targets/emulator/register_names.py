"""Names of a chip's registers, from ST's description as pyOCD's package carries it."""

from bisect import bisect_right
from functools import cached_property
from typing import Any

_BLOCK_BYTES = 0x400
_OF_THE_CORE = {  # ARM DDI 0403E table B3-4 and others: no chip's description has all of them
    0xE000_E010: "SYST_CSR", 0xE000_E014: "SYST_RVR", 0xE000_E018: "SYST_CVR",
    0xE000_E01C: "SYST_CALIB", 0xE000_ED04: "ICSR", 0xE000_ED08: "VTOR", 0xE000_ED0C: "AIRCR",
    0xE000_ED10: "SCR", 0xE000_ED14: "CCR", 0xE000_ED24: "SHCSR", 0xE000_ED28: "CFSR",
    0xE000_ED2C: "HFSR", 0xE000_ED88: "CPACR", 0xE000_1000: "DWT_CTRL", 0xE000_1004: "DWT_CYCCNT",
    0xE000_EDF0: "DHCSR", 0xE000_EDFC: "DEMCR", 0xE000_0000: "ITM_STIM0",
}  # fmt: skip


class RegisterNames:
    """Names registers by address.

    Args:
        svd: the description's file name in pyOCD's package; empty for a chip without one.
    """

    def __init__(self, svd: str) -> None:
        self._svd = svd

    def name(self, address: int) -> str:
        """Return a register's name with its address, such as RNG_SR (0x50060804)."""
        known = _OF_THE_CORE.get(address & ~3) or self._registers.get(address & ~3)
        known = known or self._in_block(address)
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
