"""The compiler that silicon's figures were published for."""

import shutil
import subprocess
from pathlib import Path

from hil.errors import BuildError

CPU = ("-mcpu=cortex-m4", "-mthumb")
FLOAT = ("-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
HERE = Path(__file__).parent
BARE = (HERE / "bare.c", "-nostartfiles", f"-T{HERE / 'bare.ld'}", "-Wl,--gc-sections")
"""Start-up and layout of a program without one of its own."""
SRAM2_STACK = "-Wl,--defsym=_stack=0x20020000"
"""Puts the stack's top at the end of SRAM2, as linker scripts of 128 KiB do."""


def gcc(*arguments: str | Path) -> None:
    """Run arm-none-eabi-gcc. Raises BuildError."""
    program = shutil.which("arm-none-eabi-gcc")
    if program is None:
        raise BuildError(
            "arm-none-eabi-gcc is not on PATH",
            hint="apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
        )
    result = subprocess.run(
        [program, "-w", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise BuildError(f"the benchmark does not build: {result.stderr.strip()[-400:]}")
