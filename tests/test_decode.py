"""An instruction that was decoded once is known wherever else it stands."""

import numpy as np

from hil.targets.emulator.core import decode
from hil.targets.emulator.core.decode import Decoder, Instruction

FIRST, SECOND = 0x0800_0400, 0x2000_0102


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
    decoder = Decoder()
    return [decoder.decode(code, address, (3,))[0] for code in codes]


def test_an_instruction_elsewhere_is_what_decoding_it_there_gives() -> None:
    codes = everything()
    decode._DECODED.clear()
    before = decoded(codes, FIRST)
    elsewhere = decoded(codes, SECOND)
    decode._DECODED.clear()
    assert elsewhere == decoded(codes, SECOND)
    assert [one.address for one in before] == [FIRST] * len(codes)
    moved = [(one, other) for one, other in zip(before, elsewhere, strict=True) if one.target]
    assert len(moved) > 100
    assert all(one.target != other.target for one, other in moved)
