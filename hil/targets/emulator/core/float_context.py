"""The FPU's registers across exceptions: saved at entry, when a handler needs the FPU, or never.

Source: ARM DDI 0403E B1.5.6 to B1.5.8 (stacking, lazy state preservation), B3.2.21 to B3.2.23.
"""

from collections.abc import Callable

from hil.targets.emulator.core.engine import Engine

FRAME_BYTES = 72
"""S0 to S15, FPSCR and a word that is not used."""
STATE_CYCLES = 17
"""S0 to S15 and FPSCR to or from the stack, a word a cycle: an entry that saves them takes 29
cycles instead of 12. Source: Arm AN298, "Cortex-M4(F) Lazy Stacking and Context Switching"."""

ASPEN = 1 << 31
LSPEN = 1 << 30
MONRDY = 1 << 8
BFRDY = 1 << 6
MMRDY = 1 << 5
HFRDY = 1 << 4
THREAD = 1 << 3
USER = 1 << 1
LSPACT = 1 << 0

_FPCCR_RESET = ASPEN | LSPEN
_FPCCR_WRITABLE = ASPEN | LSPEN | MONRDY | BFRDY | MMRDY | HFRDY | THREAD | USER | LSPACT
_FPDSCR_WRITABLE = 0x07C0_0000
_CONTROL_FPCA = 4
_SAVED = (*(f"s{i}" for i in range(16)), "fpscr")


class FloatContext:
    """FPCCR, FPCAR, FPDSCR, and what they ask for.

    Attributes:
        control: FPCCR.
        address: FPCAR: where the registers belong that have not been saved yet.
        defaults: FPDSCR: what FPSCR begins with in a handler.
        on_change: called when software has changed one of them.
    """

    def __init__(self, engine: Engine, add_cycles: Callable[[int], None]) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._engine = engine
        self._add_cycles = add_cycles
        self.reset()

    def reset(self) -> None:
        """Return to the state after reset."""
        self.control = _FPCCR_RESET
        self.address = 0
        self.defaults = 0

    # registers

    def write_control(self, value: int) -> None:
        """Write FPCCR."""
        self.control = value & _FPCCR_WRITABLE
        self.on_change()

    def write_address(self, value: int) -> None:
        """Write FPCAR."""
        self.address = value & ~7

    def write_defaults(self, value: int) -> None:
        """Write FPDSCR."""
        self.defaults = value & _FPDSCR_WRITABLE
        self.on_change()

    # what an exception does

    @property
    def is_automatic(self) -> bool:
        """FPCCR.ASPEN: whether use of the FPU is noted and its registers are kept."""
        return bool(self.control & ASPEN)

    @property
    def in_use(self) -> bool:
        """Whether an exception has to make room for the registers."""
        return self.is_automatic and bool(self._engine.read("control") & _CONTROL_FPCA)

    def mark(self, *, used: bool) -> None:
        """Set or clear CONTROL.FPCA, where it follows use of the FPU.

        Unicorn always notes use, and gives FPSCR its default value at the first use after a clear:
        so without ASPEN the bit stays as it is.
        """
        if not self.is_automatic:
            return
        control = self._engine.read("control") & ~_CONTROL_FPCA
        self._engine.write("control", control | (_CONTROL_FPCA if used else 0))

    def stack(self, address: int, readiness: int) -> None:
        """Save the registers, or note where to when they have to be.

        Args:
            address: of their place in the frame.
            readiness: FPCCR bits: mode, privilege and the faults that could be taken now.

        Raises:
            BusError: there is no memory.
        """
        if self.control & LSPEN:
            self.control = self.control & (ASPEN | LSPEN) | readiness | LSPACT
            self.address = address
        else:
            self._save(address)

    def unstack(self, address: int) -> None:
        """Restore the registers, unless nobody has touched them. Raises BusError."""
        if self.control & LSPACT:
            self.control &= ~LSPACT
            return
        words = self._engine.load_words(address, len(_SAVED))
        for name, value in zip(_SAVED, words, strict=True):
            self._engine.write(name, value)
        self._add_cycles(STATE_CYCLES)

    # what an FPU instruction does

    @property
    def waits(self) -> bool:
        """Whether the next FPU instruction has to be preceded by `prepare`."""
        if self.control & LSPACT:
            return True
        return bool(self.defaults) and self.is_automatic and not self.in_use

    def prepare(self) -> None:
        """Save what an exception has left unsaved, and begin a new context where there is none.

        Raises:
            BusError: there is no memory where the registers belong.
        """
        if self.control & LSPACT:
            self._save(self.address)
            self.control &= ~LSPACT
        if self.is_automatic and not self.in_use:
            self.mark(used=True)
            self._engine.write("fpscr", self.defaults)

    def _save(self, address: int) -> None:
        self._engine.store_words(address, [self._engine.read(name) for name in _SAVED])
        self._add_cycles(STATE_CYCLES)
