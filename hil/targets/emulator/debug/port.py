"""The debug port: SW-DP registers and an AHB access port, as a probe on the wire sees them.

Source: ARM IHI 0031 (ADIv5.2); ARM DDI 0439D section 9.2 (the Cortex-M4's AHB-AP).
"""

from collections.abc import Sequence
from typing import Protocol

from hil.targets.emulator.debug.rom_table import ROM_TABLE
from hil.targets.emulator.errors import BusError

_DPIDR = 0x2BA0_1477  # SW-DP of an STM32F4
_AP_IDR = 0x2477_0011  # AHB-AP of a Cortex-M4

# CTRL/STAT
_POWER_REQUESTS = 0x5000_0000
_STICKYERR = 1 << 5
_WDATAERR = 1 << 7
_STICKYCMP = 1 << 4
_STICKYORUN = 1 << 1
_WRITABLE_CONTROL = 0x50FF_FF0D

# ABORT
_STKERRCLR, _WDERRCLR, _STKCMPCLR, _ORUNERRCLR = 1 << 2, 1 << 3, 1 << 1, 1 << 4

# AHB-AP
_DRW = 0x0C
_CSW_RESET = 0x2300_0042
_CSW_WRITABLE = 0x2300_0037
_CSW_DEVICE_ENABLED = 1 << 6
_CSW_SPROT = 1 << 30
_INCREMENTS = 0x30

# TAR counts up within this many bytes; pyOCD knows it of this AP.
_INCREMENT_PAGE = 0x1000


class Memory(Protocol):
    """Memory and registers as the access port reaches them."""

    def read(self, address: int, length: int) -> bytes:
        """Read memory or, within one word, a register. Raises BusError.

        Args:
            address: of the first byte.
            length: bytes.
        """

    def write(self, address: int, data: bytes) -> None:
        """Write memory or a register. Raises BusError.

        Args:
            address: of the first byte.
            data: the bytes.
        """


class TransferFault(Exception):
    """A FAULT response: an error is sticky until ABORT clears it."""


class DebugPort:
    """DP and AP 0.

    Access to an AP answers with `TransferFault` while an error is sticky.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.connect()

    def connect(self) -> None:
        """Return to the state after power-on or a line reset."""
        self._control = 0
        self._select = 0
        self._errors = 0
        self._read_buffer = 0
        self._csw = _CSW_RESET
        self._tar = 0

    # DP

    def read_dp(self, address: int) -> int:
        """Read a DP register by address bits 3:2."""
        match address & 0xC:
            case 0x0:  # DPIDR
                return _DPIDR
            case 0x4:  # CTRL/STAT and its banks
                return self._read_control() if self._select & 0xF == 0 else self._banked()
            case _:  # RESEND, RDBUFF
                return self._read_buffer

    def write_dp(self, address: int, value: int) -> None:
        """Write a DP register by address bits 3:2.

        Args:
            address: 0x0, 0x4, 0x8 or 0xC.
            value: 32 bits.
        """
        match address & 0xC:
            case 0x0:  # ABORT
                self._abort(value)
            case 0x4 if self._select & 0xF == 0:  # CTRL/STAT
                self._control = value & _WRITABLE_CONTROL
            case 0x8:  # SELECT
                self._select = value
            case _:
                pass

    def _read_control(self) -> int:
        # Every power request is granted at once.
        acknowledged = (self._control & _POWER_REQUESTS) << 1
        return self._control | acknowledged | self._errors

    def _banked(self) -> int:
        """Return DLCR, TARGETID or DLPIDR."""
        return {0x1: 0x0000_0040, 0x2: 0, 0x3: 0x0000_0001}.get(self._select & 0xF, 0)

    def _abort(self, value: int) -> None:
        for bit, error in (
            (_STKERRCLR, _STICKYERR),
            (_WDERRCLR, _WDATAERR),
            (_STKCMPCLR, _STICKYCMP),
            (_ORUNERRCLR, _STICKYORUN),
        ):
            if value & bit:
                self._errors &= ~error

    # AP

    def read_ap(self, address: int) -> int:
        """Read a register of the selected AP by address bits 3:2.

        Raises:
            TransferFault: the access failed, or an earlier one did.
        """
        return self.read_ap_many(address, 1)[0]

    def write_ap(self, address: int, value: int) -> None:
        """Write a register of the selected AP by address bits 3:2.

        Args:
            address: 0x0, 0x4, 0x8 or 0xC.
            value: 32 bits.

        Raises:
            TransferFault: the access failed, or an earlier one did.
        """
        self.write_ap_many(address, (value,))

    def read_ap_many(self, address: int, count: int) -> list[int]:
        """Read an AP register several times over.

        Args:
            address: of the register.
            count: how often.

        Raises:
            TransferFault: an access failed, or an earlier one did.
        """
        self._check()
        register = self._ap_register(address)
        if register is None:
            return [0] * count
        if register == _DRW and self._can_block(count):
            data = self._bus_read(self._tar, 4 * count)
            self._advance(4 * count)
            values = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
        else:
            values = [self._read_register(register) for _ in range(count)]
        self._read_buffer = values[-1]
        return values

    def write_ap_many(self, address: int, values: Sequence[int]) -> None:
        """Write an AP register several times over.

        Args:
            address: of the register.
            values: 32 bits each.

        Raises:
            TransferFault: an access failed, or an earlier one did.
        """
        self._check()
        register = self._ap_register(address)
        if register == _DRW and self._can_block(len(values)):
            self._bus_write(self._tar, b"".join(value.to_bytes(4, "little") for value in values))
            self._advance(4 * len(values))
        elif register is not None:
            for value in values:
                self._write_register(register, value)

    def _check(self) -> None:
        if self._errors & _STICKYERR:
            raise TransferFault
        if self._control & _POWER_REQUESTS != _POWER_REQUESTS:
            raise self._fault()

    def _fault(self) -> "TransferFault":
        self._errors |= _STICKYERR
        return TransferFault()

    def _ap_register(self, address: int) -> int | None:
        """Return the register's offset in AP 0, None in an AP that is not there."""
        return None if self._select >> 24 else self._select & 0xF0 | address & 0xC

    @property
    def _size(self) -> int:
        return 1 << min(self._csw & 7, 2)

    def _can_block(self, count: int) -> bool:
        """Whether accesses of DRW are words at counting addresses in one page of memory."""
        in_page = self._tar % _INCREMENT_PAGE + 4 * count <= _INCREMENT_PAGE
        counts = bool(self._csw & _INCREMENTS) and self._size == 4 and self._tar % 4 == 0
        return counts and count > 1 and in_page and self._tar < 0x4000_0000

    def _advance(self, length: int) -> None:
        if self._csw & _INCREMENTS:
            page = self._tar & -_INCREMENT_PAGE
            self._tar = page | (self._tar + length) % _INCREMENT_PAGE

    def _read_register(self, register: int) -> int:
        match register:
            case 0x0C:  # DRW
                value = self._read_lane(self._tar)
                self._advance(self._size)
                return value
            case 0x10 | 0x14 | 0x18 | 0x1C:  # BD0 to BD3
                return int.from_bytes(self._bus_read(self._banked_address(register), 4), "little")
            case _:  # CSW, TAR, BASE, IDR
                csw = self._csw | _CSW_DEVICE_ENABLED
                fixed = {0x00: csw, 0x04: self._tar, 0xF8: ROM_TABLE | 3, 0xFC: _AP_IDR}
                return fixed.get(register, 0)

    def _write_register(self, register: int, value: int) -> None:
        match register:
            case 0x00:  # CSW
                self._csw = value & (_CSW_WRITABLE | _CSW_SPROT)
            case 0x04:  # TAR
                self._tar = value
            case 0x0C:  # DRW
                lane, size = self._tar & 3, self._size
                self._bus_write(self._tar, value.to_bytes(4, "little")[lane : lane + size])
                self._advance(size)
            case 0x10 | 0x14 | 0x18 | 0x1C:  # BD0 to BD3
                self._bus_write(self._banked_address(register), value.to_bytes(4, "little"))
            case _:
                pass

    def _banked_address(self, register: int) -> int:
        return self._tar & ~0xF | register & 0xC

    def _read_lane(self, address: int) -> int:
        """Read one item; narrow ones arrive in their byte lanes of the word."""
        data = self._bus_read(address, self._size)
        return int.from_bytes(data, "little") << 8 * (address & 3)

    def _bus_read(self, address: int, length: int) -> bytes:
        self._check_alignment(address, length)
        try:
            return self._memory.read(address, length)
        except BusError as error:
            raise self._fault() from error

    def _bus_write(self, address: int, data: bytes) -> None:
        self._check_alignment(address, len(data))
        try:
            self._memory.write(address, data)
        except BusError as error:
            raise self._fault() from error

    def _check_alignment(self, address: int, length: int) -> None:
        if address % min(length, 4):
            raise self._fault()
