"""The backup SRAM: 4 KiB that outlive every reset. Source: RM0090 sections 2.3.1 and 5.1.2."""

from collections.abc import Callable
from functools import partial

from hil.targets.emulator.core.registers import Peripheral, Register

_ADDRESS, _BYTES = 0x4002_4000, 4096


class BackupMemory(Peripheral):
    """The memory; neither a reset of the chip nor one of the backup domain clears it.

    Args:
        is_writable: PWR_CR.DBP.
    """

    models = "outlives every reset; written while DBP is set"

    def __init__(self, is_writable: Callable[[], bool]) -> None:
        self._is_writable = is_writable
        self._words = [0] * (_BYTES // 4)
        super().__init__(
            "BKPSRAM",
            _ADDRESS,
            {
                4 * at: Register(partial(self._words.__getitem__, at), partial(self._write, at))
                for at in range(len(self._words))
            },
        )

    def lose(self) -> None:
        """Forget everything."""
        self._words[:] = [0] * len(self._words)

    def _write(self, at: int, value: int) -> None:
        if self._is_writable():
            self._words[at] = value
