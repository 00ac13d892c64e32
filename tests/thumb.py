"""Tiny firmware for tests of the emulated board, assembled by zig."""

import hashlib
import subprocess
import tempfile
from pathlib import Path

from sanitizers import ZIG

from hil.paths import cache

_LINKER_SCRIPT = """
SECTIONS {
    . = 0x08000000;
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) }
    /DISCARD/ : { *(.ARM*) *(.debug*) *(.comment) }
}
"""
_HANDLERS = {
    2: "nmi",
    3: "hard",
    4: "mem",
    5: "bus",
    6: "usage",
    11: "svc",
    14: "pendsv",
    15: "tick",
}
_VECTORS = 16 + 91
_PRELUDE = """
.syntax unified
.thumb
.cpu cortex-m4
.fpu fpv4-sp-d16
.global start
.macro function name
    .thumb_func
    \\name:
.endm
.section .vectors, "a"
.word 0x20010000
.word start
"""


def _vectors() -> str:
    names = [
        _HANDLERS.get(number, "none" if number < 16 else "irq") for number in range(2, _VECTORS)
    ]
    lines = [f".weak {name}" for name in sorted(set(names))]
    return "\n".join([*lines, *(f".word {name}" for name in names), ".text", ""])


def assemble(source: str, name: str = "firmware") -> Path:
    """Assemble a program that has `start` and, where it wants them, `hard`, `svc`, `irq`..."""
    text = _PRELUDE + _vectors() + source + "\n.pool\n"
    digest = hashlib.sha256((text + _LINKER_SCRIPT).encode()).hexdigest()[:16]
    directory = cache() / "test-firmware"
    elf = directory / f"{name}-{digest}.elf"
    if not elf.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            built = _link(Path(scratch), text)
            built.replace(elf)
    return elf


def _link(directory: Path, text: str) -> Path:
    (directory / "code.s").write_text(text)
    (directory / "code.ld").write_text(_LINKER_SCRIPT)
    command = [
        *(*ZIG, "-target", "thumb-freestanding-eabihf"),
        *("-mcpu=cortex_m4", "-nostdlib", "-T", "code.ld", "code.s", "-o", "code.elf"),
        *("-Wl,--build-id=none", "-Wl,--entry=start"),
    ]
    result = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return directory / "code.elf"


def flash_bytes(elf: Path) -> bytes:
    """Return what an assembled program puts at the start of flash."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        return b"".join(
            segment.data()
            for segment in ELFFile(file).iter_segments()
            if segment["p_type"] == "PT_LOAD" and segment["p_paddr"] >= 0x0800_0000
        )
