"""An instruction that was decoded once is known wherever else it stands."""

import numpy as np

from hil.targets.emulator.core import decode
from hil.targets.emulator.core.instructions import Instruction, Kind

FIRST, SECOND = 0x0800_0400, 0x2000_0102
CARRY_SET = 2


def everything() -> list[bytes]:
    """Each of a few thousand instructions, two or four bytes long."""
    random = np.random.default_rng(0)
    narrow = [int(n).to_bytes(2, "little") for n in range(0, 0xE800, 17)]
    wide = random.integers(0xE800, 0x1_0000, 3000), random.integers(0, 0x1_0000, 3000)
    return narrow + [
        int(a).to_bytes(2, "little") + int(b).to_bytes(2, "little")
        for a, b in zip(*wide, strict=True)
    ]


def decoded(codes: list[bytes], address: int) -> list[Instruction]:
    return [decode.decode(code, address, bytes([3]))[0] for code in codes]


def test_an_instruction_elsewhere_is_what_decoding_it_there_gives() -> None:
    codes = everything()
    decode._decoder.cache_clear()
    before = decoded(codes, FIRST)
    elsewhere = decoded(codes, SECOND)
    decode._decoder.cache_clear()
    assert list(map(bytes, elsewhere)) == list(map(bytes, decoded(codes, SECOND)))
    assert [one.address for one in before] == [FIRST] * len(codes)
    moved = [(one, other) for one, other in zip(before, elsewhere, strict=True) if one.has_target]
    assert len(moved) > 100
    assert all(one.target != other.target for one, other in moved)


def test_what_an_it_covers_is_decoded_as_elsewhere() -> None:
    """capstone writes the condition behind the name: LDR under HS would look like an LDRH."""
    decode._decoder.cache_clear()
    code = bytes.fromhex("28bf d0f80410")  # it hs; ldrhs.w r1, [r0, #4]
    it, load = decode.decode(code, FIRST)
    assert (it.kind, it.it_conditions[: it.it_count]) == (Kind.IT, [CARRY_SET])
    assert (load.kind, load.access_bytes, load.condition) == (Kind.LOAD, 4, CARRY_SET)


def test_half_an_instruction_at_the_end_of_code_is_left_out() -> None:
    code = bytes.fromhex("00bf d0f8")
    assert [one.is_nop for one in decode.decode(code, FIRST)] == [True]
    assert len(decode.decode(code[:1], FIRST)) == 0
