"""The core's debug registers: halt, step, core registers, vector catch, breakpoints.

Source: ARM DDI 0403E C1.6 (DHCSR, DCRSR, DCRDR, DEMCR), C1.11 (FPB).
"""

from collections.abc import Callable
from typing import Protocol

from hil.targets.emulator.core import exceptions as ex
from hil.targets.emulator.core.registers import Peripheral, Register, Storage
from hil.targets.emulator.core.system_control import HALTED

ADDRESS = 0xE000_EDF0
_DEBUG_KEY = 0xA05F
C_DEBUGEN = 1 << 0
C_HALT = 1 << 1
C_STEP = 1 << 2
C_MASKINTS = 1 << 3
_S_REGRDY = 1 << 16
_S_HALT = 1 << 17
_S_SLEEP = 1 << 18
_S_LOCKUP = 1 << 19
_S_RETIRE_ST = 1 << 24
_S_RESET_ST = 1 << 25

# DEMCR
_TRCENA = 1 << 24
VC_CORERESET = 1 << 0
_VC_MMERR = 1 << 4
_VC_NOCPERR = 1 << 5
_VC_CHKERR = 1 << 6
_VC_STATERR = 1 << 7
_VC_BUSERR = 1 << 8
_VC_INTERR = 1 << 9
_VC_HARDERR = 1 << 10

_CODE_COMPARATORS = 6
_LITERAL_COMPARATORS = 2
_REGISTERS_BY_SELECTOR = {
    **{i: f"r{i}" for i in range(13)},
    13: "sp",
    14: "lr",
    15: "pc",
    16: "xpsr",
    17: "msp",
    18: "psp",
    33: "fpscr",
    **{64 + i: f"s{i}" for i in range(32)},
}
_SPECIAL_SELECTOR = 20  # CONTROL, FAULTMASK, BASEPRI, PRIMASK in one word
_SPECIAL = ("primask", "basepri", "faultmask", "control")


class Core(Protocol):
    """What the debug registers need of the core."""

    halted: bool

    @property
    def asleep(self) -> bool:
        """Whether it waits in WFI or WFE."""

    @property
    def locked_up(self) -> bool:
        """Whether it met a fault that it cannot take."""

    def instructions(self) -> int:
        """Return how many instructions it has executed."""

    def halt(self, reason: int) -> None:
        """Stop executing, for a DFSR reason."""

    def resume(self, *, step: bool) -> None:
        """Go on, for one instruction or until something halts it."""

    def read_register(self, name: str) -> int:
        """Return a core register."""

    def write_register(self, name: str, value: int) -> None:
        """Change a core register.

        Args:
            name: such as "r0", "pc" or "xpsr".
            value: 32 bits.
        """


class DebugCore(Peripheral):
    """DHCSR, DCRSR, DCRDR, DEMCR.

    Attributes:
        control: the C_ bits of DHCSR.
        catches: the VC_ bits of DEMCR.
    """

    def __init__(self, core: Core, on_trace: Callable[[], None]) -> None:
        self._core = core
        self._on_trace = on_trace
        self._data = Storage()
        self._monitor = Storage(writable=0x010F_07F1)
        self._was_reset = False
        self._instructions_seen = 0
        self.control = 0
        super().__init__(
            "DCB",
            ADDRESS,
            {
                0x0: Register(self._read_status, self._write_control, merges=False),
                0x4: Register(lambda: 0, self._transfer, merges=False),
                0x8: self._data.register(),
                0xC: Register(self._monitor.read, self._write_monitor),
            },
        )

    @property
    def enabled(self) -> bool:
        """Whether a debugger is there: BKPT halts instead of faulting."""
        return bool(self.control & C_DEBUGEN)

    @property
    def catches(self) -> int:
        """The vector catch bits that are in force."""
        return self._monitor.value & 0x7F1 if self.enabled else 0

    @property
    def masks_interrupts(self) -> bool:
        """Whether interrupts wait while debugging."""
        return self.enabled and bool(self.control & C_MASKINTS)

    @property
    def tracing(self) -> bool:
        """DEMCR.TRCENA."""
        return bool(self._monitor.value & _TRCENA)

    def note_reset(self) -> None:
        """Remember a reset for S_RESET_ST; debug settings survive it."""
        self._was_reset = True
        self.control &= ~(C_HALT | C_STEP)

    def power_off(self) -> None:
        """Forget everything, as power-on reset does."""
        self.control = 0
        self._monitor.reset()

    def _read_status(self) -> int:
        core = self._core
        value = self.control & ~C_HALT | _S_REGRDY
        # Halting, whatever the reason, sets C_HALT.
        value |= _S_HALT | C_HALT if core.halted else 0
        value |= _S_SLEEP if core.asleep else 0
        value |= _S_LOCKUP if core.locked_up else 0
        executed = core.instructions()
        value |= _S_RETIRE_ST if executed != self._instructions_seen else 0
        value |= _S_RESET_ST if self._was_reset else 0
        self._instructions_seen = executed
        self._was_reset = False
        return value

    def _write_control(self, value: int) -> None:
        if value >> 16 != _DEBUG_KEY:
            return
        core = self._core
        self.control = value & 0x2F
        if not self.enabled:
            self.control = 0
            if core.halted:
                core.resume(step=False)
        elif self.control & C_HALT:
            if not core.halted:
                core.halt(HALTED)
        elif core.halted:
            core.resume(step=bool(self.control & C_STEP))

    def _transfer(self, value: int) -> None:
        selector, is_write = value & 0x7F, bool(value >> 16 & 1)
        if not self._core.halted:
            return
        if is_write:
            self._write_selected(selector, self._data.value)
        else:
            self._data.value = self._read_selected(selector)

    def _read_selected(self, selector: int) -> int:
        if selector == _SPECIAL_SELECTOR:
            values = [self._core.read_register(name) for name in _SPECIAL]
            return int.from_bytes(bytes(values), "little")
        name = _REGISTERS_BY_SELECTOR.get(selector)
        return self._core.read_register(name) if name else 0

    def _write_selected(self, selector: int, value: int) -> None:
        if selector == _SPECIAL_SELECTOR:
            for name, byte in zip(_SPECIAL, value.to_bytes(4, "little"), strict=True):
                self._core.write_register(name, byte)
            return
        if selector in _REGISTERS_BY_SELECTOR:
            self._core.write_register(_REGISTERS_BY_SELECTOR[selector], value)

    def _write_monitor(self, value: int) -> None:
        self._monitor.write(value)
        self._on_trace()


class FlashPatch(Peripheral):
    """FPB: six instruction comparators that halt, and two literal ones that only keep values."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._enabled = False
        count = _CODE_COMPARATORS + _LITERAL_COMPARATORS
        self._comparators = [Storage(writable=0xDFFF_FFFD) for _ in range(count)]
        remap = Storage(0x2000_0000, writable=0x1FFF_FFE0)
        registers = {
            0x0: Register(self._read_control, self._write_control, merges=False),
            0x4: remap.register(),
        }
        for index, comparator in enumerate(self._comparators):
            registers[0x8 + 4 * index] = Register(comparator.read, self._writer(comparator))
        super().__init__("FPB", 0xE000_2000, registers)

    def power_off(self) -> None:
        """Forget everything, as power-on reset does; a reset of the core does not."""
        self._enabled = False
        for comparator in self._comparators:
            comparator.reset()

    def breakpoints(self) -> set[int]:
        """Return the instruction addresses that halt the core."""
        if not self._enabled:
            return set()
        return {
            address
            for comparator in self._comparators[:_CODE_COMPARATORS]
            for address in _matches(comparator.value)
        }

    def _writer(self, comparator: Storage) -> Callable[[int], None]:
        def write(value: int) -> None:
            comparator.write(value)
            self._on_change()

        return write

    def _read_control(self) -> int:
        return _LITERAL_COMPARATORS << 8 | _CODE_COMPARATORS << 4 | self._enabled

    def _write_control(self, value: int) -> None:
        if value & 2:  # KEY
            self._enabled = bool(value & 1)
            self._on_change()


def catch_of(number: int, status: int) -> int:
    """Return the vector catch bit that halts on a fault, by its number and CFSR bits.

    Args:
        number: of the exception.
        status: the bits of CFSR that it has set.
    """
    if number == ex.USAGE_FAULT:
        if status & ex.NOCP:
            return _VC_NOCPERR
        return _VC_CHKERR if status & (ex.UNALIGNED | ex.DIVBYZERO) else _VC_STATERR
    if number == ex.BUS_FAULT:
        return _VC_INTERR if status & (ex.STKERR | ex.UNSTKERR) else _VC_BUSERR
    return {ex.MEM_MANAGE: _VC_MMERR, ex.HARD_FAULT: _VC_HARDERR}.get(number, 0)


def _matches(comparator: int) -> list[int]:
    """Return the halfwords at which a comparator value (FP_COMPn) breaks."""
    if not comparator & 1:
        return []
    word = comparator & 0x1FFF_FFFC
    return {1: [word], 2: [word + 2], 3: [word, word + 2]}.get(comparator >> 30, [])
