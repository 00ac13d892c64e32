"""What code that sets the Q flag comes to; a program, since a process loads Unicorn only once.

    python sums.py HOW OUTPUT

HOW is how Unicorn is loaded: "first" as the emulated board does it, "late" behind somebody else's
import, "another" as a library that is not proved, "wrong" as one that fails the test at loading.
What comes out is written to OUTPUT as JSON; two processes may do so at once.
"""

import ctypes
import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import timing_machine as machine

from hil.targets.emulator.core import translation
from hil.targets.emulator.core.engine import Engine

WORDS = (0, 1, 0xFFFF_FFFF, 0x7FFF_FFFF, 0x8000_0000, 0x8000_8000, 0x7FFF_8000, 0xC001_4002)
SUMS = (
    *("smlad", "smladx", "smlsd", "smlsdx", "smlabb", "smlabt", "smlatb", "smlatt"),
    *("smlawb", "smlawt"),
)
PAIRS = ("smuad", "smuadx", "smusd", "qadd", "qsub", "qdadd", "qdsub")
RUN = 300
"""How many stand one after the other."""
SOURCE = (
    ".global start\nfunction start\n"
    + "".join(f"{name} r0, r1, r2, r3\n" for name in SUMS)
    + "".join(f"{name} r0, r1, r2\n" for name in PAIRS)
    + "ssat r0, #7, r1\nusat r0, #7, r1\n"
    + f".balign 1024\n.global run\nrun:\n.rept {RUN}\nsmlad r0, r1, r2, r0\n.endr\nb .\n"
    + """
.balign 1024
.global mixed
mixed:
 smlad r0, r1, r2, r3
 mrs r4, apsr
 msr apsr_nzcvq, r5
 smlabb r0, r1, r2, r0
 mrs r6, apsr
 smuad r8, r1, r2
 cmp r4, r6
 itee eq
 smladeq r3, r1, r1, r3
 smladne r3, r2, r2, r3
 smladxne r0, r2, r1, r0
 qadd r3, r0, r3
 mrs r9, apsr
 eor r4, r4, r6, ror #3
 eor r9, r9, r4, ror #5
 add r10, r9, r10, ror #7
 str r10, [sp]
 ldr r2, [sp]
 subs r7, #1
 bne mixed
.global mixed_end
mixed_end: b .
.balign 1024
.global fault
fault:
 smlad r0, r1, r2, r3
 smlad r4, r1, r2, r0
 ldr r5, [r6]
 smlad r4, r1, r2, r4
 b .
"""
)


def registers(core: Any, arm: Any, count: int = 13) -> list[int]:
    ids = [getattr(arm, f"UC_ARM_REG_R{number}") for number in range(count)]
    return [*core.reg_read_batch(ids), core.reg_read(arm.UC_ARM_REG_XPSR)]


def bare(code: bytes) -> Any:
    uc = translation.unicorn()
    core = uc.Uc(uc.UC_ARCH_ARM, uc.UC_MODE_THUMB | uc.UC_MODE_MCLASS)
    core.ctl_set_cpu_model(uc.arm_const.UC_CPU_ARM_CORTEX_M4)
    core.mem_map(machine.FLASH, 1 << 20)
    core.mem_write(machine.FLASH, code)
    return core


def sums(code: bytes, begin: int) -> dict[str, list[tuple[int, int]]]:
    """r0 and Q for every choice of r1, r2 and, where it is added, r3; Q is set before every 3rd."""
    core, found = bare(code), {}
    from unicorn import arm_const as arm

    for number, name in enumerate((*SUMS, *PAIRS, "ssat", "usat")):
        at, outcomes = begin + 4 * number, []
        for choice in range(len(WORDS) ** (3 if name in SUMS else 2)):
            core.reg_write(arm.UC_ARM_REG_XPSR_NZCVQG, 1 << 27 if choice % 3 == 0 else 0)
            for register in range(3):
                word = WORDS[choice // len(WORDS) ** register % len(WORDS)]
                core.reg_write(arm.UC_ARM_REG_R1 + register, word)
            core.emu_start(at | 1, at + 4)
            q = core.reg_read(arm.UC_ARM_REG_XPSR) >> 27 & 1
            outcomes.append((core.reg_read(arm.UC_ARM_REG_R0), q))
        found[name] = outcomes
    return found


def blocks(code: bytes, begin: int) -> list[tuple[int, int]]:
    """Address and bytes of the blocks that a long run of sums becomes."""
    core, found = bare(code), []
    kind = translation.unicorn().UC_HOOK_BLOCK
    core.hook_add(kind, lambda _uc, address, size, _data: found.append((address, size)))
    core.emu_start(begin | 1, begin + 4 * RUN)
    return found


def fault(code: bytes, at: int) -> tuple[str, list[int]]:
    """What a load from nowhere says between two sums, and the registers then."""
    core = bare(code)
    from unicorn import arm_const as arm

    for number, value in enumerate((0, 0x7FFF_7FFF, 0x7FFF_7FFF, 9, 0, 0, 0x6000_0000)):
        core.reg_write(arm.UC_ARM_REG_R0 + number, value)
    try:
        core.emu_start(at | 1, 0)
    except translation.unicorn().UcError as error:
        return str(error), [*registers(core, arm), core.reg_read(arm.UC_ARM_REG_PC)]
    raise AssertionError("the load came back")


def mixed(built: machine.Program, *, limit: int) -> list[int]:
    """Cycles, instructions and registers of a loop that reads and clears the flag."""
    core = machine.Machine(built.code, acr=0x705)
    choose = random.Random(8)  # noqa: S311 - a reproducible choice
    for number in (0, 1, 2, 3, 10):
        core.write(f"r{number}", choose.getrandbits(32))
    core.write("r5", 0)
    core.write("r7", 200)
    core.timing.run.block_limit = limit
    begin, end = built.labels["mixed"], built.labels["mixed_end"]
    if limit:
        core.uc.emu_start(begin | 1, 0)
        core.timing.resync(core.read("pc"))
    else:
        core.run(begin, end)
    timing = core.timing
    return [
        timing.cycles,
        timing.instructions,
        core.read("pc"),
        *registers(core.uc, core.registers, 12),
    ]


def in_a_copy(code: bytes, scratch: Path) -> list[int]:
    """What a sum comes to in another copy of Unicorn: r0 and Q."""
    from unicorn import arm_const as arm
    from unicorn.unicorn_py3.unicorn import uclib

    path = str(shutil.copy(uclib._name, scratch / "another.so"))
    other, core = ctypes.CDLL(path), ctypes.c_void_p()
    uc = translation.unicorn()
    u64, mode = ctypes.c_uint64, uc.UC_MODE_THUMB | uc.UC_MODE_MCLASS
    failed = [other.uc_open(uc.UC_ARCH_ARM, mode, ctypes.byref(core))]
    failed.append(other.uc_mem_map(core, u64(0), ctypes.c_size_t(4096), uc.UC_PROT_ALL))
    failed.append(other.uc_mem_write(core, u64(0), code, ctypes.c_size_t(len(code))))
    values = (arm.UC_ARM_REG_R1, 0x8000_8000), (arm.UC_ARM_REG_R2, 0x8000_8000)
    for register, value in values:
        failed.append(other.uc_reg_write(core, register, ctypes.byref(u64(value))))
    failed.append(other.uc_emu_start(core, u64(1), u64(4), u64(0), ctypes.c_size_t(0)))
    found = []
    for register in (arm.UC_ARM_REG_R0, arm.UC_ARM_REG_XPSR):
        read = u64()
        failed.append(other.uc_reg_read(core, register, ctypes.byref(read)))
        found.append(read.value)
    assert not any(failed)
    return [found[0], found[1] >> 27 & 1]


def main(how: str, output: Path) -> None:
    if how == "late":
        import unicorn  # noqa: F401 - what is tested
    elif how == "another":
        translation.PROVED = bytes(range(20))
    elif how == "wrong":
        code, values, (r0, q) = translation._SUMS[0]
        translation._SUMS = ((code, values, (r0 ^ 1, q)),)
    Engine()  # as a board does; there Unicorn is loaded
    built = machine.program(SOURCE)
    found = {
        "slow_because": translation.slow_because(),
        "sums": sums(built.code, built.labels["start"]),
        "blocks": blocks(built.code, built.labels["run"]),
        "fault": fault(built.code, built.labels["fault"]),
        "mixed": mixed(built, limit=0),
        "stopped": mixed(built, limit=77),
        "copy": in_a_copy(bytes.fromhex("21fb0230"), output.parent),  # smlad r0, r1, r2, r3
    }
    output.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
