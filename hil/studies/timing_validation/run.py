"""`hil validate-timing`: the timing model against published cycles, on the user's checkouts."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hil.config import board as boards
from hil.errors import UsageError

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.studies.timing_validation.compare import Comparison
    from hil.targets.emulator.timing import Rules

    _Compared = Callable[[Rules], Iterator[Comparison]]


def run(
    *,
    embench: Path | None = None,
    pqm4: Path | None = None,
    coremark: Path | None = None,
    mlperf: Path | None = None,
    images: Path | None = None,
    csv: Path | None = None,
    without: Sequence[str] = (),
    board: str = "stm32f439",
) -> int:
    """Build the benchmarks, run them on the emulated core, print and write the comparison.

    Args:
        embench: a checkout of github.com/embench/embench-iot at tag embench-2.0rc1.
        pqm4: one of github.com/mupq/pqm4 at tag Round3, with its submodule mupq.
        coremark: one of github.com/eembc/coremark.
        mlperf: a folder with checkouts of MLPerf Tiny's result repositories.
        images: a table of their images; None: the development set.
        csv: where to write the figures.
        without: rules to take away one after the other: the errors without each are printed.
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

    if not (embench or pqm4 or coremark or mlperf):
        raise UsageError(
            "nothing to validate with",
            hint="name a checkout: --embench DIR, --pqm4 DIR, --coremark DIR or --mlperf DIR",
        )
    chip = boards.load(board)
    console = Console()
    found: list[compare.Comparison] = []
    variants = {"all rules": Rules()} | {f"without {name}": _without(name) for name in without}
    for suite, compared in _suites(embench, pqm4, mlperf, images, chip).items():
        parts = {
            variant: [_told(one, variant) for one in compared(rules)]
            for variant, rules in variants.items()
        }
        console.print(compare.table(parts["all rules"], f"{suite}, timing {TIMING_VERSION}"))
        if without:
            console.print(compare.ablation(parts, suite))
        found += parts["all rules"]
    if coremark:
        for optimisation in ("-O2", "-O3"):
            result = coremark_suite.measure(coremark, chip, optimisation)
            console.print(
                f"CoreMark {optimisation}: {result.per_mhz:.3f} per MHz; "
                f"with 5 wait states {result.ratio:.4f} of that"
            )
    if csv:
        compare.write_csv(found, csv, TIMING_VERSION)
    return 0


def _suites(
    embench: Path | None, pqm4: Path | None, mlperf: Path | None, images: Path | None, chip: "Board"
) -> "dict[str, _Compared]":
    """Return how the suites of the checkouts that are given are compared by some rules."""
    from hil.studies.mlperf import validate as mlperf_images
    from hil.studies.timing_validation import embench as embench_suite
    from hil.studies.timing_validation import pqm4 as pqm4_suite

    def of_embench(rules: "Rules") -> "Iterator[Comparison]":
        for benchmark in embench_suite.PUBLISHED if embench else ():
            yield embench_suite.compare(embench or Path(), benchmark, chip, rules)

    def of_pqm4(rules: "Rules") -> "Iterator[Comparison]":
        for scheme in pqm4_suite.PUBLISHED if pqm4 else ():
            yield from pqm4_suite.compare(pqm4 or Path(), scheme, chip, rules)

    def of_mlperf(rules: "Rules") -> "Iterator[Comparison]":
        return mlperf_images.compare(mlperf or Path(), images or mlperf_images.IMAGES, rules)

    suites: dict[str, _Compared] = {}
    if embench:
        suites["Embench 2.0rc1"] = of_embench
    if pqm4:
        suites["pqm4 Round3"] = of_pqm4
    if mlperf:
        suites["MLPerf Tiny, certified on an STM32L4R5"] = of_mlperf
    return suites


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
