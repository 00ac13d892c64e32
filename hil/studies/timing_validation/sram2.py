"""ChaCha's permutation and schoolbook products, operands and stack in SRAM2, on an STM32F407.

Published: 24 MHz, no wait states, caches and prefetch on. libopencm3's linker script of 128 KiB
puts the stack, and so the operands, in SRAM2. The products' figures have about 50 cycles of harness
in them, which stands here too.
Source: README.md of github.com/joostrijneveld/chacha-arm-cortex-m and of mupq/polymul-z2mx-m4.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hil.errors import BuildError, UsageError
from hil.studies.timing_validation import program
from hil.studies.timing_validation.gcc import BARE, CPU, FLOAT, HERE, SRAM2_STACK, gcc
from hil.studies.timing_validation.program import Program

CHACHA, POLYMUL = "chacha", "polymul"
_MARKS = ("begun", "done")
_GENERATOR_S = 60  # to write one product's assembler


def chacha(checkout: Path) -> Iterator[Program]:
    """Yield the permutations of the user's checkout.

    Raises:
        UsageError: this is no checkout of it.
    """
    generator = checkout / "common" / "chacha_gen.py"
    if not generator.is_file():
        raise UsageError(
            f"{checkout} has no common/chacha_gen.py",
            hint="git clone https://github.com/joostrijneveld/chacha-arm-cortex-m",
        )
    for name in program.programs(CHACHA):
        rounds = name.removeprefix("chacha")
        yield Program(
            program.of_program(CHACHA, name),
            _MARKS,
            partial(_build, [generator, rounds], None, f"-DPERMUTATION=chacha{rounds}_perm_asm"),
            {},
        )


def polymul(checkout: Path) -> Iterator[Program]:
    """Yield the schoolbook products of the user's checkout.

    Raises:
        UsageError: this is no checkout of it.
    """
    generator, align = checkout / "generate-multiplications.py", checkout / "fix-alignment.py"
    if not (generator.is_file() and align.is_file()):
        raise UsageError(
            f"{checkout} has no generate-multiplications.py",
            hint="git clone https://github.com/mupq/polymul-z2mx-m4",
        )
    for name in program.programs(POLYMUL):
        dimension = name.removeprefix("schoolbook")
        yield Program(
            program.of_program(POLYMUL, name),
            _MARKS,
            partial(_build, [generator, "notoom", dimension], align, f"-DDIMENSION={dimension}"),
            {},
        )


def _build(generator: list[str | Path], align: Path | None, definition: str, elf: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "generated.s"
        source.write_text(_python(*generator), encoding="utf-8")
        if align is not None:
            _python(align, source)
        options = ("-O3", *CPU, *FLOAT, "-fno-common", "-ffunction-sections")
        gcc(*options, definition, *BARE, SRAM2_STACK, HERE / "sram2_main.c", source, "-o", elf)


def _python(*command: str | Path) -> str:
    """Run one of the checkout's scripts; return what it prints."""
    try:
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            capture_output=True,
            text=True,
            check=False,
            timeout=_GENERATOR_S,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{command[0]} takes more than {_GENERATOR_S} s") from error
    if done.returncode:
        raise BuildError(f"{command[0]} fails: {done.stderr.strip()[-400:]}")
    return done.stdout
