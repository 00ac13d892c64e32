"""`hil validate-timing`: the timing model against published cycles, on the user's checkouts."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hil.config import board as boards
from hil.errors import UsageError

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.studies.timing_validation.compare import Comparison
    from hil.studies.timing_validation.program import Program
    from hil.targets.emulator.timing import Rules

    _Compared = Callable[[Rules], Iterator[Comparison]]


@dataclass(frozen=True)
class Checkouts:
    """Where the user has what others wrote; None: not measured.

    Attributes:
        embench: a checkout of github.com/embench/embench-iot at tag embench-2.0rc1.
        pqm4: one of github.com/mupq/pqm4 at tag Round3, with its submodule mupq.
        aes: one of github.com/Ko-/aes-armcortexm.
        chacha: one of github.com/joostrijneveld/chacha-arm-cortex-m.
        polymul: one of github.com/mupq/polymul-z2mx-m4.
        coremark: one of github.com/eembc/coremark.
        mlperf: a folder with checkouts of MLPerf Tiny's result repositories.
        images: a table of their images; None: the development set.
    """

    embench: Path | None = None
    pqm4: Path | None = None
    aes: Path | None = None
    chacha: Path | None = None
    polymul: Path | None = None
    coremark: Path | None = None
    mlperf: Path | None = None
    images: Path | None = None


def run(
    checkouts: Checkouts,
    *,
    csv: Path | None = None,
    without: Sequence[str] = (),
    board: str = "stm32f439",
) -> int:
    """Build the benchmarks, run them on the emulated core, print and write the comparison.

    Args:
        checkouts: of what.
        csv: where to write the figures.
        without: rules to take away one after the other: the errors without each are printed;
            "each" stands for all that can be taken away.
        board: whose memory.

    Returns:
        the exit status, 0.

    Raises:
        UsageError: no checkout is given, or one is not what it should be.
        BuildError: arm-none-eabi-gcc is missing or refuses.
    """
    from rich.console import Console

    from hil.studies.timing_validation import compare
    from hil.studies.timing_validation import coremark as coremark_suite
    from hil.targets.emulator.timing import TIMING_VERSION, Rules

    names = Rules.removable() if "each" in without else without
    variants = {"all rules": Rules()} | {f"without {name}": _without(name) for name in names}
    chip = boards.load(board)
    console = Console()
    found: dict[str, list[compare.Comparison]] = {variant: [] for variant in variants}
    with tempfile.TemporaryDirectory() as scratch:
        suites = _suites(checkouts, chip, Path(scratch))
        if not suites and checkouts.coremark is None:
            raise UsageError(
                "nothing to validate with",
                hint="name a checkout: --embench DIR, --pqm4 DIR, --mlperf DIR, ...",
            )
        for suite, compared in suites.items():
            parts = {
                variant: [_told(one, variant) for one in compared(rules)]
                for variant, rules in variants.items()
            }
            console.print(compare.table(parts["all rules"], f"{suite}, timing {TIMING_VERSION}"))
            for looked_at, part in compare.by_look(parts["all rules"]).items():
                console.print(f"  {compare.summary(part)}; {looked_at}")
            if names:
                console.print(compare.ablation(parts, suite))
            for variant, part in parts.items():
                found[variant] += part
    for optimisation in ("-O2", "-O3") if checkouts.coremark else ():
        result = coremark_suite.measure(checkouts.coremark or Path(), chip, optimisation)
        console.print(
            f"CoreMark {optimisation}: {result.per_mhz:.3f} per MHz; "
            f"with 5 wait states {result.ratio:.4f} of that"
        )
    if csv:
        compare.write_csv(found, csv, TIMING_VERSION)
    return 0


def _suites(given: Checkouts, chip: "Board", scratch: Path) -> "dict[str, _Compared]":
    """Return how the suites of the checkouts that are given are compared by some rules."""
    from hil.studies.mlperf import validate as mlperf_images
    from hil.studies.timing_validation import aes, pqm4, sram2
    from hil.studies.timing_validation import embench as embench_suite

    def of_embench(rules: "Rules") -> "Iterator[Comparison]":
        for benchmark in embench_suite.PUBLISHED:
            yield embench_suite.compare(given.embench or Path(), benchmark, chip, scratch, rules)

    def of_mlperf(rules: "Rules") -> "Iterator[Comparison]":
        table = given.images or mlperf_images.IMAGES
        return mlperf_images.compare(given.mlperf or Path(), table, rules)

    suites: dict[str, _Compared] = {}
    if given.embench:
        suites["Embench 2.0rc1"] = of_embench
    for name, programs, folder in (
        ("pqm4 Round3", pqm4.programs, given.pqm4),
        ("AES of Schwabe and Stoffelen", aes.programs, given.aes),
        ("ChaCha in SRAM2", sram2.chacha, given.chacha),
        ("schoolbook products in SRAM2", sram2.polymul, given.polymul),
    ):
        if folder:
            suites[name] = _programs(programs, folder, chip, scratch)
    if given.mlperf:
        suites["MLPerf Tiny, certified on an STM32L4R5"] = of_mlperf
    return suites


def _programs(
    programs: "Callable[[Path], Iterator[Program]]", folder: Path, chip: "Board", scratch: Path
) -> "_Compared":
    from hil.studies.timing_validation import program

    def compared(rules: "Rules") -> "Iterator[Comparison]":
        for one in programs(folder):
            yield from program.compare(one, chip, scratch, rules)

    return compared


def _told(one: "Comparison", variant: str) -> "Comparison":
    """Say what has been measured: a suite takes minutes."""
    print(f"{one.benchmark}, {variant}: {one.ratio:.4f}", file=sys.stderr)
    return one


def _without(name: str) -> "Rules":
    from hil.targets.emulator.timing import Rules

    try:
        return Rules.without(name)
    except KeyError as error:
        raise UsageError.unknown("rule", name, Rules.removable()) from error
