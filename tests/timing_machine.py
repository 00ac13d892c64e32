"""A bare core with the timing model and nothing else, and loops whose cost is counted on it."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import thumb
from elftools.elf.elffile import ELFFile

from hil.config import board
from hil.targets.emulator.core import translation
from hil.targets.emulator.timing import Rules, TimingCore

FLASH, SRAM1, SRAM2, CCM = 0x0800_0000, 0x2000_0000, 0x2001_C000, 0x1000_0000
ART_OFF, ART_ON = 0x000, 0x600
COUNTER = "r7"


@dataclass(frozen=True)
class Program:
    """Code for flash, and where its labels are."""

    code: bytes
    labels: Mapping[str, int]


@cache
def program(source: str) -> Program:
    """Assemble a program; labels that are wanted have to be global or functions."""
    elf = thumb.assemble(source, "timing")
    return Program(thumb.flash_bytes(elf), _labels(elf))


def _labels(elf: Path) -> dict[str, int]:
    with elf.open("rb") as file:
        symbols: Any = ELFFile(file).get_section_by_name(".symtab")
        return {s.name: s["st_value"] & ~1 for s in symbols.iter_symbols() if s.name}


class Machine:
    """A core with flash, SRAM, CCM and the cycle counter of the DWT."""

    def __init__(
        self,
        code: bytes,
        *,
        acr: int = ART_OFF,
        rules: Rules | None = None,
        memory_is_known: bool = True,
    ) -> None:
        import ctypes

        uc = translation.unicorn()
        from unicorn import arm_const

        self.registers: Any = arm_const
        self.uc: Any = uc.Uc(uc.UC_ARCH_ARM, uc.UC_MODE_THUMB | uc.UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        self.uc.ctl_exits_enabled(True)
        self.uc.mem_map(FLASH, 2 << 20, uc.UC_PROT_READ | uc.UC_PROT_EXEC)
        mapped = [(SRAM1, bytearray(192 << 10)), (CCM, bytearray(64 << 10))]
        for address, memory in mapped:
            host = ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory))
            self.uc.mem_map_ptr(address, len(memory), uc.UC_PROT_ALL, host)
        self.uc.mem_write(FLASH, code)
        self.counter_reads: list[int] = []
        self.uc.mmio_map(0xE000_1000, 0x1000, self._read_counter, None, lambda *_: None, None)
        known = mapped if memory_is_known else []
        self.timing = TimingCore(self.uc, board.load("stm32f439"), mapped=known, rules=rules)
        self.timing.set_acr(acr)
        self.memory = mapped
        self.write("sp", SRAM1 + 0x8000)

    def _read_counter(self, *_: object) -> int:
        self.counter_reads.append(self.timing.now())
        return self.counter_reads[-1] & 0xFFFF_FFFF

    def write(self, register: str, value: int) -> None:
        self.uc.reg_write(getattr(self.registers, f"UC_ARM_REG_{register.upper()}"), value)

    def read(self, register: str) -> int:
        value: int = self.uc.reg_read(getattr(self.registers, f"UC_ARM_REG_{register.upper()}"))
        return value

    def run(self, start: int, end: int) -> int:
        """Run from one address to another; return the cycles it took."""
        before = self.timing.cycles
        self.uc.ctl_set_exits([end])
        self.uc.ctl_remove_cache(end, end + 2)
        pc = start
        while pc != end:
            self.uc.emu_start(pc | 1, 0)
            pc = self.read("pc")
            self.timing.resync(pc)
        return self.timing.cycles - before


def loop_source(bodies: Mapping[str, str]) -> str:
    """Return a program with a loop of r7 rounds for each body, on 16-byte boundaries."""
    loops = [
        f".balign 16\n.global {name}\n{name}:\n{body}\nsubs {COUNTER}, #1\nbne {name}\n"
        f".global {name}_end\n{name}_end: b .\n.pool"
        for name, body in bodies.items()
    ]
    return "\nfunction start\n" + "\n".join(loops)


LOOP_OVERHEAD = 1 + 2
"""SUBS, and BNE back to an aligned instruction: 1 + P with P = 1."""


def cycles_per_round(
    source: str, name: str, *, acr: int = ART_OFF, registers: Mapping[str, int] | None = None
) -> int:
    """Count one round of a loop: what 300 rounds take more than 100, shared among 200."""
    built = program(source)
    totals = []
    for rounds in (100, 300):
        machine = Machine(built.code, acr=acr)
        for register, value in ({"r4": SRAM1 + 0x100, "r5": 8} | dict(registers or {})).items():
            machine.write(register, value)
        machine.write(COUNTER, rounds)
        totals.append(machine.run(built.labels[name], built.labels[f"{name}_end"]))
    cycles, rest = divmod(totals[1] - totals[0], 200)
    if rest:
        raise AssertionError(f"{name}: rounds differ: {totals}")
    return cycles


def store_word(machine: Machine, address: int, value: int) -> None:
    machine.uc.mem_write(address, struct.pack("<I", value))
