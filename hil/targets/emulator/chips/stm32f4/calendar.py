"""The time of day and date that a real-time clock counts, in its registers' BCD."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

_CENTURY = 2000
_PM = 1 << 22
_NOON = 12
DAY_SECONDS = 86_400


def bcd(value: int) -> int:
    """Return a number below 100 as binary-coded decimal."""
    return value // 10 << 4 | value % 10


def from_bcd(value: int) -> int:
    """Return a number from binary-coded decimal."""
    return (value >> 4) * 10 + (value & 0xF)


@dataclass(frozen=True)
class Moment:
    """A second of the calendar; `weekday` counts on its own, 1 to 7."""

    second: int = 0
    minute: int = 0
    hour: int = 0
    weekday: int = 1
    day: int = 1
    month: int = 1
    year: int = 0

    @property
    def of_day(self) -> int:
        """Seconds since midnight."""
        return self.second + 60 * self.minute + 3600 * self.hour

    def time(self, *, twelve_hours: bool) -> int:
        """Return RTC_TR."""
        hour, afternoon = self.hour, 0
        if twelve_hours:
            afternoon = _PM if hour >= _NOON else 0
            hour = hour % _NOON or _NOON
        return bcd(self.second) | bcd(self.minute) << 8 | bcd(hour) << 16 | afternoon

    def date(self) -> int:
        """Return RTC_DR."""
        return bcd(self.day) | bcd(self.month) << 8 | self.weekday << 13 | bcd(self.year) << 16

    def with_time(self, value: int, *, twelve_hours: bool) -> "Moment":
        """Return it with the time of day that RTC_TR says.

        Args:
            value: of RTC_TR.
            twelve_hours: whether its hours go to 12.
        """
        hour = from_bcd(value >> 16 & 0x3F)
        if twelve_hours:
            hour = hour % _NOON + (_NOON if value & _PM else 0)
        return replace(
            self, second=from_bcd(value & 0x7F), minute=from_bcd(value >> 8 & 0x7F), hour=hour
        )

    def with_date(self, value: int) -> "Moment":
        """Return it with the date that RTC_DR says."""
        return replace(
            self,
            day=from_bcd(value & 0x3F),
            month=from_bcd(value >> 8 & 0x1F),
            weekday=value >> 13 & 7,
            year=from_bcd(value >> 16 & 0xFF),
        )

    def after(self, seconds: int) -> "Moment":
        """Return the moment some seconds on.

        A date that is none, such as the day 0, stays until midnight and counts on from the first.
        """
        days, of_day = divmod(self.of_day + seconds, DAY_SECONDS)
        if days == 0:
            minutes, second = divmod(of_day, 60)
            return replace(self, hour=minutes // 60, minute=minutes % 60, second=second)
        start = datetime(
            _CENTURY + self.year % 100, min(max(self.month, 1), 12), 1, tzinfo=UTC
        ) + timedelta(days=max(self.day, 1) - 1, seconds=self.of_day)
        then = start + timedelta(seconds=seconds)
        return Moment(
            then.second,
            then.minute,
            then.hour,
            (self.weekday - 1 + days) % 7 + 1,
            then.day,
            then.month,
            then.year % 100,
        )


@dataclass(frozen=True)
class Alarm:
    """What RTC_ALRMAR or RTC_ALRMBR says: a field that is masked matches whatever there is."""

    value: int
    twelve_hours: bool

    def matches(self, moment: Moment) -> bool:
        """Whether a second is one of the alarm's."""
        return self._on_day(moment) and moment.of_day in _Times(self)

    def seconds_until(self, moment: Moment, most_days: int = 400) -> int | None:
        """Return the seconds from a moment to the next one that matches, more than none.

        Args:
            moment: that is now.
            most_days: how far ahead to look.
        """
        start = moment.of_day + 1
        for days in range(most_days):
            at_midnight = moment.after(DAY_SECONDS * days - moment.of_day)
            if self._on_day(at_midnight):
                found = _Times(self).first_from(start)
                if found is not None:
                    return DAY_SECONDS * days + found - moment.of_day
            start = 0
        return None

    def _on_day(self, moment: Moment) -> bool:
        if self.value >> 31:
            return True
        if self.value >> 30 & 1:
            return moment.weekday == self.value >> 24 & 0xF
        return moment.day == from_bcd(self.value >> 24 & 0x3F)


class _Times:
    """The times of day that an alarm names."""

    def __init__(self, alarm: Alarm) -> None:
        at = Moment().with_time(alarm.value, twelve_hours=alarm.twelve_hours)
        value = alarm.value
        self._hours = range(24) if value >> 23 & 1 else range(at.hour, at.hour + 1)
        self._minutes = range(60) if value >> 15 & 1 else range(at.minute, at.minute + 1)
        self._seconds = range(60) if value >> 7 & 1 else range(at.second, at.second + 1)

    def __contains__(self, of_day: int) -> bool:
        return (
            of_day // 3600 in self._hours
            and of_day // 60 % 60 in self._minutes
            and of_day % 60 in self._seconds
        )

    def first_from(self, of_day: int) -> int | None:
        """Return the first of them that is not before a time of day."""
        return next((at for at in self._candidates(of_day) if at >= of_day), None)

    def _candidates(self, of_day: int) -> Iterator[int]:
        for hour in self._hours:
            if hour < of_day // 3600:
                continue
            for minute in self._minutes:
                if 60 * hour + minute < of_day // 60:
                    continue
                for second in self._seconds:
                    yield 3600 * hour + 60 * minute + second
