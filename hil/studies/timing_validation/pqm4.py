"""pqm4, tag Round3, against its published cycles on an STM32F407.

Published: 24 MHz, no wait states, caches on, gcc 10.1.0 -O3; the mean of 100 runs. Random bytes
come from a generator of a few cycles here and from the chip's slower one there, so key pairs and
encapsulations are expected a little short.
Source: github.com/mupq/pqm4, tag Round3, benchmarks.csv.
"""

import tempfile
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from hil.config.board import Board
from hil.errors import UsageError
from hil.studies.timing_validation.compare import Comparison
from hil.studies.timing_validation.core import CoreRun
from hil.studies.timing_validation.gcc import BARE, CPU, FLOAT, HERE, gcc

if TYPE_CHECKING:
    from hil.targets.emulator.timing import Rules

SUITE = "pqm4-Round3"
PUBLISHED: Mapping[str, tuple[int, int, int]] = {
    "lightsaber/m4fspeed": (352_196, 481_006, 452_654),
    "lightsaber/m4fstack": (422_434, 591_556, 581_073),
    "saber/m4fspeed": (645_222, 820_799, 774_055),
    "firesaber/m4fspeed": (994_446, 1_204_260, 1_151_016),
    "kyber512/m4fspeed": (440_960, 539_817, 490_506),
    "kyber768/m4fspeed": (724_775, 878_689, 804_940),
    "frodokem640shake/m4": (77_984_424, 78_893_964, 78_341_812),
}
"""Cycles of key pair, encapsulation, decapsulation."""

_CACHES_ON = 0x600
_STEPS = ("key pair", "encapsulation", "decapsulation")
_MARKS = ("mark_begin", "mark_key_pair", "mark_encapsulated", "mark_decapsulated")


def compare(
    checkout: Path, scheme: str, board: Board, rules: "Rules | None" = None
) -> Iterator[Comparison]:
    """Build a scheme from the user's checkout, run it and compare its three steps.

    Raises:
        UsageError: this is no checkout of the tag, with its submodule mupq.
        BuildError: it does not compile.
    """
    source, common = checkout / "crypto_kem" / scheme, checkout / "mupq" / "common"
    if not (source.is_dir() and (common / "fips202.c").is_file()):
        raise UsageError(
            f"{checkout} has no crypto_kem/{scheme} or no mupq/common/fips202.c",
            hint="git clone --recursive -b Round3 https://github.com/mupq/pqm4",
        )
    with tempfile.TemporaryDirectory() as scratch:
        elf = Path(scratch) / "scheme.elf"
        include = (f"-I{source}", f"-I{common}", f"-I{checkout / 'common'}")
        sources = sorted(f for f in source.iterdir() if f.suffix in {".c", ".s", ".S"})
        shared = (common / "fips202.c", checkout / "common" / "keccakf1600.S")
        options = ("-O3", *CPU, *FLOAT, "-fno-common", "-ffunction-sections", "-fdata-sections")
        gcc(*options, *include, *BARE, HERE / "pqm4_main.c", *sources, *shared, "-o", elf)
        marks = CoreRun(elf, board, acr=_CACHES_ON, rules=rules).reach(_MARKS)
    for step, (before, after), cycles in zip(
        _STEPS, pairwise(marks), PUBLISHED[scheme], strict=True
    ):
        yield Comparison(SUITE, f"{scheme} {step}", after.cycles - before.cycles, cycles)
