"""What the C of each kernel takes of the flash, as the compilers make it."""

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hil.errors import BuildError
from hil.paths import FIRMWARE

if TYPE_CHECKING:
    from hil.build.toolchain import Toolchain

_WORKERS = 2


def code_bytes(toolchains: Sequence["Toolchain"]) -> dict[str, int]:
    """Compile every file of firmware/kernels by itself, and measure its code and constants.

    Returns:
        Bytes by file name without ending: the most of any of the compilers.

    Raises:
        BuildError: a file does not compile.
    """
    files = sorted((FIRMWARE / "kernels").glob("*.c"))
    with TemporaryDirectory(prefix="hil-") as scratch, ThreadPoolExecutor(_WORKERS) as pool:
        each = [
            pool.map(lambda file, t=toolchain: _measure(file, t, Path(scratch)), files)
            for toolchain in toolchains
        ]
        sizes = [dict(zip((file.stem for file in files), of_one, strict=True)) for of_one in each]
    return {file.stem: max(size[file.stem] for size in sizes) for file in files}


def _measure(file: Path, toolchain: "Toolchain", scratch: Path) -> int:
    from elftools.elf.constants import SH_FLAGS
    from elftools.elf.elffile import ELFFile

    built = scratch / f"{toolchain.name}-{file.stem}.o"
    compiler = [str(toolchain.program), *(["cc"] if toolchain.name == "zig" else [])]
    command = [*compiler, *toolchain.flags, "-std=c11", "-ffunction-sections", "-fdata-sections"]
    command += [f"-I{FIRMWARE}", "-c", str(file), "-o", str(built)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{file.name} does not compile:\n{done.stderr}", stage="compile")
    with built.open("rb") as stream:
        return sum(
            -(-section["sh_size"] // 4) * 4
            for section in ELFFile(stream).iter_sections()
            if section["sh_flags"] & SH_FLAGS.SHF_ALLOC
            and section["sh_type"] == "SHT_PROGBITS"
            and not section.name.startswith(".ARM")
        )
