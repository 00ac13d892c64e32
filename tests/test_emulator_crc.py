"""The checksum unit, against a division of polynomials."""

import random

from emulated import finished, memory_words

POLYNOMIAL = 0x104C1_1DB7
ON = """
 ldr r0, =0x40023800
 ldr r1, =0x1000
 str r1, [r0, #0x30]
 ldr r0, =0x40023000
"""


def _remainder(words: list[int]) -> int:
    """Divide a message, its first word inverted, by the polynomial."""
    message = int.from_bytes(b"".join(word.to_bytes(4, "big") for word in words), "big")
    message ^= 0xFFFF_FFFF << 32 * (len(words) - 1)
    value = message << 32
    for bit in range(value.bit_length() - 1, 31, -1):
        if value >> bit & 1:
            value ^= POLYNOMIAL << bit - 32
    return value


def test_the_checksum_is_the_remainder_of_the_words() -> None:
    """RM0090 section 4.2: from all ones; RESET goes back to it, IDR keeps a byte through that."""
    draw = random.Random(4)  # noqa: S311
    words = [draw.getrandbits(32) for _ in range(9)]
    stores = "\n".join(f" ldr r1, ={word:#x}\n str r1, [r0]" for word in words)
    program = f"""
    function start
     {ON}
     ldr r6, =0x20000100
     ldr r1, [r0]
     str r1, [r6]
     {stores}
     ldr r1, [r0]
     str r1, [r6, #4]
     ldr r1, =0x1A5
     str r1, [r0, #4]
     movs r1, #1
     str r1, [r0, #8]
     ldr r1, [r0]
     str r1, [r6, #8]
     ldr r1, [r0, #4]
     str r1, [r6, #12]
     bkpt 0
    """
    with finished(program) as chip:
        found = memory_words(chip, 0x2000_0100, 4)
    assert found == [0xFFFF_FFFF, _remainder(words), 0xFFFF_FFFF, 0xA5]
