"""RCC and PWR: clocks become ready as soon as they are switched on.

Source: RM0090 sections 5.4 and 6.3.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.targets.emulator.core.registers import Peripheral, Register, Storage, StoragePeripheral

if TYPE_CHECKING:
    from collections.abc import Callable

HSI_HZ = 16_000_000
_READY_AFTER_ON = {0: 1, 16: 17, 24: 25, 26: 27, 28: 29}  # HSI, HSE, PLL, PLLI2S, PLLSAI
_HSION, _PLLON = 1 << 0, 1 << 24
_APB2 = range(0x4001_0000, 0x4001_8000)
_AHB_SHIFTS = (1, 2, 3, 4, 6, 7, 8, 9)


_ENABLES = {"AHB1": 0x30, "AHB2": 0x34, "AHB3": 0x38, "APB1": 0x40, "APB2": 0x44}
_ENABLE_TO_RESET = -0x20
_ENABLE_RESETS = {0x30: 0x0010_0000}  # the CCM's data


@dataclass(frozen=True)
class Gate:
    """Which bit of a bus's enable and reset registers a peripheral's are."""

    bus: str
    bit: int


GATES = {
    **{f"GPIO{port}": Gate("AHB1", bit) for bit, port in enumerate("ABCDEFGHIJK")},
    "USART1": Gate("APB2", 4),
    "USART2": Gate("APB1", 17),
    "USART3": Gate("APB1", 18),
    "PWR": Gate("APB1", 28),
}
"""The modelled peripherals that have to be switched on, by name; the others always work.

Source: RM0090 sections 6.3.5 to 6.3.14.
"""


class ResetAndClockControl(Peripheral):
    """RCC.

    Args:
        hse_hz: the board's crystal.

    Attributes:
        on_gates: called when clocks may have been switched, or peripherals reset.
    """

    def __init__(self, hse_hz: int) -> None:
        self._hse_hz = hse_hz
        self._control = Storage(0x0000_0081, writable=0x150D_00F9)
        self._pll = Storage(0x2400_3010)
        self._configuration = Storage(writable=0xFFFF_FFF3)
        self._backup = Storage(writable=0x0001_830D)
        self._status = Storage(writable=0x0100_0001)
        self._reset_flags = 0x0E00_0000
        self.on_gates: Callable[[], None] = lambda: None
        self._plain = {
            offset: Storage(_ENABLE_RESETS.get(offset, 0)) for offset in range(0x0C, 0x70, 4)
        }
        super().__init__(
            "RCC",
            0x4002_3800,
            {offset: storage.register() for offset, storage in self._plain.items()}
            | {at: self._gating(at) for enable in _ENABLES.values() for at in _pair(enable)}
            | {
                0x00: Register(self._read_control, self._control.write),
                0x04: self._pll.register(),
                0x08: Register(self._read_configuration, self._configuration.write),
                0x70: Register(lambda: _ready(self._backup.value, 0, 1), self._backup.write),
                0x74: Register(self._read_status, self._write_status),
            },
        )

    def reset(self) -> None:
        """Return to the state after reset: HSI, 16 MHz."""
        for storage in (self._control, self._pll, self._configuration, *self._plain.values()):
            storage.reset()
        self.on_gates()

    def is_clocked(self, gate: Gate) -> bool:
        """Whether a peripheral's clock is on."""
        return bool(self._plain[_ENABLES[gate.bus]].value >> gate.bit & 1)

    def is_reset(self, gate: Gate) -> bool:
        """Whether a peripheral is held in reset."""
        return bool(self._plain[_ENABLES[gate.bus] + _ENABLE_TO_RESET].value >> gate.bit & 1)

    def _gating(self, offset: int) -> Register:
        storage = self._plain[offset]

        def write(value: int) -> None:
            storage.write(value)
            self.on_gates()

        return Register(storage.read, write)

    def note_reset(self, *, by_software: bool) -> None:
        """Set the flags that tell the firmware why it starts."""
        self._reset_flags |= 1 << 28 | 1 << 26 if by_software else 1 << 26

    @property
    def core_hz(self) -> int:
        """The clock that the firmware has set up for the core."""
        source = self._configuration.value & 3
        hz = (HSI_HZ, self._hse_hz, self._pll_hz, HSI_HZ)[source]
        divider = self._configuration.value >> 4 & 0xF
        return hz >> _AHB_SHIFTS[divider & 7] if divider & 8 else hz

    def bus_divider(self, address: int) -> int:
        """Return the core's cycles per cycle of the bus that a peripheral is on: APB1 or APB2."""
        prescaler = self._configuration.value >> (13 if address in _APB2 else 10) & 7
        return 2 << (prescaler & 3) if prescaler & 4 else 1

    @property
    def _pll_hz(self) -> int:
        value = self._pll.value
        source_hz = self._hse_hz if value >> 22 & 1 else HSI_HZ
        m, n, p = value & 0x3F, value >> 6 & 0x1FF, 2 * ((value >> 16 & 3) + 1)
        return source_hz * n // (max(m, 1) * p)

    def _read_control(self) -> int:
        value = self._control.value
        for on, ready in _READY_AFTER_ON.items():
            value = _ready(value, on, ready)
        return value

    def _read_configuration(self) -> int:
        value = self._configuration.value
        return value | (value & 3) << 2

    def _read_status(self) -> int:
        return _ready(self._status.value, 0, 1) | self._reset_flags

    def _write_status(self, value: int) -> None:
        self._status.write(value)
        if value & 1 << 24:  # RMVF
            self._reset_flags = 0


class PowerControl(StoragePeripheral):
    """PWR: regulator and over-drive report ready."""

    def __init__(self) -> None:
        super().__init__("PWR", 0x4000_7000, {0x0: 0x0000_C000})
        self._status = Storage(writable=0x0000_0300)
        control = self._storage[0x0]

        def read_status() -> int:
            over_drive = control.value >> 16 & 0b11
            return self._status.value | over_drive << 16 | 1 << 14

        self.registers[0x4] = Register(read_status, self._status.write)


def _pair(enable: int) -> tuple[int, int]:
    """Return the offsets of a bus's enable register and its reset register."""
    return enable, enable + _ENABLE_TO_RESET


def _ready(value: int, on: int, ready: int) -> int:
    return value | (value >> on & 1) << ready
