"""`hil validate-timing`: the timing model against published cycles, on the user's checkouts."""

from pathlib import Path

from hil.config import board as boards
from hil.errors import UsageError


def run(
    *,
    embench: Path | None = None,
    pqm4: Path | None = None,
    coremark: Path | None = None,
    mlperf: Path | None = None,
    images: Path | None = None,
    csv: Path | None = None,
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
        board: whose memory.

    Returns:
        the exit status, 0.

    Raises:
        UsageError: no checkout is given, or one is not what it should be.
        BuildError: arm-none-eabi-gcc is missing or refuses.
    """
    from rich.console import Console

    from hil.studies.mlperf import validate as mlperf_images
    from hil.studies.timing_validation import compare
    from hil.studies.timing_validation import coremark as coremark_suite
    from hil.studies.timing_validation import embench as embench_suite
    from hil.studies.timing_validation import pqm4 as pqm4_suite
    from hil.targets.emulator.timing import TIMING_VERSION

    if not (embench or pqm4 or coremark or mlperf):
        raise UsageError(
            "nothing to validate with",
            hint="name a checkout: --embench DIR, --pqm4 DIR, --coremark DIR or --mlperf DIR",
        )
    chip = boards.load(board)
    console = Console()
    found: list[compare.Comparison] = []
    if embench:
        part = [embench_suite.compare(embench, b, chip) for b in embench_suite.PUBLISHED]
        console.print(compare.table(part, f"Embench 2.0rc1, timing {TIMING_VERSION}"))
        found += part
    if pqm4:
        part = [c for s in pqm4_suite.PUBLISHED for c in pqm4_suite.compare(pqm4, s, chip)]
        console.print(compare.table(part, f"pqm4 Round3, timing {TIMING_VERSION}"))
        found += part
    if coremark:
        for optimisation in ("-O2", "-O3"):
            result = coremark_suite.measure(coremark, chip, optimisation)
            console.print(
                f"CoreMark {optimisation}: {result.per_mhz:.3f} per MHz; "
                f"with 5 wait states {result.ratio:.4f} of that"
            )
    if mlperf:
        part = []
        for one in mlperf_images.compare(mlperf, images or mlperf_images.IMAGES):
            console.print(f"{one.benchmark}: {one.ratio:.4f} of the certified time")
            part.append(one)
        title = f"MLPerf Tiny, certified on an STM32L4R5, timing {TIMING_VERSION}"
        console.print(compare.table(part, title))
        found += part
    if csv:
        compare.write_csv(found, csv, TIMING_VERSION)
    return 0
