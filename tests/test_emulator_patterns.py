"""Instructions that are looked for in code: none is missed, wherever it stands."""

import random
import struct
from collections.abc import Callable

import pytest

from hil.targets.emulator.core import exclusive, traps
from hil.targets.emulator.core.divisions import DIVISIONS, is_division
from hil.targets.emulator.core.patterns import Like, like

IsOne = Callable[[int, int], bool]


@pytest.mark.parametrize(
    ("looks", "is_one", "likely"),
    [
        (traps._FLOATS, traps._is_fpu, ((0xEC00, 0xEC00), (0x0A00, 0x0E00))),
        (DIVISIONS, is_division, ((0xFB90, 0xFFD0), (0xF0F0, 0xF0F0))),
        (traps._MSR_CONTROL, traps._is_msr_control, ((0xF380, 0xFFF0), (0x8014, 0xF0FF))),
        (exclusive._EXCLUSIVE, exclusive.is_exclusive, ((0xE840, 0xFF40), (0x0F40, 0))),
    ],
    ids=["FPU", "divisions", "MSR to CONTROL", "exclusive accesses"],
)
def test_none_is_missed(
    looks: Like, is_one: IsOne, likely: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    choose = random.Random(3)  # noqa: S311 - a reproducible choice
    halves = []
    for _ in range(20_000):
        for value, mask in likely:
            fixed = mask & choose.choice((0xFFFF, 0xFFFF, 0))
            halves.append(value & fixed | choose.getrandbits(16) & ~fixed & 0xFFFF)
        halves += [choose.getrandbits(16)] * choose.randrange(2)
    code = struct.pack(f"<{len(halves)}H", *halves)
    wanted = {2 * at for at in range(len(halves) - 1) if is_one(*halves[at : at + 2])}
    assert len(wanted) > 1000
    assert wanted <= set(looks.found_in(code))


def test_places_are_those_of_a_search_halfword_by_halfword() -> None:
    choose = random.Random(3)  # noqa: S311 - a reproducible choice
    code = bytes(choose.choice((0x40, 0xBF, 0x40, 0xBF, 0)) for _ in range(4000))
    expected = [at for at in range(0, len(code), 2) if code[at : at + 2] == b"\x40\xbf"]
    assert like(rb"\x40\xbf").found_in(code) == expected
