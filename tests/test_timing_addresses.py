"""What a block's addresses are made of is what the core's own registers make of them."""

import ctypes
import random
from typing import Any

import pytest
import timing_machine as machine

from hil.config import board
from hil.errors import EmulatorError
from hil.targets.emulator.core.decode import decode
from hil.targets.emulator.core.instructions import PC
from hil.targets.emulator.timing.addresses import Lookout, Memory, memories_of
from hil.targets.emulator.timing.c_side import VALUE_REGISTERS

BLOCKS = 80
REGISTERS = 7  # r0 to r6
FIRST_FLOAT = 16
INSTRUCTIONS = (
    "mov {a}, {b}", "adds {a}, {b}, {c}", "add {a}, {b}, {c}, lsl #{k}", "subs {a}, {b}, {c}",
    "sub {a}, {b}, #{n}", "rsb {a}, {b}, #{n}", "adds {a}, #{n}", "subs {a}, #{n}",
    "mvns {a}, {b}", "mvn {a}, {b}, lsl #{k}", "lsls {a}, {b}, #{k}", "lsls {a}, {b}",
    "lsrs {a}, {b}, #{k}", "movs {a}, #{n}", "movw {a}, #{w}", "movt {a}, #{w}",
    "muls {a}, {b}, {a}", "mul {a}, {b}, {c}", "mla {a}, {b}, {c}, {a}", "uxtb {a}, {b}",
    "ands {a}, {b}", "bic {a}, {b}, #{n}", "orr {a}, {b}, #{n}", "eor {a}, {b}, #{n}",
    "adr {a}, 1f\n .balign 4\n 1:", "add {a}, sp, #{word}", "add {a}, {a}, sp", "mov {a}, pc",
    "cmp {a}, {b}\n it ne\n addne {a}, #{n}",
    "cmp {a}, {b}\n ite eq\n moveq {a}, {c}\n movne {a}, {b}",
    "vmov {a}, s4", "vmov s4, {b}", "vmov {a}, {b}, s5, s6", "vadd.f32 s4, s5, s6", "vmov s5, s4",
    "smull {a}, {b}, {c}, {c}", "mrs {a}, primask", "ldr {a}, =0x2000{w:04x}",
    "sub sp, #{word}", "add sp, #{word}",
)  # fmt: skip
ACCESSES = (
    "ldr {a}, [r8, #{word}]", "ldr {a}, [r8], #{byte}", "ldr {a}, [r8, #{byte}]!",
    "ldr {a}, [r8], #-{byte}", "ldr {a}, [r8, #-{byte}]!", "ldrb {a}, [r8, #-{byte}]",
    "ldrsh {a}, [r8, r9, lsl #2]", "str {a}, [r8, r9]", "str {a}, [r8, #-{byte}]",
    "strh {a}, [r8, #{byte}]", "str {a}, [r8, #-{byte}]!", "strb {a}, [r8], #{byte}",
    "ldr {a}, [sp, #{word}]", "str {a}, [sp, #{word}]", "ldr {a}, [sp], #4", "str {a}, [sp, #-4]!",
    "ldrd {a}, {b}, [sp, #{word}]", "strd {a}, {b}, [sp, #{word}]", "strd {a}, {b}, [sp, #-8]!",
    "ldrd {a}, {b}, [sp], #8", "ldrd {a}, {b}, [r10, #{word}]!", "strd {a}, {b}, [r10], #-8",
    "push {{{a}, {b}}}", "push {{{a}, lr}}", "pop {{{a}, {b}}}", "vpush {{d0-d2}}",
    "vpop {{d0-d2}}",
    "vpush {{s0}}", "ldm sp, {{r0, r1, r2}}", "stm sp, {{r3, r4}}", "ldm r10!, {{r0, r1, r2}}",
    "stmdb r10!, {{r0, r1, r2}}", "ldmdb r10, {{r0, r1}}",
    "stm r10!, {{r3, r5}}",
    "vldmia sp, {{d0, d1}}", "vstmia r10!, {{s0-s2}}",
    "vldmdb r10!, {{d0}}",
    "vldr s0, [sp, #{word}]",
    "vstr d0, [r10, #{word}]", "ldrex {a}, [r10]", "strex {a}, {b}, [r10]",
    "ldr.w {a}, =0x2000{w:04x}",
    "cmp {a}, {b}\n it ne\n ldrne {a}, [r8], #4",
    "cmp {a}, {b}\n it ne\n strdne {a}, {b}, [sp, #8]",
)  # fmt: skip


def body(choose: random.Random) -> str:
    lines = []
    for _ in range(choose.randint(3, 9)):
        a, b, c = (f"r{number}" for number in choose.sample(range(REGISTERS), 3))
        line = choose.choice(ACCESSES if choose.random() < 0.6 else INSTRUCTIONS)
        word, byte = 4 * choose.randint(0, 15), choose.randint(1, 60)
        w, n, k = choose.getrandbits(16), choose.randint(0, 255), choose.randint(1, 7)
        lines.append(line.format(a=a, b=b, c=c, k=k, n=n, w=w, word=word, byte=byte))
    return "\n".join(lines)


def name_of(number: int) -> str:
    if number >= FIRST_FLOAT:
        return f"s{number - FIRST_FLOAT}"
    return "sp" if number == 13 else f"r{number}"


class Watched(machine.Machine):
    """Notes the first address that each instruction accesses."""

    def __init__(self, code: bytes) -> None:
        super().__init__(code)
        import unicorn

        uc: Any = unicorn
        self.accessed: dict[int, int] = {}
        self.uc.hook_add(uc.UC_HOOK_MEM_READ | uc.UC_HOOK_MEM_WRITE, self._note)

    def _note(self, _uc: Any, _kind: int, address: int, *_: object) -> None:
        address &= 0xFFFF_FFFF
        pc = self.read("pc")
        self.accessed[pc] = min(address, self.accessed.get(pc, address))


@pytest.mark.parametrize("seed", range(2))
def test_addresses_and_registers_are_the_cores_own(seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311 - a reproducible choice
    names = [f"block{number}" for number in range(BLOCKS)]
    built = machine.program(
        "function start\n"
        + "\n".join(
            f".balign 4\n.global {n}\n{n}:\n{body(choose)}\n.global {n}_end\n{n}_end: b .\n.pool"
            for n in names
        )
    )
    told = known = 0
    for name in names:
        first, end = built.labels[name], built.labels[f"{name}_end"]
        code = built.code[first - machine.FLASH : end - machine.FLASH]
        core = Watched(built.code)

        def literal(address: int, core: Watched = core) -> int | None:
            in_flash = machine.FLASH <= address < machine.FLASH + len(built.code)
            return int.from_bytes(core.uc.mem_read(address, 4), "little") if in_flash else None

        lookout = Lookout(memories_of(board.load("stm32f439")), literal)
        block = decode(code, first)
        entered = [choose.getrandbits(32) for _ in range(VALUE_REGISTERS)]
        for number, at in ((8, 0x2000), (9, 0x100), (10, 0x3000), (13, 0x5000)):
            entered[number] = machine.SRAM1 + at if number != 9 else at
        for number in (*range(15), *range(16, VALUE_REGISTERS)):
            core.write(name_of(number), entered[number])
        core.run(first, end)
        for number, value in enumerate(entered):
            lookout.registers[number] = value
        case, _ = lookout.look(block)
        assert lookout.holds(case), name
        for index, found in lookout.reached():
            at = block[index].address
            if at in core.accessed:
                assert found == core.accessed[at], (name, hex(at))
                told += 1
        for number, value in lookout.left().items():
            if number != PC:
                assert core.read(name_of(number)) == value, (name, number)
                known += 1
    assert told > 2 * BLOCKS
    assert known > 8 * BLOCKS


MEMORIES = (
    Memory("unknown", 0, 0x1000),
    Memory("sram1", 0x1000, 0x2000),
    Memory("unknown", 0x2000, 0x1_0000_0000),
)


@pytest.mark.parametrize("pointer", range(0x1FF8, 0x2001))
def test_a_case_holds_for_what_it_was_found_with_at_the_very_end_of_memory(pointer: int) -> None:
    memory = bytearray(0x1000)
    memory[-4:] = (0x1010).to_bytes(4, "little")
    host = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    lookout = Lookout(MEMORIES)
    lookout.host(lambda begin, _: host if begin == 0x1000 else None)
    lookout.registers[4] = pointer
    code = bytes.fromhex("2068 0168")  # ldr r0, [r4]; ldr r1, [r0]
    case, _ = lookout.look(decode(code, machine.FLASH))
    assert lookout.holds(case)
    lookout.registers[4] = 0x800
    assert not lookout.holds(case)


@pytest.mark.parametrize("instructions", [0, 1025])
def test_a_block_beyond_all_measure_is_refused(instructions: int) -> None:
    block = decode(bytes.fromhex("00bf") * instructions, machine.FLASH)
    with pytest.raises(EmulatorError, match=f"a block of {instructions} instructions"):
        Lookout(MEMORIES).look(block)
