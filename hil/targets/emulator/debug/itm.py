"""ITM: text that a program writes for a debugger. Source: ARM DDI 0403E C1.7.

Its ports take everything at once. Locking (ITM_LAR) is not modelled.
"""

from collections.abc import Callable

from hil.targets.emulator.core.registers import Peripheral, Register, Storage, write_only

_ADDRESS = 0xE000_0000
_PORTS = 32
_TER, _TPR, _TCR, _LAR = 0xE00, 0xE40, 0xE80, 0xFB0
_ENABLED = 1 << 0
_READY = 1


class InstrumentationTrace(Peripheral):
    """The stimulus ports.

    Args:
        tracing: DEMCR.TRCENA.

    Attributes:
        tap: takes what is written to port 0, where programs write text.
    """

    models = "port 0 is text, which is printed; the other ports take what is written"

    def __init__(self, tracing: Callable[[], bool]) -> None:
        self._tracing = tracing
        self.tap: Callable[[bytes], None] = lambda _data: None
        self._ports = Storage()
        self._privilege = Storage(writable=0xF)
        self._control = Storage(writable=0x007F_0F1F)
        super().__init__(
            "ITM",
            _ADDRESS,
            {
                **{4 * number: self._port(number) for number in range(_PORTS)},
                _TER: self._ports.register(),
                _TPR: self._privilege.register(),
                _TCR: self._control.register(),
                _LAR: write_only(lambda _key: None),
            },
        )

    def reset(self) -> None:
        """Return to the state after reset."""
        for storage in (self._ports, self._privilege, self._control):
            storage.reset()

    def _works(self, number: int) -> bool:
        enabled = self._control.value & _ENABLED and self._ports.value >> number & 1
        return bool(enabled) and self._tracing()

    def _port(self, number: int) -> Register:
        """Return a port: it reads as ready while it works."""

        def read() -> int:
            return _READY if self._works(number) else 0

        def write(value: int) -> None:
            if self._works(number) and number == 0:
                self.tap(value.to_bytes(4, "little").rstrip(b"\0") or b"\0")

        return Register(read, write, merges=False)
