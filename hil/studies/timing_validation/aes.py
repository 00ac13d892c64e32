"""AES of Schwabe and Stoffelen (SAC 2016) against its published cycles on an STM32F407.

Published: 24 MHz, no wait states, caches and prefetch on, data and stack in SRAM1, the mean of
10,000 runs on random inputs; one run stands for them here. The T-tables lie in flash.
Source: github.com/Ko-/aes-armcortexm, README.md at bed6379.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from hil.errors import UsageError
from hil.studies.timing_validation import program
from hil.studies.timing_validation.gcc import BARE, CPU, FLOAT, HERE, gcc
from hil.studies.timing_validation.program import Program

SUITE = "aes"
_BLOCKS = 256  # of 4096 bytes
_MARKS = ("expand", "expanded", "encrypt", "encrypted")
PROGRAMS: Mapping[str, tuple[str, int, int, str]] = MappingProxyType(
    {
        "aes128": ("aes.s", 128, 160, "AES_128_encrypt"),
        "aes128ctr": ("aes_128_ctr.s", 128, 160, "AES_128_encrypt_ctr"),
        "aes192ctr": ("aes_192_ctr.s", 192, 184, "AES_192_encrypt_ctr"),
        "aes256ctr": ("aes_256_ctr.s", 256, 208, "AES_256_encrypt_ctr"),
        "aes128ctrbs": ("aes_128_ctr_bs.s", 128, 352, "AES_128_encrypt_ctr"),
    }
)
"""Source, bits of the key, bytes of the expanded one behind it, function."""


def programs(checkout: Path) -> Iterator[Program]:
    """Yield the programs of the user's checkout.

    Raises:
        UsageError: this is no checkout of it.
    """
    for name in program.programs(SUITE):
        source, bits, round_key_bytes, encrypt = PROGRAMS[name]
        file = checkout / name / source
        if not file.is_file():
            raise UsageError(
                f"{checkout} has no {name}/{source}",
                hint="git clone https://github.com/Ko-/aes-armcortexm",
            )
        # The bitsliced expansion writes all round keys, the others only those after the key.
        definitions = (
            f"-DKEYSCHEDULE=AES_{bits}_keyschedule",
            f"-DENCRYPT={encrypt}",
            f"-DKEY_BYTES={bits // 8}",
            f"-DROUND_KEY_BYTES={round_key_bytes}",
            f"-DSCHEDULE_FROM={0 if name.endswith('bs') else bits // 8}",
            *(("-DBLOCK",) if name == "aes128" else ()),
        )
        figures = program.of_program(SUITE, name)
        yield Program(
            figures,
            _MARKS if len(figures) > 1 else _MARKS[2:],  # one expansion is aes128's as well
            _Build(file, definitions),
            {"CTR, per block": _BLOCKS},
        )


class _Build:
    """How one is built."""

    def __init__(self, source: Path, definitions: tuple[str, ...]) -> None:
        self._source, self._definitions = source, definitions

    def __call__(self, elf: Path) -> None:
        options = ("-O3", *CPU, *FLOAT, "-fno-common", "-ffunction-sections")
        gcc(*options, *self._definitions, *BARE, HERE / "aes_main.c", self._source, "-o", elf)
