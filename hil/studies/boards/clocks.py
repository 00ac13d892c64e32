"""The clocks of a physical board beside the host's: its oscillator, its crystal, its counter.

Source: RM0090 section 7.3, DS9405 table 41; RM0432 section 6.4.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.config.board import Board
from hil.studies.boards.finding import Finding
from hil.studies.boards.registers import bench_of, change

if TYPE_CHECKING:
    from hil.targets.debugger import Debugger
    from hil.targets.ram_program import Counted

_LOOP = b"\xfe\xe7"  # b .
_SLEEP = b"\x30\xbf\xfd\xe7"  # wfi; b back to it
_COUNTED_S = 0.5
_STARTS_S = 0.02  # a crystal takes 2 ms by the data sheet
_INTERNAL_APART = 0.05  # within 4 % from -10 to 85 C; a probe's answer takes time too
_HSE_APART = 0.02  # a crystal is within 0.01 %; what is beyond is another crystal

_HSEON, _HSERDY, _HSEBYP = 1 << 16, 1 << 17, 1 << 18
_SW = 3
_WAYS = (("a crystal swings", 0), ("a clock comes in on OSC_IN", _HSEBYP))


def look(board: Board, debugger: "Debugger", *, own_time: bool) -> Iterator[Finding]:
    """Count cycles from the internal oscillator, awake and asleep, then from the crystal.

    Args:
        board: its kind.
        debugger: of the board, reset and halted; it is left on the internal oscillator.
        own_time: whether the board's time is not the host's, as an emulated one's.

    Raises:
        ProbeError: the probe or the core is lost.
    """
    place = board.sram.address
    internal_hz = bench_of(board).reset_hz
    awake = debugger.count_cycles(_LOOP, place, _COUNTED_S)
    oscillator = _Clock("clock", "the internal oscillator", internal_hz, _INTERNAL_APART)
    yield oscillator.held(awake, own_time=own_time)
    asleep = debugger.count_cycles(_SLEEP, place, _COUNTED_S)
    yield _in_sleep(awake, asleep, own_time=own_time)
    yield from _crystal(board, debugger, own_time=own_time)


def _in_sleep(awake: "Counted", asleep: "Counted", *, own_time: bool) -> Finding:
    if own_time:  # it passes no time in a sleep that nothing ends
        return Finding("sleep", None, "not to be seen on a board whose time is its own")
    counts = asleep.cycles > awake.cycles // 2
    said = "counts on" if counts else "stands still"
    detail = f"the cycle counter {said} while the core sleeps, a debugger attached"
    return Finding("sleep", counts, detail)


def _crystal(board: Board, debugger: "Debugger", *, own_time: bool) -> Iterator[Finding]:
    place, bench = board.sram.address, bench_of(board)
    for words, bypass in _WAYS:
        change(debugger, bench.control, clear=_HSEON | _HSEBYP, set_=0)
        change(debugger, bench.control, clear=0, set_=bypass)
        change(debugger, bench.control, clear=0, set_=_HSEON)
        debugger.count_cycles(_LOOP, place, _STARTS_S)
        if debugger.read_word(bench.control) & _HSERDY:
            change(debugger, bench.configuration, clear=_SW, set_=bench.takes_hse)
            counted = debugger.count_cycles(_LOOP, place, _COUNTED_S)
            change(debugger, bench.configuration, clear=_SW, set_=0)
            crystal = _Clock("crystal", words, board.hse_hz, _HSE_APART)
            yield crystal.held(counted, own_time=own_time)
            break
    else:
        needs = board.clock_source != "hsi"
        detail = "neither a crystal nor a clock on OSC_IN; the board's file needs "
        detail += "one" if needs else "none"
        yield Finding("crystal", not needs, detail)
    change(debugger, bench.control, clear=_HSEON | _HSEBYP, set_=0)


@dataclass(frozen=True)
class _Clock:
    """A clock. Attributes: name: of its finding. hz: that it should have, `within` a part of it."""

    name: str
    words: str
    hz: int
    within: float

    def held(self, counted: "Counted", *, own_time: bool) -> Finding:
        """Hold it against the host's."""
        if own_time:
            detail = f"{self.words}: {counted.hz / 1e6:.0f} million cycles a second of the host's"
            return Finding(self.name, counted.cycles > 0, f"{detail}, for its time is its own")
        apart = counted.hz / self.hz - 1
        detail = (
            f"{self.words}: {counted.hz / 1e6:.4f} MHz by the host's clock, {apart:+.3%} of "
            f"{self.hz / 1e6:g} MHz, known to {counted.uncertainty:.3%}"
        )
        good = abs(apart) < self.within + counted.uncertainty
        return Finding(self.name, good, detail, counted.hz, None, "Hz")
