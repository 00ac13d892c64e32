"""Emitted models compiled for the Cortex-M4 and run in Unicorn, without a board around them."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from native import ROOMY

from hil.compiler import emit
from hil.compiler.plan import make_plan
from hil.compiler.program import Int8, Program
from hil.paths import FIRMWARE
from hil.paths import cache as cache_directory

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
void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    for (size_t i = 0; i < count; i++) ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}
void *memset(void *to, int value, size_t count) {
    for (size_t i = 0; i < count; i++) ((volatile char *)to)[i] = (char)value;
    return to;
}
void __aeabi_memcpy(void *to, const void *from, size_t count) { memcpy(to, from, count); }
void __aeabi_memcpy4(void *to, const void *from, size_t count) { memcpy(to, from, count); }
void __aeabi_memclr(void *to, size_t count) { memset(to, 0, count); }
void __aeabi_memclr4(void *to, size_t count) { memset(to, 0, count); }
void __aeabi_memset(void *to, size_t count, int value) { memset(to, value, count); }
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
    sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabihf",
    "-mcpu=cortex_m4+vfp4d16sp", "-fno-sanitize=all", "-fno-stack-protector",
    "-Wno-unused-command-line-argument",
]  # fmt: skip
_GCC = [
    "arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard",
]  # fmt: skip
_STOP = 0x0810_0000  # an address that no code stands at
_STACK = 0x3000_8000


def has_gcc() -> bool:
    """Whether GNU Arm Embedded is on PATH."""
    return shutil.which(_GCC[0]) is not None


def run_program(program: Program, *inputs: Int8, toolchain: str = "zig") -> list[Int8]:
    """Compile a program for the Cortex-M4 and run it on each input in turn."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        emit.write(program, make_plan(program, ROOMY), directory)
        return _run(_build(directory, toolchain), inputs)


def _run(elf: Path, inputs: tuple[Int8, ...]) -> list[Int8]:
    import unicorn
    from elftools.elf.elffile import ELFFile
    from unicorn import arm_const, unicorn_const

    library: Any = unicorn
    uc = library.Uc(unicorn_const.UC_ARCH_ARM, unicorn_const.UC_MODE_MCLASS)
    uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
    code = unicorn_const.UC_PROT_READ | unicorn_const.UC_PROT_EXEC
    data = unicorn_const.UC_PROT_READ | unicorn_const.UC_PROT_WRITE
    uc.mem_map(0x0800_0000, 2 << 20, code)
    for address, size in ((0x1000_0000, 1 << 20), (0x2000_0000, 4 << 20), (0x3000_0000, 1 << 16)):
        uc.mem_map(address, size, data)
    with elf.open("rb") as file:
        image: Any = ELFFile(file)
        for segment in image.iter_segments("PT_LOAD"):
            if segment["p_filesz"]:
                uc.mem_write(segment["p_paddr"], segment.data())
        symbols = {
            s.name: s["st_value"] for s in image.get_section_by_name(".symtab").iter_symbols()
        }

    def number(name: str) -> int:
        return int.from_bytes(uc.mem_read(symbols[name], 4), "little")

    arena = symbols["model_arena"]
    outputs = []
    for x in inputs:
        uc.mem_write(arena + number("model_input_offset"), x.astype(np.int8).tobytes())
        uc.reg_write(arm_const.UC_ARM_REG_SP, _STACK)
        uc.reg_write(arm_const.UC_ARM_REG_LR, _STOP | 1)
        uc.emu_start(symbols["run_all"] | 1, _STOP)
        if uc.reg_read(arm_const.UC_ARM_REG_SP) != _STACK:
            raise AssertionError("the model left the stack pointer elsewhere")
        at, count = number("model_output_offset"), number("model_output_bytes")
        outputs.append(np.frombuffer(bytes(uc.mem_read(arena + at, count)), np.int8))
    return outputs


def _build(model: Path, toolchain: str) -> Path:
    compiler = _ZIG if toolchain == "zig" else _GCC
    (model / "main.c").write_text(_MAIN)
    (model / "link.ld").write_text(_LINK)
    sources = [str(path) for path in sorted(model.iterdir()) if path.suffix in {".c", ".S"}]
    elf = _directory() / f"model-{_digest(model, toolchain)}.elf"
    if not elf.is_file():
        link = ["-nostdlib", "-T", str(model / "link.ld"), "-Wl,--gc-sections,-e,run_all"]
        _compile(compiler, [*link, "-I", str(model), *sources, *map(str, _kernels(toolchain))], elf)
    return elf


@cache
def _kernels(toolchain: str) -> tuple[Path, ...]:
    """The kernels' objects, built again when any kernel changes."""
    compiler = _ZIG if toolchain == "zig" else _GCC
    digest = _digest(FIRMWARE / "kernels", toolchain)
    objects = []
    for source in sorted((FIRMWARE / "kernels").glob("*.c")):
        built = _directory() / f"{source.stem}-{digest}.o"
        if not built.is_file():
            _compile(compiler, ["-c", str(source)], built)
        objects.append(built)
    return tuple(objects)


def _digest(directory: Path, toolchain: str) -> str:
    digest = hashlib.sha256(" ".join([toolchain, *_SHARED]).encode())
    for path in sorted([*directory.iterdir(), *(FIRMWARE / "kernels").iterdir()]):
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
