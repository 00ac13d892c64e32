"""A timer as programs see it: registers, interrupts, requests of DMA."""

from collections.abc import Callable, Sequence

from hil.targets.emulator.chips.stm32.timer_channels import (
    Channel,
    enable,
    enables,
    modes,
    set_modes,
)
from hil.targets.emulator.chips.stm32.timer_counter import (
    EVERY_FLAG,
    REQUEST_SHIFT,
    TRGO_ENABLE,
    TRGO_RESET,
    TRIGGERED,
    UPDATES,
    URS,
    Counter,
)
from hil.targets.emulator.chips.stm32.timer_inputs import CompareLine
from hil.targets.emulator.core.registers import Register, Storage, constant, write_only
from hil.targets.emulator.core.source import Request

_ARPE = 1 << 7
_FIRST_COMPARE = 0x34
_DMAR = 0x4C
_CHANNELS_WITH_BURSTS = 4
_CHANNELS_OF_SLAVES = 2


class Timer(Counter):
    """One timer: a counter with a prescaler, its channels, and what starts or clocks it.

    Args:
        now: the core's cycle count.
        clock_divider: the core's cycles per cycle of its clock.
        on_change: called when `deadline` or the interrupt line may have changed.
        bits: of the counter.
        channels: how many there are.
        compare_irq: of its compare channels, 0 where they share `irq`.

    Attributes:
        irq: its interrupt number.
    """

    models = (
        "up, down, both ways; preload, repetition, one pulse; compare, PWM, capture on pins; DMA, "
        "bursts; reset, gated, trigger and clock mode by pins, ETR and other timers; encoders"
    )

    def __init__(
        self,
        name: str,
        address: int,
        irq: int,
        *,
        now: Callable[[], int],
        clock_divider: Callable[[], float],
        on_change: Callable[[], None],
        bits: int = 32,
        channels: int = 4,
        compare_irq: int = 0,
    ) -> None:
        self.irq = irq
        self.sources = (self, CompareLine(self, compare_irq)) if compare_irq else (self,)
        self._lines = UPDATES if compare_irq else EVERY_FLAG
        self._burst = Storage(writable=0x1F1F)  # DCR
        self._burst_at = 0  # accesses of this burst
        super().__init__(
            name,
            address,
            now=now,
            clock_divider=clock_divider,
            on_change=on_change,
            bits=bits,
            channels=channels,
            advanced=bool(compare_irq),
        )
        self.requests = {
            f"{name}_UP": self._request(UPDATES),
            f"{name}_TRIG": self._request(TRIGGERED),
            **{f"{name}_CH{one.number + 1}": self._request(one.flag) for one in self.channels},
        }

    def _modes(self, pair: Sequence[Channel]) -> Register:
        return Register(lambda: modes(pair), self._syncing(lambda value: set_modes(pair, value)))

    def _registers(self) -> dict[int, Register]:
        all_ = self.channels
        stored = {
            0x00: self._control, 0x0C: self._enables,
            0x2C: self._wanted_reload, 0x30: self._wanted_repetition,
        }  # fmt: skip
        return {
            **{at: Register(one.read, self._syncing(one.write)) for at, one in stored.items()},
            0x04: self._control_2.register(),
            0x08: (
                Register(self._slave_mode.read, self._syncing(self._slave_mode.write))
                if len(all_) >= _CHANNELS_OF_SLAVES
                else constant(0)
            ),
            0x10: Register(
                self._read_status, self._clear_status, merges=False, changes=self.changes
            ),
            0x14: write_only(self._generate),
            0x18: self._modes(self.channels[:2]),
            0x1C: self._modes(self.channels[2:]),
            0x20: Register(lambda: enables(all_), self._syncing(lambda v: enable(all_, v))),
            0x24: Register(self._read_count, self._write_count, changes=self._next_count),
            0x28: self._wanted_prescaler.register(),
            0x44: self._output_enable.register(),
            0x50: self._option.register(),
            **(self._burst_registers() if len(self.channels) == _CHANNELS_WITH_BURSTS else {}),
            **{
                _FIRST_COMPARE + 4 * one.number: Register(self._reading(one), self._writing(one))
                for one in self.channels
            },
        }

    # interrupts, requests

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is high."""
        return self.raises(self._lines)

    def raises(self, flags: int) -> bool:
        """Whether one of some flags is set that has its interrupt enabled."""
        wanted = self._enables.value & flags
        if not wanted:
            return False
        self.advance()
        return bool(self._status & wanted)

    def deadline(self) -> int | None:
        """Return the cycle at which the line rises, None if it does not."""
        wanted = self._enables.value & ~self._status & EVERY_FLAG
        cycle = self._next_event(wanted) if wanted else None
        return None if cycle is None else int(cycle) + 1

    def changes(self) -> int | None:
        """Return the cycle at which the next flag is set, None while the timer stands."""
        cycle = self._next_event(EVERY_FLAG)
        return None if cycle is None else int(cycle)

    def _request(self, flag: int) -> Request:
        def due() -> int | None:
            if not self._enables.value & flag << REQUEST_SHIFT or not self.clocked:
                return None
            self.advance()
            if self._asked & flag:
                return self._now()
            cycle = self._next_event(flag)
            return None if cycle is None else int(cycle) + 1

        def taken(_cycle: int) -> None:
            if not self._burst_at:  # else the burst goes on
                self._asked &= ~flag

        return Request(due, taken)

    def reset(self) -> None:
        """Return to the state after reset: it stands at 0."""
        self._burst.reset()
        self._burst_at = 0
        super().reset()

    # registers

    def _burst_registers(self) -> dict[int, Register]:
        return {
            0x48: Register(self._burst.read, self._write_burst),
            _DMAR: Register(self._read_in_burst, self._write_in_burst, merges=False),
        }

    def _write_burst(self, value: int) -> None:
        self._burst.write(value)
        self._burst_at = 0

    def _next_in_burst(self) -> Register:
        """Return the register that DMAR stands for, and go on to the next (section 18.4.20)."""
        offset = 4 * ((self._burst.value & 0x1F) + self._burst_at)
        self._burst_at = (self._burst_at + 1) % ((self._burst.value >> 8 & 0x1F) + 1)
        return self.registers.get(offset, constant(0)) if offset != _DMAR else constant(0)

    def _read_in_burst(self) -> int:
        return self._next_in_burst().read()

    def _write_in_burst(self, value: int) -> None:
        self._next_in_burst().write(value)

    def _syncing(self, write: Callable[[int], None]) -> Callable[[int], None]:
        def synced(value: int) -> None:
            self.sync()
            count, was_on, was_centred = self._count, self.runs, self._round.centred
            write(value)
            if not self._control.value & _ARPE:
                self._reload = self._wanted_reload.value
            self._shape()
            if not (was_centred and self._round.centred):
                self._at = self._round.place(count)
            if self.runs and not was_on:
                self._put_out(TRGO_ENABLE)
            self.sync()
            self._on_change()

        return synced

    def _generate(self, value: int) -> None:
        if value & UPDATES:
            self._restart(flag=not self._control.value & URS)
            self._put_out(TRGO_RESET)
        for channel in self.channels:
            if value & channel.flag and channel.input:
                self._capture(channel)
            elif value & channel.flag:
                self._set_flag(channel.flag)
        if value & TRIGGERED:
            self._set_flag(TRIGGERED)
        self._on_change()

    def _read_status(self) -> int:
        self.advance()
        return self._status

    def _clear_status(self, value: int) -> None:
        self.advance()
        self._status &= value
        self._on_change()

    def _read_count(self) -> int:
        self.advance()
        return self._count

    def _next_count(self) -> int | None:
        """Return the cycle of the next count, None where another clock than its own makes it."""
        if not self._runs or self._slave_choice[0]:
            return None
        return int(self._counted_at + self._period)

    def _write_count(self, value: int) -> None:
        self.sync()
        self._at = self._round.place(value & self._most)
        self._counted_at = self._now()
        self._on_change()

    def _writing(self, channel: Channel) -> Callable[[int], None]:
        return self._syncing(lambda value: channel.write(value & self._most))

    def _reading(self, channel: Channel) -> Callable[[], int]:
        def read() -> int:
            self.advance()
            if not channel.input:
                return channel.wanted
            self._status &= ~channel.flag  # reading a capture clears its flag
            return channel.value

        return read
