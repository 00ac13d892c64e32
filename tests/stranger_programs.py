"""Programs of strangers, in assembly, that tests of several files run."""

EXIT = """
 ldr r1, =0x20026
 movs r0, #0x18
 bkpt 0xab
 b .
"""
COUNTER = """
function start
 ldr r4, =0x20000100
 movs r5, #0
again:
 bl tick
 b again
function tick
 adds r5, #1
 str r5, [r4]
 bx lr
"""


def says(*texts: bytes) -> str:
    """Return instructions that print texts by semihosting, and end."""
    lines, data = ["function start"], []
    for number, text in enumerate(texts):
        lines += [f" ldr r1, =text{number}", " movs r0, #4", " bkpt 0xab"]
        data += [f"text{number}:", " .byte " + ", ".join(map(str, text + b"\0"))]
    return "\n".join(lines) + EXIT + " .ltorg\n" + "\n".join(data) + "\n .align 2\n"
