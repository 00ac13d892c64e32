"""What the C of kernels, of steps and of streaming takes of the flash, as the compilers make it."""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hil import files
from hil.build.toolchain import environment
from hil.errors import BuildError
from hil.paths import FIRMWARE

if TYPE_CHECKING:
    from hil.build.toolchain import Toolchain
    from hil.compiler.plan import Plan
    from hil.compiler.program import Program

_WORKERS = 2
_ENTRY_BYTES = 12  # of a layer in model_layers: where its name is, multiply-accumulates, function


@dataclass(frozen=True)
class Streaming:
    """What streaming adds to a program's emitted C.

    Attributes:
        each: for a step that runs row by row, on average.
        once: for the layer that runs them.
    """

    each: int
    once: int


def code_bytes(toolchains: Sequence["Toolchain"]) -> dict[str, int]:
    """Compile every file of firmware/kernels by itself, and measure its code and constants.

    Returns:
        Bytes by file name without ending: the most of any of the compilers.

    Raises:
        BuildError: a file does not compile.
    """
    files = sorted((FIRMWARE / "kernels").glob("*.c"))
    with ThreadPoolExecutor(_WORKERS) as pool:
        each = [
            pool.map(lambda file, t=toolchain: _bytes(file, t), files) for toolchain in toolchains
        ]
        sizes = [dict(zip((file.stem for file in files), of_one, strict=True)) for of_one in each]
    return {file.stem: max(size[file.stem] for size in sizes) for file in files}


def stream_bytes(toolchains: Sequence["Toolchain"]) -> int:
    """Measure runtime/stream.c: the most of any of the compilers."""
    return max(_bytes(FIRMWARE / "runtime" / "stream.c", toolchain) for toolchain in toolchains)


def step_bytes(
    planned: Iterable[tuple["Program", "Plan"]], toolchains: Sequence["Toolchain"]
) -> dict[str, int]:
    """Emit programs, and measure what their steps take in model.c.

    Args:
        planned: programs, with plans that stream nothing.
        toolchains: the most of any counts.

    Returns:
        The most of a step's descriptors, function and entry among the layers, by its kernel.

    Raises:
        BuildError: a source does not compile.
    """
    kernels: dict[str, int] = {}
    for program, plan in planned:
        for toolchain in toolchains:
            sections = of_model(program, plan, toolchain)
            for kernel, size in _by_step(plan, sections).items():
                kernels[kernel] = max(kernels.get(kernel, 0), size)
    return kernels


def streaming(program: "Program", depth: int, toolchains: Sequence["Toolchain"]) -> Streaming:
    """Emit a program with no step streamed, with one and with `depth`, and measure model.c.

    Args:
        program: a network that can be streamed.
        depth: steps that the deepest plan streams.
        toolchains: to compile with, each by itself.

    Raises:
        BuildError: a source does not compile.
        MemoryLimitError: so many steps cannot be streamed.
    """
    each, once = 0, 0
    for toolchain in toolchains:
        plain, one, most = (
            sum(of_model(program, _planned(program, steps), toolchain).values())
            for steps in (0, 1, depth)
        )
        slope = -(-(most - one) // (depth - 1))
        each, once = max(each, slope), max(once, one - plain - slope)
    return Streaming(each, once)


def _planned(program: "Program", streamed: int) -> "Plan":
    """Plan with so many steps streamed, however much memory that takes."""
    from hil.compiler.kernels.kernel import Choices
    from hil.compiler.plan import Budget, place

    roomy = Budget(sram_bytes=1 << 30, ccm_bytes=1 << 30)
    return place(program, roomy, Choices(streamed=streamed), patience=0)


def _by_step(plan: "Plan", sections: Mapping[str, int]) -> dict[str, int]:
    """Share model.c's sections out to the steps whose names they bear: the most by kernel."""
    from hil.compiler.code.c import identifier

    names = {identifier(step.name): step for step in plan.steps}
    found = dict.fromkeys(names, _ENTRY_BYTES)
    for section, size in sections.items():
        holding = [name for name in names if name in section]
        if holding:
            found[max(holding, key=len)] += size
    most: dict[str, int] = {}
    for name, step in names.items():
        most[step.kernel.name] = max(most.get(step.kernel.name, 0), found[name])
    return most


def of_model(program: "Program", plan: "Plan", toolchain: "Toolchain") -> dict[str, int]:
    """Emit a program and compile its model.c; bytes by section.

    Args:
        program: the quantised network.
        plan: its steps, and where their memory is.
        toolchain: the compiler.

    Returns:
        bytes by section: text, rodata and so on.

    Raises:
        BuildError: it does not compile.
    """
    from hil.compiler import emit

    with files.scratch() as scratch:
        emit.write(program, plan, scratch)
        return _sections(scratch / "model.c", toolchain)


def _bytes(file: Path, toolchain: "Toolchain") -> int:
    return sum(_sections(file, toolchain).values())


def _words(size: int) -> int:
    return -(-size // 4) * 4


def _sections(file: Path, toolchain: "Toolchain") -> dict[str, int]:
    """Compile a file, a section for each function and constant; bytes of those in flash."""
    from elftools.elf.constants import SH_FLAGS
    from elftools.elf.elffile import ELFFile

    compiler = [str(toolchain.program), *(["cc"] if toolchain.name == "zig" else [])]
    command = [*compiler, *toolchain.flags, "-std=c11", "-ffunction-sections", "-fdata-sections"]
    with files.scratch() as scratch:
        built = scratch / f"{file.stem}.o"
        command += [f"-I{FIRMWARE}", "-c", str(file), "-o", str(built)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment()
        )
        if done.returncode:
            raise BuildError(f"{file.name} does not compile:\n{done.stderr}", stage="compile")
        sizes: dict[str, int] = {}
        with built.open("rb") as stream:
            for section in ELFFile(stream).iter_sections():
                if (
                    section["sh_flags"] & SH_FLAGS.SHF_ALLOC
                    and section["sh_type"] == "SHT_PROGBITS"
                    and not section.name.startswith(".ARM")
                ):
                    sizes[section.name] = sizes.get(section.name, 0) + _words(section["sh_size"])
    return sizes
