"""No program makes the emulator itself fail: it ends in a fault, a stop or a message."""

import random
import struct
from pathlib import Path

import pytest
import thumb
from emulated import BOARD

from hil.errors import EmulatorError, HilError
from hil.studies import emulate

SECONDS = 0.15
STREAMS, FILES, HALFWORDS = 8, 10, 400
_COMMON = ("ldr r0, =0x20000100", "ldr r5, =0xE000E000", "ldr r6, =0x40020000", "mov r7, sp")


def _random_halfwords(draw: random.Random) -> list[int]:
    """Return code in which each kind of encoding has its share: 16 bits, 32 bits, coprocessors."""
    code: list[int] = []
    while len(code) < HALFWORDS:
        kind = draw.random()
        if kind < 0.5:
            code.append(draw.randrange(0xE800))
        elif kind < 0.7:
            code += [draw.randrange(0xE800, 0xEC00), draw.randrange(0x1_0000)]
        elif kind < 0.8:
            code += [
                draw.choice((0xEC00, 0xFC00)) | draw.randrange(0x400),
                draw.randrange(0x1_0000),
            ]
        elif kind < 0.95:
            code += [draw.randrange(0xF000, 0xFC00), draw.randrange(0x1_0000)]
        else:
            code.append(0xBF00 | draw.randrange(0x100))  # IT and hints
    return code


@pytest.mark.parametrize("seed", range(STREAMS))
def test_random_instructions_end_in_a_fault_or_a_stop(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    listed = ", ".join(f"{half:#06x}" for half in _random_halfwords(draw))
    start = "\n ".join(_COMMON)
    source = f"function start\n {start}\n .hword {listed}\n b .\n"
    # Every second handler goes on behind what faulted, so that more of the code is run.
    if seed % 2:
        source += "function hard\n ldr r1, [sp, #24]\n adds r1, #2\n str r1, [sp, #24]\n bx lr\n"
    _ends(thumb.assemble(source, f"fuzz-{seed}"))


def _ends(elf: Path) -> None:
    try:
        emulate.run(elf, BOARD, max_seconds=SECONDS, write=lambda _data: None)
    except HilError as error:
        ended = error
    else:
        return
    assert not isinstance(ended, EmulatorError)


@pytest.mark.parametrize("seed", range(FILES))
def test_a_damaged_elf_ends_in_a_message(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)  # noqa: S311
    data = bytearray(thumb.assemble("function start\n movs r0, #1\n b .\n").read_bytes())
    for _ in range(draw.randrange(1, 9)):
        data[draw.randrange(len(data))] = draw.randrange(256)
    header = draw.randrange(52)
    data[header : header + 4] = struct.pack("<I", draw.choice((0, 1, 0xFFFF_FFFF, len(data))))
    elf = tmp_path / "damaged.elf"
    elf.write_bytes(data[: draw.randrange(1, len(data) + 1)] if seed % 3 == 0 else data)
    _ends(elf)
