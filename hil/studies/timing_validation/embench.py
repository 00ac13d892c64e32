"""Embench-IoT, release embench-2.0rc1, against its published run on an STM32F407.

Published: 16 MHz, no wait states, caches and prefetch off, cycles of the DWT between start_trigger
and stop_trigger. Debian's GCC 12.2.1 with newlib 3.3.0 reproduces the binaries: three of them
meet their cycles to 0.1 %, and another compiler moves single ones by tens of percent.
Source: github.com/embench/embench-iot, tag embench-2.0rc1, doc and baseline-data.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hil.config.board import Board
from hil.errors import UsageError
from hil.studies.timing_validation.compare import Comparison
from hil.studies.timing_validation.core import CoreRun
from hil.studies.timing_validation.gcc import CPU, gcc

if TYPE_CHECKING:
    from hil.targets.emulator.timing import Rules

SUITE = "embench-2.0rc1"
PUBLISHED: Mapping[str, int] = {
    "aha-mont64": 58_773_393,
    "crc32": 27_844_680,
    "depthconv": 97_600_027,
    "edn": 62_758_371,
    "huffbench": 54_790_785,
    "matmult-int": 68_603_343,
    "md5sum": 36_207_604,
    "nettle-aes": 67_671_598,
    "nettle-sha256": 45_691_245,
    "nsichneu": 64_012_038,
    "picojpeg": 75_338_836,
    "qrduino": 51_403_488,
    "sglib-combined": 60_570_153,
    "slre": 59_048_047,
    "statemate": 9_898_648,
    "tarfind": 14_841_008,
    "ud": 52_711_436,
    "wikisort": 10_718_443,
}
"""Cycles of a whole run. xgboost is left out: this compiler removes most of its work."""

_BOARD_FILES = Path("examples/arm/stm32f4-discovery")
_COMPILE = ("-O2", "-flto", "-ffunction-sections", "-fdata-sections", *CPU)
_DEFINE = ("-DWARMUP_HEAT=1", "-DCPU_MHZ=16")
_LINK = ("-O2", "-Wl,--gc-sections", "-flto", *CPU, "-static", "-nostartfiles")


def compare(
    checkout: Path, benchmark: str, board: Board, scratch: Path, rules: "Rules | None" = None
) -> Comparison:
    """Build a benchmark from the user's checkout, run it and compare its cycles.

    Args:
        checkout: of the release.
        benchmark: its name.
        board: whose memory.
        scratch: a folder; what was built there before is taken.
        rules: other than those that figures are published with.

    Raises:
        UsageError: this is no checkout of the release. BuildError: it does not compile.
    """
    source = checkout / "src" / benchmark
    if not (source.is_dir() and (checkout / _BOARD_FILES).is_dir()):
        raise UsageError(
            f"{checkout} has no {benchmark} or no {_BOARD_FILES}",
            hint="give a checkout of github.com/embench/embench-iot at tag embench-2.0rc1",
        )
    folder = scratch / f"embench-{benchmark}"
    elf = folder / "benchmark.elf"
    if not elf.exists():
        folder.mkdir(exist_ok=True)
        _build(checkout, source, folder)
    start, stop = CoreRun(elf, board, acr=0, rules=rules).reach(["start_trigger", "stop_trigger"])
    # The counter starts inside start_trigger and is read on entry to stop_trigger.
    return Comparison(SUITE, benchmark, stop.cycles - start.cycles, PUBLISHED[benchmark])


def _build(checkout: Path, source: Path, scratch: Path) -> None:
    board = checkout / _BOARD_FILES
    include = (f"-I{checkout / 'support'}", f"-I{board}", f"-I{board / 'Include'}")
    objects = []
    for file in (
        *sorted(source.glob("*.c")),
        checkout / "support/main.c",
        checkout / "support/beebsc.c",
        board / "boardsupport.c",
    ):
        objects.append(scratch / f"{file.name}.o")
        gcc(*_COMPILE, *_DEFINE, *include, "-c", file, "-o", objects[-1])
    for file in (board / "startup_stm32f407xx.s", board / "system_stm32f4xx.c"):
        objects.append(scratch / f"{file.name}.o")
        gcc("-O2", *CPU, *include, "-DSTM32F407xx", "-c", file, "-o", objects[-1])
    elf = scratch / "benchmark.elf"
    script = f"-T{board / 'STM32F407IGHX_FLASH.ld'}"
    # libm before the start-up code, as the release's own build has it.
    gcc(*_LINK, script, *objects[:-2], "-lm", *objects[-2:], "-o", elf)
