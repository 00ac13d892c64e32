"""The emulated board for firmware of your own: load it, run it, look inside, disturb it.

    from hil.emulator import Emulator

    with Emulator("firmware.elf", board="stm32f439") as board:
        board.run(to="main")
        board.drive("PA0", level=True)
        stopped = board.run(text="button pressed", seconds=1.0)

`docs/own-firmware.md` has examples; pytest's fixture `emulated_board` makes such boards for tests.
"""

from hil.studies.programs.emulator import Emulator
from hil.studies.programs.outcome import Reason, Stopped
from hil.studies.programs.symbols import Symbol
from hil.studies.programs.uart import Uart

__all__ = ["Emulator", "Reason", "Stopped", "Symbol", "Uart"]
