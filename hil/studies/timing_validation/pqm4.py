"""pqm4, tag Round3, against its published cycles on an STM32F407.

Published: 24 MHz, no wait states, caches on, gcc 10.1.0 -O3; the mean of 100 runs. Random bytes
come from registers that are read as the authors' driver reads them; the chip's generator is taken
never to be late. frodokem640aes has its stack end in SRAM2, as there.
Source: github.com/mupq/pqm4, tag Round3, benchmarks.csv.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hil.errors import UsageError
from hil.studies.timing_validation import program
from hil.studies.timing_validation.gcc import BARE, CPU, FLOAT, HERE, SRAM2_STACK, gcc
from hil.studies.timing_validation.program import Program

SUITE = "pqm4"
_MARKS = ("mark_begin", "mark_key_pair", "mark_encapsulated", "mark_decapsulated")
_SHARED = ("fips202.c", "sha2.c")  # in mupq/common
_OWN = (  # in common; what a scheme does not use is not linked
    "keccakf1600.S", "crypto_hashblocks_sha512.c", "crypto_hashblocks_sha512_inner32.s",
    "aes.c", "aes-encrypt.S", "aes-keyschedule.S", "aes-publicinputs.c", "aes-publicinputs.S",
)  # fmt: skip
_FULL_RAM = frozenset({"frodokem640aes"})  # mk/stm32f4discovery.mk: other schemes leave SRAM2 alone


def programs(checkout: Path) -> Iterator[Program]:
    """Yield the schemes of the user's checkout.

    Raises:
        UsageError: this is no checkout of the tag, with its submodule mupq.
    """
    for scheme in program.programs(SUITE):
        source, common = checkout / "crypto_kem" / scheme, checkout / "mupq" / "common"
        if not (source.is_dir() and (common / "fips202.c").is_file()):
            raise UsageError(
                f"{checkout} has no crypto_kem/{scheme} or no mupq/common/fips202.c",
                hint="git clone --recursive -b Round3 https://github.com/mupq/pqm4",
            )
        yield Program(
            program.of_program(SUITE, scheme), _MARKS, partial(_build, checkout, source), {}
        )


def _build(checkout: Path, source: Path, elf: Path) -> None:
    common, shared = checkout / "common", checkout / "mupq" / "common"
    include = (f"-I{source}", f"-I{shared}", f"-I{common}")
    sources = sorted(f for f in source.iterdir() if f.suffix in {".c", ".s", ".S"})
    files = (*(shared / name for name in _SHARED), *(common / name for name in _OWN))
    options = ("-O3", *CPU, *FLOAT, "-fno-common", "-ffunction-sections", "-fdata-sections")
    stack = (SRAM2_STACK,) if source.parent.name in _FULL_RAM else ()
    gcc(*options, *include, *BARE, *stack, HERE / "pqm4_main.c", *sources, *files, "-o", elf)
