"""The system control space as firmware sees it: NVIC, SCB and FPU control.

Source: ARM DDI 0403E B3.2, B3.4; Cortex-M4 TRM (ARM DDI 0439D) chapter 4.
"""

from collections.abc import Callable

from hil.targets.emulator.core import exceptions as ex
from hil.targets.emulator.core.registers import Peripheral, Register, Storage, constant, write_only

ADDRESS = 0xE000_E000
_VECTOR_KEY = 0x05FA
_VECTOR_KEY_READ = 0xFA05
_FAULT_ENABLES = {ex.MEM_MANAGE: 16, ex.BUS_FAULT: 17, ex.USAGE_FAULT: 18}
_ACTIVE_BITS = {
    ex.MEM_MANAGE: 0, ex.BUS_FAULT: 1, ex.USAGE_FAULT: 3, ex.SVCALL: 7,
    ex.DEBUG_MONITOR: 8, ex.PENDSV: 10, ex.SYSTICK: 11,
}  # fmt: skip
_PENDED_BITS = {ex.USAGE_FAULT: 12, ex.MEM_MANAGE: 13, ex.BUS_FAULT: 14, ex.SVCALL: 15}
# DFSR
HALTED = 1 << 0
BKPT = 1 << 1
DWTTRAP = 1 << 2
VCATCH = 1 << 3
EXTERNAL = 1 << 4

_WORDS = (ex.IRQ_COUNT + 31) // 32

# CPUID to ISAR4 of a Cortex-M4 r0p1 with FPU, by offset.
_IDENTITY = {
    0xD00: 0x410F_C241, 0xD40: 0x0000_0030, 0xD44: 0x0000_0200, 0xD48: 0x0010_0000,
    0xD4C: 0, 0xD50: 0x0010_0030, 0xD54: 0, 0xD58: 0x0100_0000, 0xD5C: 0,
    0xD60: 0x0110_1110, 0xD64: 0x0211_2000, 0xD68: 0x2123_2231, 0xD6C: 0x0111_1131,
    0xD70: 0x0131_0132, 0xF40: 0x1011_0021, 0xF44: 0x1100_0011,
}  # fmt: skip


class SystemControl(Peripheral):
    """NVIC and SCB.

    Attributes:
        cpacr: coprocessor access: whether the FPU may be used.
        debug_faults: DFSR, which the debugger reads.
    """

    models = "NVIC and SCB: priorities, masks, faults and their status, VTOR, resets; FPU"

    def __init__(
        self, exceptions: ex.Exceptions, ipsr: Callable[[], int], request_reset: Callable[[], None]
    ) -> None:
        self._exceptions = exceptions
        self._ipsr = ipsr
        self._request_reset = request_reset
        self.on_cpacr: Callable[[], None] = lambda: None
        self.on_configuration: Callable[[], None] = lambda: None
        self.cpacr = Storage(writable=0x00F0_0000)
        self.debug_faults = 0
        self._scr = 0
        super().__init__("SCS", ADDRESS, self._registers())

    @property
    def fpu_enabled(self) -> bool:
        """Whether CPACR lets the FPU be used."""
        return self.cpacr.value & 0x00F0_0000 == 0x00F0_0000

    @property
    def user_may_set_pending(self) -> bool:
        """CCR.USERSETMPEND: unprivileged code may write to STIR."""
        return bool(self._state.configuration & 2)

    @property
    def wakes_on_pending(self) -> bool:
        """SCR.SEVONPEND: what becomes pending is an event, enabled or not."""
        return bool(self._scr & 0x10)

    @property
    def sleeps_deep(self) -> bool:
        """SCR.SLEEPDEEP: sleep stops the chip's clocks too."""
        return bool(self._scr & 4)

    @property
    def sleeps_on_exit(self) -> bool:
        """SCR.SLEEPONEXIT: the core sleeps when the last handler returns."""
        return bool(self._scr & 2)

    def reset(self) -> None:
        """Return to the state after reset."""
        self.cpacr.reset()
        self.debug_faults = 0
        self._scr = 0

    @property
    def _state(self) -> ex.ExceptionState:
        return self._exceptions.state

    def _registers(self) -> dict[int, Register]:
        floats = self._exceptions.floats
        registers = {offset: constant(value) for offset, value in _IDENTITY.items()}
        registers |= {
            0x004: constant(_WORDS - 1),
            0xD04: Register(self._read_icsr, self._write_icsr, merges=False),
            0xD08: Register(self._read_vtor, self._write_vtor),
            0xD0C: Register(self._read_aircr, self._write_aircr),
            0xD10: Register(lambda: self._scr, self._write_scr),
            0xD14: Register(lambda: self._state.configuration, self._write_ccr),
            0xD24: Register(self._read_shcsr, self._write_shcsr),
            0xD28: Register(lambda: self._state.fault.cfsr, self._clear_cfsr, merges=False),
            0xD2C: Register(lambda: self._state.fault.hfsr, self._clear_hfsr, merges=False),
            0xD30: Register(lambda: self.debug_faults, self._clear_dfsr, merges=False),
            0xD34: Register(lambda: self._state.fault.mmfar, self._write_mmfar),
            0xD38: Register(lambda: self._state.fault.bfar, self._write_bfar),
            0xD3C: constant(0),
            0xD88: Register(self.cpacr.read, self._write_cpacr),
            0xF00: write_only(lambda value: self._exceptions.pend(ex.FIRST_IRQ + (value & 0x1FF))),
            0xF34: Register(lambda: floats.control, floats.write_control),
            0xF38: Register(lambda: floats.address, floats.write_address),
            0xF3C: Register(lambda: floats.defaults, floats.write_defaults),
        }
        for word in range(_WORDS):
            registers |= self._nvic_words(word)
        for first in range(ex.FIRST_IRQ, ex.FIRST_IRQ + ex.IRQ_COUNT, 4):
            registers[0x400 + first - ex.FIRST_IRQ] = self._priorities(first)
        for index in range(3):
            registers[0xD18 + 4 * index] = self._priorities(4 + 4 * index)
        return registers

    # NVIC

    def _nvic_words(self, word: int) -> dict[int, Register]:
        first = ex.FIRST_IRQ + 32 * word

        def bits(numbers: Callable[[], set[int]]) -> Callable[[], int]:
            return lambda: sum(1 << n - first for n in numbers() if first <= n < first + 32)

        def register(
            read: Callable[[], set[int]], apply: Callable[[set[int], int], None] | None = None
        ) -> Register:
            def write(value: int) -> None:
                for bit in range(32):
                    exists = first + bit < ex.FIRST_IRQ + ex.IRQ_COUNT
                    if apply and exists and value >> bit & 1:
                        apply(read(), first + bit)
                self._exceptions.on_change()

            return Register(bits(read), write, merges=False)

        def enabled() -> set[int]:
            return self._state.enabled

        def pending() -> set[int]:
            return self._state.pending

        return {
            0x100 + 4 * word: register(enabled, set.add),
            0x180 + 4 * word: register(enabled, set.discard),
            0x200 + 4 * word: register(pending, set.add),
            0x280 + 4 * word: register(pending, set.discard),
            0x300 + 4 * word: register(lambda: self._state.active),
        }

    def _priorities(self, first: int) -> Register:
        def read() -> int:
            return int.from_bytes(self._state.priorities[first : first + 4], "little")

        def write(value: int) -> None:
            for offset, priority in enumerate(value.to_bytes(4, "little")):
                self._exceptions.set_priority(first + offset, priority)

        return Register(read, write)

    # SCB

    def _read_icsr(self) -> int:
        state = self._state
        return (
            self._ipsr()
            | (len(state.active) <= 1) << 11
            | self._exceptions.shown_as_pending() << 12
            | any(number >= ex.FIRST_IRQ for number in state.pending) << 22
            | (ex.SYSTICK in state.pending) << 26
            | (ex.PENDSV in state.pending) << 28
            | (ex.NMI in state.pending) << 31
        )

    def _write_icsr(self, value: int) -> None:
        pending = self._state.pending
        for bit, number in ((25, ex.SYSTICK), (27, ex.PENDSV)):
            if value >> bit & 1:
                pending.discard(number)
        for bit, number in ((26, ex.SYSTICK), (28, ex.PENDSV), (31, ex.NMI)):
            if value >> bit & 1:
                self._exceptions.pend(number)

    def _read_vtor(self) -> int:
        return self._state.vector_table

    def _write_vtor(self, value: int) -> None:
        self._state.vector_table = value & 0x3FFF_FE00

    def _read_aircr(self) -> int:
        return _VECTOR_KEY_READ << 16 | self._state.priority_group << 8

    def _write_aircr(self, value: int) -> None:
        if value >> 16 != _VECTOR_KEY:
            return
        self._state.priority_group = value >> 8 & 7
        if value & 0b101:  # SYSRESETREQ, VECTRESET
            self._request_reset()
        self._exceptions.on_change()

    def _write_scr(self, value: int) -> None:
        self._scr = value & 0x16

    def _write_ccr(self, value: int) -> None:
        before = self._state.configuration
        self._state.configuration = value & 0x31B
        if before != self._state.configuration:
            self.on_configuration()

    def _read_shcsr(self) -> int:
        state = self._state
        value = sum(1 << bit for number, bit in _FAULT_ENABLES.items() if number in state.enabled)
        value |= sum(1 << bit for number, bit in _ACTIVE_BITS.items() if number in state.active)
        return value | sum(1 << bit for n, bit in _PENDED_BITS.items() if n in state.pending)

    def _write_shcsr(self, value: int) -> None:
        state = self._state
        for bits, numbers in (
            (_FAULT_ENABLES, state.enabled),
            (_ACTIVE_BITS, state.active),
            (_PENDED_BITS, state.pending),
        ):
            for number, bit in bits.items():
                (numbers.add if value >> bit & 1 else numbers.discard)(number)
        self._exceptions.on_change()

    def _clear_cfsr(self, value: int) -> None:
        self._state.fault.cfsr &= ~value

    def _clear_hfsr(self, value: int) -> None:
        self._state.fault.hfsr &= ~value

    def _clear_dfsr(self, value: int) -> None:
        self.debug_faults &= ~value

    def _write_mmfar(self, value: int) -> None:
        self._state.fault.mmfar = value

    def _write_bfar(self, value: int) -> None:
        self._state.fault.bfar = value

    def _write_cpacr(self, value: int) -> None:
        self.cpacr.write(value)
        self.on_cpacr()
