"""Emitted models compiled for the Cortex-M4 and run in Unicorn, without a board around them."""

import hashlib
import shutil
import struct
import subprocess
import tempfile
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from native import ROOMY, as_one
from sanitizers import ZIG

from hil import files
from hil.compiler import emit
from hil.compiler.plan import Budget, Plan, make_plan
from hil.compiler.program import Int8, Program, Quantised
from hil.config import board
from hil.paths import FIRMWARE
from hil.paths import cache as cache_directory

if TYPE_CHECKING:
    from hil.targets.emulator.core.clock import RunControl

_LINK = """
SECTIONS {
  .text 0x08000000 : { *(.text*) *(.rodata*) }
  .arena 0x20000000 (NOLOAD) : { *(.bss.arena*) }
  .scratch 0x10000000 (NOLOAD) : { *(.bss.scratch*) *(.bss*) *(.data*) }
  /DISCARD/ : { *(.ARM*) *(.debug*) *(.comment) }
}
"""
_MAIN = """
#include "kernels/dsp.h"
#include "runtime/model.h"
void run_all(void);
void run_all(void) {
    model_init();
    for (uint32_t i = 0; i < model_layer_count; i++) model_layers[i].run();
}
"""
_SHARED = [
    "-std=c11", "-O2", "-g0", "-ffreestanding", "-ffunction-sections", "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables", "-Wall", "-Wextra", "-Wconversion", "-Werror",
]  # fmt: skip
_ZIG = [
    *ZIG, "-target", "thumb-freestanding-eabihf",
    "-mcpu=cortex_m4+vfp4d16sp", "-fno-sanitize=all", "-fno-stack-protector",
    "-Wno-unused-command-line-argument",
]  # fmt: skip
_GCC = [
    "arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard",
]  # fmt: skip
_MEMORY = FIRMWARE / "runtime" / "memory.c"
_CONTRACT = FIRMWARE / "contract.h"
_STOP = 0x0810_0000  # an address that no code stands at
_STACK = 0x1001_0000  # the top of CCM
_ROOMY_STACK = 0x1010_0000  # beyond what a test of shapes may plan
_WAIT_STATES, _ACCELERATOR = 5, 0x700
BOARD_BUDGET = Budget.of(board.load("stm32f439"))


def has_gcc() -> bool:
    """Whether GNU Arm Embedded is on PATH."""
    return shutil.which(_GCC[0]) is not None


def run_program(
    program: Program, *inputs: Int8, toolchain: str = "zig", plan: Plan | None = None
) -> list[Quantised]:
    """Compile a program for the Cortex-M4 and run it on each input in turn."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        emit.write(program, plan or make_plan(program, ROOMY), directory)
        machine = _Machine(_build(directory, toolchain), _ROOMY_STACK)
    outputs = []
    for x in inputs:
        machine.enter(x)
        machine.call("run_all")
        outputs.append(program.decode_output(machine.outputs()))
    return outputs


@dataclass(frozen=True)
class LayerCycles:
    """What a layer took."""

    name: str
    macs: int
    cycles: int


@dataclass(frozen=True)
class Measured:
    """Cycles of the second of two runs by layer, of both runs by function, and the outputs."""

    layers: list[LayerCycles]
    functions: dict[str, int]
    outputs: Quantised

    @property
    def cycles(self) -> int:
        """Of one run."""
        return sum(layer.cycles for layer in self.layers)


def measure(
    program: Program, x: Int8, *, plan: Plan | None = None, toolchain: str = "zig"
) -> Measured:
    """Count a program's cycles: 168 MHz, 5 wait states, all of the ART on."""
    from hil.targets.emulator.timing import TimingCore

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        emit.write(program, plan or make_plan(program, BOARD_BUDGET), directory)
        machine = _Machine(_build(directory, toolchain), _STACK)
    core = TimingCore(machine.uc, board.load("stm32f439"))
    core.set_acr(_WAIT_STATES | _ACCELERATOR)
    layers: list[LayerCycles] = []
    machine.enter(x)
    for _ in range(2):
        layers.clear()
        machine.enter(x)
        for name, macs, run in machine.layers():
            before = core.cycles
            machine.call(run, core.run)
            core.resync(_STOP)
            layers.append(LayerCycles(name, macs, core.cycles - before))
    functions: dict[str, int] = {}
    for block in core.profile():
        name = machine.function_at(block.instructions[0].address)
        cycles = block.cost + block.flash_instruction + block.flash_data
        functions[name] = functions.get(name, 0) + cycles
    return Measured(layers, functions, program.decode_output(machine.outputs()))


class _Machine:
    """A Cortex-M4 with an emitted model in its flash."""

    def __init__(self, elf: Path, stack: int) -> None:
        from hil.targets.emulator.core import translation

        library = translation.unicorn()
        from elftools.elf.elffile import ELFFile
        from unicorn import arm_const, unicorn_const

        self.uc = library.Uc(unicorn_const.UC_ARCH_ARM, unicorn_const.UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        self._stack = stack
        self._sp, self._lr = arm_const.UC_ARM_REG_SP, arm_const.UC_ARM_REG_LR
        self._pc = arm_const.UC_ARM_REG_PC
        code = unicorn_const.UC_PROT_READ | unicorn_const.UC_PROT_EXEC
        data = unicorn_const.UC_PROT_READ | unicorn_const.UC_PROT_WRITE
        self.uc.mem_map(0x0800_0000, 2 << 20, code)
        self.uc.mem_map(0x1000_0000, 1 << 20, data)
        self.uc.mem_map(0x2000_0000, 4 << 20, data)
        with elf.open("rb") as file:
            image: Any = ELFFile(file)
            for segment in image.iter_segments("PT_LOAD"):
                if segment["p_filesz"]:
                    self.uc.mem_write(segment["p_paddr"], segment.data())
            table = image.get_section_by_name(".symtab")
            symbols = list(table.iter_symbols())
        self._symbols = {s.name: s["st_value"] for s in symbols}
        functions = [s for s in symbols if s["st_info"]["type"] == "STT_FUNC"]
        self._functions = sorted((s["st_value"] & ~1, s.name) for s in functions)

    def function_at(self, address: int) -> str:
        """The name of the function that an address lies in."""
        name: str = self._functions[bisect_right(self._functions, (address, "~")) - 1][1]
        return name

    def call(self, function: int | str, run: "RunControl | None" = None) -> None:
        """Call a function without arguments; a timing core's run may be left in between."""
        address = self._symbols[function] if isinstance(function, str) else function
        self.uc.reg_write(self._sp, self._stack)
        self.uc.reg_write(self._lr, _STOP | 1)
        self.uc.emu_start(address | 1, _STOP)
        while run is not None and run.left:
            run.left = 0
            self.uc.emu_start(self.uc.reg_read(self._pc) | 1, _STOP)
        if self.uc.reg_read(self._sp) != self._stack:
            raise AssertionError("the code left the stack pointer elsewhere")

    def enter(self, x: Int8) -> None:
        """Put an input in the arena."""
        at = self._symbols["model_arena"] + self._number("model_input_offset")
        self.uc.mem_write(at, x.astype(np.int8).tobytes())

    def outputs(self) -> bytes:
        """The outputs in the arena."""
        at = self._symbols["model_arena"] + self._number("model_output_offset")
        count = self._number("model_output_bytes")
        return bytes(self.uc.mem_read(at, count))

    def layers(self) -> list[tuple[str, int, int]]:
        """Name, multiply-accumulates and function of each layer."""
        found = []
        for index in range(self._number("model_layer_count")):
            at = self._symbols["model_layers"] + 12 * index
            name, macs, run = struct.unpack("<III", self.uc.mem_read(at, 12))
            text = bytes(self.uc.mem_read(name, 80)).split(b"\0")[0].decode()
            found.append((text, macs, run & ~1))
        return found

    def _number(self, name: str) -> int:
        return int.from_bytes(self.uc.mem_read(self._symbols[name], 4), "little")


def _build(model: Path, toolchain: str) -> Path:
    compiler = _ZIG if toolchain == "zig" else _GCC
    (model / "link.ld").write_text(_LINK)
    elf = _directory() / f"model-{_digest(model, toolchain)}.elf"
    if not elf.is_file():
        link = ["-nostdlib", "-T", str(model / "link.ld"), "-Wl,--gc-sections,-e,run_all"]
        sources = map(str, [as_one(model), *model.glob("*.S")])
        _compile(compiler, [*link, "-I", str(model), *sources, *map(str, _kernels(toolchain))], elf)
    return elf


@cache
def _kernels(toolchain: str) -> tuple[Path, ...]:
    """The kernels' objects and what runs a model, built again when any of them changes."""
    compiler = _ZIG if toolchain == "zig" else _GCC
    digest = _digest(FIRMWARE / "kernels", toolchain)
    main = _directory() / f"main-{digest}.c"
    files.replace(main, _MAIN)
    objects = []
    for source in [main, _MEMORY, *sorted((FIRMWARE / "kernels").glob("*.c"))]:
        built = _directory() / f"{source.stem}-{digest}.o"
        if not built.is_file():
            _compile(
                compiler,
                ["-c", *(["-fno-builtin"] if source == _MEMORY else []), str(source)],
                built,
            )
        objects.append(built)
    return tuple(objects)


def _digest(directory: Path, toolchain: str) -> str:
    digest = hashlib.sha256(" ".join([toolchain, *_SHARED, _MAIN, _LINK]).encode())
    for path in sorted(
        [*directory.iterdir(), *(FIRMWARE / "kernels").iterdir(), _MEMORY, _CONTRACT]
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def _compile(compiler: list[str], arguments: list[str], product: Path) -> None:
    """Run the compiler; of parallel workers that build the same product the last one wins."""
    with tempfile.TemporaryDirectory(dir=product.parent) as scratch:
        unfinished = Path(scratch) / product.name
        command = [*compiler, *_SHARED, "-I", str(FIRMWARE), *arguments, "-o", str(unfinished)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        unfinished.replace(product)


def _directory() -> Path:
    directory = cache_directory() / "cortex-m4"
    directory.mkdir(parents=True, exist_ok=True)
    return directory
