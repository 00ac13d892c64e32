"""No program makes the emulator itself fail: it ends in a fault, a stop or a message."""

import random
import struct
from pathlib import Path

import pytest
import thumb
from emulated import BOARD, StillChip

from hil.errors import EmulatorError, HilError
from hil.studies import emulate
from hil.targets.emulator.errors import BusError

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


ROUNDS, STORES = 6, 400
_WAITS = (1, 7, 50, 1000, 100_000)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_random_register_accesses_are_answered(seed: int) -> None:
    """Any register takes any value, of any width, at any time; time goes on in between."""
    draw = random.Random(seed)  # noqa: S311
    chip = StillChip()
    registers = sorted(
        peripheral.address + offset
        for peripheral in chip.chip.peripherals
        for offset in peripheral.registers
        if 0x4000_0000 <= peripheral.address < 0xE000_0000
    )
    used = draw.sample(registers, 40)
    for _ in range(STORES):
        address, size = draw.choice(used), draw.choice((1, 2, 4, 4, 4))
        value = draw.choice((0, 1, 0xFFFF_FFFF, draw.getrandbits(32), 1 << draw.randrange(32)))
        data = value.to_bytes(4, "little")[:size]
        try:
            chip.chip.bus.write(address, data)
            chip.chip.bus.read(address, size)
        except BusError:
            continue
        if draw.random() < 0.2:
            chip.wait(draw.choice(_WAITS))
        if draw.random() < 0.05:
            chip.chip.usarts["usart1"].line.send(bytes((draw.randrange(256),)))
            chip.chip.pins.drive(f"P{draw.choice('ABC')}{draw.randrange(16)}", level=True)
        if draw.random() < 0.02:
            chip.chip.reset()
