"""What is worked out about the low bits of addresses holds for what the core computes."""

import random

import pytest
import timing_machine as machine

from hil.targets.emulator.core import alignment
from hil.targets.emulator.core.alignment import Check
from hil.targets.emulator.core.decode import decode

REGISTERS = 7  # r0 to r6
INSTRUCTIONS = (
    "mov {a}, {b}", "adds {a}, {b}, {c}", "add {a}, {b}, {c}, lsl #{k}", "subs {a}, {b}, {c}",
    "sub {a}, {b}, #{n}", "rsb {a}, {b}, #{n}", "add {a}, {n}", "and {a}, {b}, #{n}",
    "ands {a}, {b}", "bic {a}, {b}, #{n}", "bics {a}, {b}", "orr {a}, {b}, #{n}",
    "eor {a}, {b}, #{n}", "mvns {a}, {b}", "mvn {a}, {b}, lsl #{k}", "lsls {a}, {b}, #{k}",
    "lsls {a}, {b}", "lsrs {a}, {b}, #{k}", "asr {a}, {b}, #{k}", "movs {a}, #{n}",
    "movw {a}, #{n}", "movt {a}, #{n}", "muls {a}, {b}, {a}", "mul {a}, {b}, {c}",
    "mla {a}, {b}, {c}, {a}", "uxtb {a}, {b}", "uxth {a}, {b}, ror #8", "sxth {a}, {b}",
    "ubfx {a}, {b}, #1, #{k}", "clz {a}, {b}", "adcs {a}, {b}", "sbc {a}, {b}, {c}",
    "ror {a}, {b}, #{k}", "add {a}, {b}, {c}, lsr #{k}", "rev {a}, {b}", "mul {a}, {b}, {a}",
    "cmp {a}, {b}\n it ne\n addne {a}, #{n}", "cmp {a}, {b}\n it eq\n moveq {a}, {c}",
    "cmp {a}, {b}\n itt hi\n addhi {a}, #4\n movhi {b}, {c}", "adr {a}, 1f\n 1:",
    "smull {a}, {b}, {c}, {c}", "bfi {a}, {b}, #0, #{k}", "sel {a}, {b}, {c}",
)  # fmt: skip


def body(choose: random.Random) -> str:
    lines = []
    for _ in range(choose.randint(1, 6)):
        a, b, c = (f"r{number}" for number in choose.sample(range(REGISTERS), 3))
        line = choose.choice(INSTRUCTIONS).replace("add {a}, {n}", "add {a}, #{n}")
        lines.append(line.format(a=a, b=b, c=c, k=choose.randint(1, 7), n=choose.randint(0, 255)))
    return "\n".join(lines)


def low_bits(code: bytes, first: int, end: int) -> dict[int, Check]:
    """Return what is known at `end`, by register: an LDRD of each stands there, and none before."""
    wide = 4 * REGISTERS
    block = code[first - machine.FLASH : end + wide - machine.FLASH]
    literal = alignment.literal_function(lambda _address: None)
    plan = alignment.plan(decode(block, first), literal)
    return {(one.address - end) // 4: one for one in plan.checks if one.before == first}


def value(check: Check, registers: list[int]) -> int:
    """Return the low bits that a check takes an address to have."""
    weights = (check.weights >> 2 * number & 3 for number in range(len(registers)))
    products = (weight * held for weight, held in zip(weights, registers, strict=True))
    return sum(products, check.offset) & 3


@pytest.mark.parametrize("seed", range(2))
def test_low_bits_are_those_that_the_core_computes(seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311 - a reproducible choice
    names = [f"block{number}" for number in range(60)]
    looks = "\n".join(f"ldrd r8, r9, [r{number}]" for number in range(REGISTERS))
    source = "function start\n" + "\n".join(
        f".balign 4\n.global {n}\n{n}:\n{body(choose)}\n.global {n}_end\n{n}_end:\n{looks}\nb ."
        for n in names
    )
    built = machine.program(source)
    known = 0
    for name in names:
        first, end = built.labels[name], built.labels[f"{name}_end"]
        found = low_bits(built.code, first, end)
        core = machine.Machine(built.code)
        entered = [choose.getrandbits(32) for _ in range(REGISTERS)] + [0] * 9
        for number in range(REGISTERS):
            core.write(f"r{number}", entered[number])
        core.run(first, end)
        for number, low in found.items():
            assert core.read(f"r{number}") & 3 == value(low, entered), (name, number, source)
        known += len(found)
    assert known > len(names)
