"""The backup SRAM: 4 KiB that outlive every reset. Source: RM0090 sections 2.3.1 and 5.1.2."""

from collections.abc import Callable

from hil.targets.emulator.core.registers import Peripheral, Register, Storage

_ADDRESS, _BYTES = 0x4002_4000, 4096


class BackupMemory(Peripheral):
    """The memory; neither a reset of the chip nor one of the backup domain clears it.

    Args:
        is_writable: PWR_CR.DBP.
    """

    models = "outlives every reset; written while DBP is set"

    def __init__(self, is_writable: Callable[[], bool]) -> None:
        self._is_writable = is_writable
        self._words = words = [Storage() for _ in range(_BYTES // 4)]
        super().__init__(
            "BKPSRAM",
            _ADDRESS,
            {4 * at: Register(one.read, self._guarded(one)) for at, one in enumerate(words)},
        )

    def lose(self) -> None:
        """Forget everything."""
        for word in self._words:
            word.reset()

    def _guarded(self, word: Storage) -> Callable[[int], None]:
        def write(value: int) -> None:
            if self._is_writable():
                word.write(value)

        return write
