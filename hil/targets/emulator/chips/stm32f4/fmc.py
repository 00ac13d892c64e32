"""FMC: the SDRAM controller, and an SDRAM that is dead until it was brought up as the manual says.

A step that is left out, in the wrong order, too early or with other values than the board's memory
needs leaves it dead: accesses then end in a bus fault, where silicon would read anything.
Source: RM0090 sections 37.7.3 (steps) and 37.7.5 (registers).
"""

import logging
from collections.abc import Callable, Mapping

from hil.config.board import Board, Memory, Sdram
from hil.targets.emulator.chips.stm32.gpio import GpioPort
from hil.targets.emulator.core.engine import Engine
from hil.targets.emulator.core.registers import Peripheral, Register, Storage, read_only

_log = logging.getLogger(__name__)

_ALTERNATE = 12
_SDCR, _SDTR, _SDCMR, _SDRTR, _SDSR = 0x140, 0x148, 0x150, 0x154, 0x158
_SHARED_CONTROL, _SHARED_TIMING = 0x0000_7C00, 0x00F0_F000
"""SDCLK, RBURST and RPIPE; TRC and TRP: bank 1's count for both."""

_CLOCK, _PRECHARGE_ALL, _REFRESH, _LOAD_MODE = 1, 2, 3, 4
_NAMES = {_CLOCK: "clock", _PRECHARGE_ALL: "precharge all", _REFRESH: "refresh", _LOAD_MODE: "mode"}
_ORDER = (_CLOCK, _PRECHARGE_ALL, _REFRESH, _LOAD_MODE)
_PAUSE_S = 100e-6
_LEAST_REFRESHES = 2
_BUSY = 1 << 5
_MARGIN = 20


class MemoryController(Peripheral):
    """FMC's registers for SDRAM, and the memory behind them.

    Args:
        board: with an external memory.
        engine: where the memory appears once it lives.
        ports: by letter: the memory's pins must be connected.
        now, core_hz: the cycle count, and the core's clock.
        stop: ends the core's run, so that `settle` is called.

    Attributes:
        content: of the memory.
        alive: whether it answers.
        forgives: whether it answers although timings, refresh or steps are not what it needs, as
            public programs have them: they are told all the same.
        why: it does not, in words; empty before the first attempt.
    """

    def __init__(
        self,
        board: Board,
        engine: Engine,
        ports: Mapping[str, GpioPort],
        *,
        now: Callable[[], int],
        core_hz: Callable[[], int],
        stop: Callable[[], None],
    ) -> None:
        self._memory, self._needs = _external(board)
        self._engine, self._ports = engine, ports
        self._now, self._core_hz, self._stop = now, core_hz, stop
        self.content = bytearray(self._memory.bytes)
        self.alive = False
        self.forgives = False
        self.why = ""
        self._is_mapped = False
        self._busy = False
        self._done: list[int] = []
        self._clock_since = 0
        self._control = [Storage(0x2D0), Storage(0x2D0)]
        self._timing = [Storage(0x0FFF_FFFF), Storage(0x0FFF_FFFF)]
        self._refresh = Storage(writable=0x7FFE)
        super().__init__(
            "FMC",
            0xA000_0000,
            {
                _SDCR: self._control[0].register(),
                _SDCR + 4: self._control[1].register(),
                _SDTR: self._timing[0].register(),
                _SDTR + 4: self._timing[1].register(),
                _SDCMR: Register(lambda: 0, self._command),
                _SDRTR: Register(self._refresh.read, self._set_refresh),
                _SDSR: read_only(self._read_status),
            },
        )

    def reset(self) -> None:
        """Return to the state after reset: without refresh the memory forgets."""
        for storage in (*self._control, *self._timing, self._refresh):
            storage.reset()
        self._done.clear()
        self.alive, self._busy, self.why = False, False, ""
        self.settle()

    def settle(self) -> None:
        """Have the core see the memory, or not, as it is; outside of a run."""
        if self.alive == self._is_mapped:
            return
        if self.alive:
            self._engine.map_memory(
                self._memory.address, self.content, writable=True, executable=False
            )
        else:
            self._engine.unmap_memory(self._memory.address, len(self.content))
        self._is_mapped = self.alive

    def _read_status(self) -> int:
        busy, self._busy = self._busy, self.alive and not self._is_mapped
        return _BUSY if busy else 0

    def _command(self, value: int) -> None:
        mode, refreshes, chip_mode = value & 7, (value >> 5 & 15) + 1, value >> 9 & 0x1FFF
        bank = 1 << 4 if self._needs.bank == 1 else 1 << 3
        self._busy = True
        if not value & bank or not mode:
            return
        wrong = self._wrong(mode, refreshes, chip_mode)
        if wrong:
            self._fail(wrong)
        elif mode == _CLOCK:
            self._clock_since = self._now()
        self._done.append(mode)

    def _wrong(self, mode: int, refreshes: int, chip_mode: int) -> str:
        """Return what is wrong about a step, in words; nothing where it is right."""
        step = len(self._done)
        if step >= len(_ORDER) or _ORDER[step] != mode:
            return f"command {_NAMES.get(mode, mode)} is step {step + 1} of its start"
        if mode == _CLOCK:
            return self._wrong_set_up()
        if mode == _PRECHARGE_ALL and self._now() - self._clock_since < _PAUSE_S * self._core_hz():
            return "its clock has run for less than 100 us when it is precharged"
        if mode == _REFRESH and refreshes < _LEAST_REFRESHES:
            return f"it is refreshed {refreshes} times at first"
        if mode == _LOAD_MODE and (chip_mode >> 4 & 7, chip_mode & 7) != (self._needs.cas, 0):
            return f"its mode is {chip_mode:#x}: not CAS {self._needs.cas} and bursts of one"
        return ""

    def _wrong_set_up(self) -> str:
        needs, bank = self._needs, self._needs.bank - 1
        control = self._control[bank].value & ~_SHARED_CONTROL
        control |= self._control[0].value & _SHARED_CONTROL
        timing = self._timing[bank].value & ~_SHARED_TIMING
        timing |= self._timing[0].value & _SHARED_TIMING
        is_there = {
            "columns": (control & 3) + 8,
            "rows": (control >> 2 & 3) + 11,
            "bits": 8 << (control >> 4 & 3),
            "cas": control >> 7 & 3,
            "clock_divider": control >> 10 & 3,
        }
        for name, value in is_there.items():
            if value != getattr(needs, name):
                return f"FMC_SDCR has {name} {value}, it needs {getattr(needs, name)}"
        fields = (
            "mode_to_active", "exit_self_refresh", "self_refresh", "row_cycle", "write_recovery",
            "precharge", "row_to_column",
        )  # fmt: skip
        for place, name in enumerate(fields):
            cycles = (timing >> 4 * place & 15) + 1
            if cycles < getattr(needs, name):
                return f"FMC_SDTR has {name} {cycles}, it needs {getattr(needs, name)}"
        for pin in needs.pins:
            if self._ports[pin[1]].function(int(pin[2:])) != _ALTERNATE:
                return f"{pin} is not connected to the FMC"
        return ""

    def _set_refresh(self, value: int) -> None:
        self._refresh.write(value)
        needs, count = self._needs, self._refresh.value >> 1
        hz = self._core_hz() / needs.clock_divider
        most = needs.refresh_ms * 1e-3 * hz / (1 << needs.rows) - _MARGIN
        if tuple(self._done) != _ORDER:
            missing = len(self._done) < len(_ORDER)
            self._fail(
                f"refresh is set behind {len(self._done)} steps of {len(_ORDER)}", fatal=missing
            )
        elif not 0 < count <= most:
            self._fail(f"refresh every {count} cycles, it needs {most:.0f} or fewer")
        if not self.why:
            self.alive = self._busy = True
            self._stop()

    def _fail(self, why: str, *, fatal: bool = False) -> None:
        if self.forgives and not fatal:
            _log.warning("the SDRAM goes on, where silicon may not: %s", why)
        elif not self.why:
            self.why = why
            _log.warning("the emulated SDRAM stays dead: %s", why)


def _external(board: Board) -> tuple[Memory, Sdram]:
    memory = board.external
    if memory is None or memory.sdram is None:
        raise ValueError(f"{board.name} has no SDRAM")
    return memory, memory.sdram
