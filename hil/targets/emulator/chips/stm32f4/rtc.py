"""RTC: calendar, alarms, wake-up timer, tamper and backup registers. Source: RM0090 section 26.

Its time is counted in the core's cycles. It is part of the backup domain, which a reset of the chip
leaves as it is. Calibration and the digital outputs have no effect.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hil.targets.emulator.chips.stm32f4.calendar import Alarm, Moment
from hil.targets.emulator.core.registers import Peripheral, Register, Storage, read_only, write_only

ADDRESS = 0x4000_2800
ALARM_LINE, TAMPER_LINE, WAKE_UP_LINE = 17, 21, 22  # of EXTI
_CALP, _CALM, _ADDED = 1 << 15, 0x1FF, 512  # CALR: section 26.3.11
_CALIBRATED = 1 << 20  # periods of RTCCLK that it changes one of
_BACKUP_REGISTERS = 20
_KEYS = (0xCA, 0x53)

# RTC_CR
_BYPSHAD, _FMT, _ALRAE, _ALRBE, _WUTE, _TSE = (1 << bit for bit in (5, 6, 8, 9, 10, 11))
_ALRAIE, _ALRBIE, _WUTIE, _TSIE, _ADD1H, _SUB1H = (1 << bit for bit in (12, 13, 14, 15, 16, 17))
# RTC_ISR
_ALRAWF, _ALRBWF, _WUTWF, _INITS, _RSF, _INITF, _INIT = (1 << b for b in (0, 1, 2, 4, 5, 6, 7))
_ALRAF, _ALRBF, _WUTF, _TSF, _TSOVF, _TAMP1F, _TAMP2F = (1 << b for b in (8, 9, 10, 11, 12, 13, 14))
_FLAGS = _ALRAF | _ALRBF | _WUTF | _TSF | _TSOVF | _TAMP1F | _TAMP2F
_TAMPIE = 1 << 2
_SYNCHRONISATION = 2  # periods of RTCCLK: sections 26.3.5 and 26.3.6
_HOUR_SECONDS = 3600
_LINES = {  # which flags with which enables of CR raise which line
    ALARM_LINE: ((_ALRAF, _ALRAIE), (_ALRBF, _ALRBIE)),
    WAKE_UP_LINE: ((_WUTF, _WUTIE),),
    TAMPER_LINE: ((_TSF, _TSIE),),
}


@dataclass(frozen=True)
class Wiring:
    """What is around it.

    Attributes:
        now: the core's cycle count. core_hz: the core's clock.
        is_on: RCC_BDCR.RTCEN. clock_hz: RTCCLK, 0 while there is none.
        writable: PWR_CR.DBP.
        set_line: sets the level of one of EXTI's lines.
        on_change: called when `deadline` may have changed.
    """

    now: Callable[[], int]
    core_hz: Callable[[], int]
    is_on: Callable[[], bool]
    clock_hz: Callable[[], float]
    writable: Callable[[], bool]
    set_line: Callable[[int, bool], None]
    on_change: Callable[[], None]


@dataclass
class _Turn:
    """What has the core look at the clock in time; the interrupts themselves are EXTI's."""

    rtc: "RealTimeClock"
    irq: int = 41

    @property
    def clocked(self) -> bool:
        return self.rtc.is_on

    @property
    def interrupt(self) -> bool:
        self.rtc.advance()
        return False

    def deadline(self) -> int | None:
        return self.rtc.deadline()


class RealTimeClock(Peripheral):
    """The real-time clock, RTC: calendar, alarms, wake-up timer, time stamp, backup registers."""

    models = "calendar, both alarms, wake-up timer, tamper, time stamp, backup registers"

    def __init__(self, wiring: Wiring, on_use: Callable[[], None]) -> None:
        self._wiring = wiring
        self._on_use = on_use
        self.sources = (_Turn(self),)
        self._core_hz = wiring.core_hz()
        self._control = Storage(writable=0x00FC_FF7F)
        self._prescaler = Storage(0x007F_00FF, writable=0x007F_7FFF)
        self._wake_up = Storage(0xFFFF, writable=0xFFFF)
        self._alarms = (Storage(), Storage())
        self._subseconds = (Storage(writable=0x0F00_7FFF), Storage(writable=0x0F00_7FFF))
        self._tamper = Storage(writable=0x0007_FFFF)
        self._calibration = (Storage(writable=0x9F), Storage(writable=0xE1FF))
        self._backup = [Storage() for _ in range(_BACKUP_REGISTERS)]
        self._stamp = (0, 0, 0)
        self._synchronised_at: float = 0
        self.reset_domain()
        super().__init__("RTC", ADDRESS, self._registers())

    def _registers(self) -> dict[int, Register]:
        guarded = self._guarded
        plain = {
            0x3C: self._calibration[1], 0x18: self._calibration[0], 0x44: self._subseconds[0],
            0x48: self._subseconds[1], 0x1C: self._alarms[0], 0x20: self._alarms[1],
            0x14: self._wake_up, 0x10: self._prescaler,
        }  # fmt: skip
        registers = {
            offset: Register(storage.read, guarded(storage.write))
            for offset, storage in plain.items()
        }
        registers |= {
            0x50 + 4 * at: Register(one.read, self._if_writable(one.write))
            for at, one in enumerate(self._backup)
        }
        return registers | {
            0x00: Register(self._read_time, guarded(self._write_time), changes=self._next_second),
            0x04: Register(self._read_date, guarded(self._write_date)),
            0x08: Register(self._control.read, guarded(self._write_control)),
            0x0C: Register(
                self._read_status, self._if_writable(self._write_status), changes=self._changes
            ),
            0x24: write_only(self._take_key),
            0x28: read_only(self._read_subseconds, self._next_tick),
            0x2C: write_only(guarded(self._shift)),
            0x30: read_only(lambda: self._stamp[0]),
            0x34: read_only(lambda: self._stamp[1]),
            0x38: read_only(lambda: self._stamp[2]),
            0x40: Register(self._tamper.read, self._if_writable(self._tamper.write)),
        }

    def reset(self) -> None:
        """Return to the state after a reset of the chip: locked, its shadow registers stale."""
        self._keys = 0
        self._latched: int | None = None
        self._desynchronise()

    def reset_domain(self) -> None:
        """Return to the state after a reset of the backup domain."""
        for storage in (
            self._control, self._prescaler, self._wake_up, *self._alarms, *self._subseconds,
            self._tamper, *self._calibration, *self._backup,
        ):  # fmt: skip
            storage.reset()
        self._moment = Moment()
        self._sub = 0  # periods of ck_apre since the second began
        self._ticked_at: float = self._wiring.now()
        self._flags = 0
        self._init = False
        self._init_at: float = 0
        self._wake_at: float | None = None
        self._wake_writable_at: float = 0
        self._raised = 0
        self.reset()

    # time

    @property
    def is_on(self) -> bool:
        """Whether it is switched on."""
        return self._wiring.is_on()

    @property
    def runs(self) -> bool:
        """Whether it has a clock."""
        return self._wiring.clock_hz() > 0

    def before_clock(self, core_hz: int) -> None:
        """Count up to now, and go on in cycles of the core's new clock."""
        self.advance()
        now, ratio = self._wiring.now(), core_hz / self._core_hz
        self._core_hz = core_hz

        def at(cycle: float) -> float:
            return now + (cycle - now) * ratio if cycle > now else cycle

        self._ticked_at = now + (self._ticked_at - now) * ratio
        self._init_at, self._synchronised_at = at(self._init_at), at(self._synchronised_at)
        self._wake_at = None if self._wake_at is None else at(self._wake_at)

    def change_source(self) -> None:
        """Go on with another clock, or none."""
        self.advance()
        self._desynchronise()
        self._on_use()

    def deadline(self) -> int | None:
        """Return the cycle at which a flag is set that interrupts, None where none will be."""
        control = self._control.value
        due: list[float] = []
        if self._wake_at is not None and control & _WUTIE:
            due.append(self._wake_at)
        for number, enables in enumerate((_ALRAE | _ALRAIE, _ALRBE | _ALRBIE)):
            if control & enables == enables and not self._init:
                ticks = self._ticks_to_alarm(number)
                due += [] if ticks is None else [self._ticked_at + ticks * self._tick]
        return int(min(due)) + 1 if due and self.runs else None

    def advance(self) -> None:
        """Count up to now."""
        now = self._wiring.now()
        if not self.runs or self._init:
            self._ticked_at = now
            return
        ticks = int((now - self._ticked_at) / self._tick)
        if ticks > 0:
            for number, flag in enumerate((_ALRAF, _ALRBF)):
                left = self._ticks_to_alarm(number)
                self._flags |= flag if left is not None and left <= ticks else 0
            self._ticked_at += ticks * self._tick
            seconds, self._sub = divmod(self._sub + ticks, self._second_ticks)
            self._moment = self._moment.after(seconds) if seconds else self._moment
        if self._wake_at is not None and now >= self._wake_at:
            period = self._wake_period
            self._wake_at += (int((now - self._wake_at) / period) + 1) * period
            self._flags |= _WUTF
        self._set_lines()

    @property
    def _cycle(self) -> float:
        """The core's cycles per period of RTCCLK."""
        return self._core_hz / (self._wiring.clock_hz() or 1)

    @property
    def _tick(self) -> float:
        """The core's cycles per period of ck_apre, of which CALR leaves some out or adds some."""
        setting = self._calibration[1].value
        more = (setting & _CALM) - (_ADDED if setting & _CALP else 0)
        stretched = self._cycle * (_CALIBRATED + more) / _CALIBRATED
        return stretched * ((self._prescaler.value >> 16) + 1)

    @property
    def _second_ticks(self) -> int:
        return (self._prescaler.value & 0x7FFF) + 1

    @property
    def _wake_period(self) -> float:
        """The core's cycles from one wake-up to the next: section 26.3.4."""
        choice = self._control.value & 7
        counts = self._wake_up.value + 1
        if choice < 4:
            return self._cycle * (16 >> choice) * counts
        counts += 0x1_0000 if choice >= 6 else 0
        return self._tick * self._second_ticks * counts

    def _ticks_to_alarm(self, number: int) -> int | None:
        """Return the periods of ck_apre until an alarm's next match, None where it has none."""
        if not self._control.value & (_ALRAE, _ALRBE)[number]:
            return None
        alarm = Alarm(self._alarms[number].value, bool(self._control.value & _FMT))
        setting = self._subseconds[number].value
        bits = setting >> 24 & 0xF
        mask = (1 << bits) - 1
        if alarm.matches(self._moment) and bits:
            later = self._first_match(self._sub + 1, setting & mask, mask)
            if later is not None:
                return later - self._sub
        seconds = alarm.seconds_until(self._moment)
        first = self._first_match(0, setting & mask, mask)
        if seconds is None or first is None:
            return None
        return seconds * self._second_ticks - self._sub + first

    def _first_match(self, start: int, wanted: int, mask: int) -> int | None:
        """Return the first tick of a second, from one on, at which SSR ends in some bits."""
        last = self._second_ticks - 1
        return next((at for at in range(start, last + 1) if (last - at) & mask == wanted), None)

    def _next_tick(self) -> int | None:
        self.advance()
        return int(self._ticked_at + self._tick) if self.runs and not self._init else None

    def _next_second(self) -> int | None:
        self.advance()
        left = self._second_ticks - self._sub
        return int(self._ticked_at + left * self._tick) if self.runs and not self._init else None

    # registers

    def _guarded(self, write: Callable[[int], None]) -> Callable[[int], None]:
        """Return a write that the keys have to unlock."""

        def if_unlocked(value: int) -> None:
            if self._keys == len(_KEYS) and self._wiring.writable():
                self.advance()
                write(value)
                self._wiring.on_change()

        return if_unlocked

    def _if_writable(self, write: Callable[[int], None]) -> Callable[[int], None]:
        def if_writable(value: int) -> None:
            if self._wiring.writable():
                self.advance()
                write(value)
                self._set_lines()

        return if_writable

    def _take_key(self, key: int) -> None:
        if self._keys < len(_KEYS) and key == _KEYS[self._keys]:
            self._keys += 1
        else:
            self._keys = int(key == _KEYS[0])

    def _latch(self) -> None:
        """Keep the date until it is read: section 26.3.6."""
        if not self._control.value & _BYPSHAD and self._latched is None:
            self._latched = self._moment.date()

    def _read_time(self) -> int:
        self.advance()
        self._latch()
        return self._moment.time(twelve_hours=bool(self._control.value & _FMT))

    def _read_date(self) -> int:
        self.advance()
        latched, self._latched = self._latched, None
        return self._moment.date() if latched is None else latched

    def _read_subseconds(self) -> int:
        self.advance()
        self._latch()
        return self._second_ticks - 1 - self._sub

    def _write_time(self, value: int) -> None:
        if self._in_init:
            twelve = bool(self._control.value & _FMT)
            self._moment = self._moment.with_time(value, twelve_hours=twelve)

    def _write_date(self, value: int) -> None:
        if self._in_init:
            self._moment = self._moment.with_date(value)
            self._latched = None

    def _write_control(self, value: int) -> None:
        before = self._control.value
        self._control.write(value)
        if value & ~before & _WUTE:
            self._wake_at = self._wiring.now() + self._wake_period
        if before & ~value & _WUTE:
            self._wake_at = None
            self._wake_writable_at = self._wiring.now() + _SYNCHRONISATION * self._cycle
        for bit, seconds in ((_ADD1H, _HOUR_SECONDS), (_SUB1H, -_HOUR_SECONDS)):
            if value & bit and not self._init:
                self._moment = self._moment.after(seconds)
        self._set_lines()

    def _shift(self, value: int) -> None:
        seconds, self._sub = divmod(self._sub - (value & 0x7FFF), self._second_ticks)
        self._moment = self._moment.after(seconds + (value >> 31))
        self._desynchronise()

    @property
    def _in_init(self) -> bool:
        return self._init and self.runs and self._wiring.now() >= self._init_at

    def _desynchronise(self) -> None:
        self._synchronised_at = self._wiring.now() + _SYNCHRONISATION * self._cycle

    def _read_status(self) -> int:
        self.advance()
        now, control = self._wiring.now(), self._control.value
        value = self._flags | (_INIT if self._init else 0) | (_INITF if self._in_init else 0)
        value |= 0 if control & _ALRAE else _ALRAWF
        value |= 0 if control & _ALRBE else _ALRBWF
        value |= _WUTWF if not control & _WUTE and now >= self._wake_writable_at else 0
        value |= _INITS if self._moment.year else 0
        return value | (
            _RSF if self.runs and not self._init and now >= self._synchronised_at else 0
        )

    def _write_status(self, value: int) -> None:
        self._flags &= value | ~_FLAGS
        if not value & _RSF:
            self._desynchronise()
        init = bool(value & _INIT)
        if self._keys != len(_KEYS) or init == self._init:
            return
        self._init = init
        now = self._wiring.now()
        if init:
            self._init_at = now + _SYNCHRONISATION * self._cycle
        else:
            self._sub, self._ticked_at = 0, now
            self._desynchronise()
        self._wiring.on_change()

    def _changes(self) -> int | None:
        now = self._wiring.now()
        if not self.runs:
            return None
        due: list[float | None] = [
            self._init_at, self._synchronised_at, self._wake_writable_at, self._wake_at,
        ]  # fmt: skip
        for number in range(2):
            ticks = None if self._init else self._ticks_to_alarm(number)
            due.append(None if ticks is None else self._ticked_at + ticks * self._tick)
        return min((int(at) for at in due if at is not None and at > now), default=None)

    # events

    def touch(self, *, level: bool) -> None:
        """Take an edge of the pin RTC_AF1: a tamper event, a time stamp, or neither."""
        self.advance()
        setting, control = self._tamper.value, self._control.value
        if control & _TSE and level != bool(control >> 3 & 1):
            if self._flags & _TSF:
                self._flags |= _TSOVF
            else:
                self._flags |= _TSF
                time = self._moment.time(twelve_hours=bool(control & _FMT))
                self._stamp = time, self._moment.date() & 0xFFFF, self._read_subseconds()
        if setting & 1 and level != bool(setting >> 1 & 1):
            self._flags |= _TAMP1F
            for storage in self._backup:
                storage.reset()
        self._set_lines()

    def _set_lines(self) -> None:
        """Tell EXTI of flags that interrupt."""
        for line, pairs in _LINES.items():
            control = self._control.value
            level = any(self._flags & flag and control & enable for flag, enable in pairs)
            if line == TAMPER_LINE and self._tamper.value & _TAMPIE:
                level = level or bool(self._flags & (_TAMP1F | _TAMP2F))
            if level != bool(self._raised >> line & 1):
                self._raised ^= 1 << line
                self._wiring.set_line(line, level)
