"""An instruction that was decoded once is known wherever else it stands."""

from typing import Any

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


def test_what_capstone_says_of_an_instruction_is_what_becomes_of_it() -> None:
    """Against its Python binding, which has the names and operands that C takes by number."""
    import capstone
    from capstone import arm_const as arm

    library: Any = capstone
    mode = library.CS_MODE_THUMB | library.CS_MODE_MCLASS
    engine = library.Cs(library.CS_ARCH_ARM, mode)
    engine.detail = True
    names = (*(f"R{number}" for number in range(13)), "SP", "LR", "PC")
    core = {getattr(arm, f"ARM_REG_{name}"): number for number, name in enumerate(names)}
    known = 0
    for code in everything():
        one = decode.decode(code, 0)[0]
        found = next(engine.disasm(code, 0, 1), None)
        if found is None or found.size != len(code):
            assert one.is_unknown, code.hex()
            continue
        known += 1
        memory = next((o for o in found.operands if o.type == arm.ARM_OP_MEM), None)
        written = {
            core[o.reg]
            for o in found.operands
            if o.type == arm.ARM_OP_REG and o.access & 2 and o.reg in core
        }
        assert (one.is_unknown, one.operands, one.writes_back) == (
            False,
            len(found.operands),
            found.writeback,
        ), code.hex()
        if memory is not None:
            assert one.access.base == core.get(memory.mem.base, -1), code.hex()
            assert one.access.index == core.get(memory.mem.index, -1), code.hex()
        if one.kind in {Kind.SIMPLE, Kind.DIVIDE, Kind.FLOAT_MOVE}:
            assert set(one.written) == written, code.hex()
        if one.has_target:
            assert one.target == found.operands[-1].imm & 0xFFFF_FFFF, code.hex()
    assert known > 3000
