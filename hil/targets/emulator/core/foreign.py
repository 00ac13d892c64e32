"""Instructions of other cores, which Unicorn executes and a Cortex-M4 does not have.

Armv8-M (SG, TT, LDA, STL and their kin), FPv5 (VSEL, VMAXNM, VRINT, VCVTA and their kin), and the
change of byte order and instruction set of Armv7-A. Source: ARM DDI 0403E A5.2.5, A5.3.4, A5.3.6,
A6.4, A7.7; ARM DDI 0553B C2.4 for what Armv8-M put there.
"""

_SECURE_GATEWAY = (0xE97F, 0xE97F)
_FLOAT_COPROCESSORS = 0xA  # 10 and 11, but for the lowest bit
_TABLE_BRANCHES, _EXCLUSIVES = (0x0, 0x1), (0x4, 0x5)


def is_foreign(first: int, second: int) -> bool:
    """Whether an instruction, by its two halfwords, is one of another core's.

    Args:
        first: its first halfword.
        second: its second halfword.
    """
    if first >> 11 < 0b11101:
        return first & 0xFFE0 == 0xB640  # SETEND
    if (first, second) == _SECURE_GATEWAY:
        return True
    if first & 0xFFF0 == 0xE840:
        return second >> 12 == 0xF  # TT, where STREX has a register
    if first & 0xFFE0 == 0xE8C0:
        is_load = bool(first & 0x10)
        known = _EXCLUSIVES + (_TABLE_BRANCHES if is_load else ())
        return second >> 4 & 0xF not in known  # LDA, STL, LDAEX, STLEX, LDREXD, STREXD
    if first & 0xF800 == 0xF000 and second & 0xD001 == 0xC000:
        return True  # BLX to Arm code
    return _is_foreign_float(first, second)


def _is_foreign_float(first: int, second: int) -> bool:
    if second >> 8 & 0xE != _FLOAT_COPROCESSORS:
        return False
    if first & 0xFC00 == 0xFC00 and first >> 8 & 3 != 3:
        return True  # VSEL, VMAXNM, VMINNM, VRINTA, VCVTA and their kin
    if first & 0xFFBF == 0xEEB6:
        return second & 0x0E50 == 0x0A40  # VRINTR, VRINTZ
    return first & 0xFFBF == 0xEEB7 and second & 0x0ED0 == 0x0A40  # VRINTX
