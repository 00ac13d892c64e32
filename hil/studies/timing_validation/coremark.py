"""CoreMark with and without wait states: how much of them the flash accelerator hides.

ST gives 3.42 CoreMark/MHz at 60 MHz and 3.38 at 180 MHz for an STM32F469 with IAR's compiler, a
ratio of 0.988; scores of another compiler do not compare, the ratio does.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hil.config.board import Board
from hil.errors import UsageError
from hil.studies.timing_validation.core import CoreRun
from hil.studies.timing_validation.gcc import BARE, CPU, FLOAT, HERE, gcc

_ITERATIONS = 20  # as core_portme.c sets them
_ART_ON = 0x700
_PARTS = ("core_list_join.c", "core_main.c", "core_matrix.c", "core_state.c", "core_util.c")


@dataclass(frozen=True)
class Result:
    """CoreMark at two flash latencies.

    Attributes:
        per_mhz: iterations per million cycles without wait states.
        ratio: of the scores, five wait states over none; caches and prefetch on in both.
    """

    optimisation: str
    per_mhz: float
    ratio: float


def measure(checkout: Path, board: Board, optimisation: str = "-O3") -> Result:
    """Build CoreMark from the user's checkout and run it at 0 and at 5 wait states.

    Args:
        checkout: of eembc/coremark.
        board: which kind is emulated.
        optimisation: of the compiler.

    Raises:
        UsageError: this is no checkout of CoreMark. BuildError: it does not compile.
    """
    sources = [checkout / part for part in _PARTS]
    if not all(source.is_file() for source in sources):
        raise UsageError(
            f"{checkout} has no core_main.c", hint="git clone https://github.com/eembc/coremark"
        )
    with tempfile.TemporaryDirectory() as scratch:
        elf = Path(scratch) / "coremark.elf"
        port = HERE / "coremark_port"
        options = (optimisation, *CPU, *FLOAT, "-ffunction-sections", f"-I{port}", f"-I{checkout}")
        gcc(*options, *BARE, port / "core_portme.c", *sources, "-o", elf)
        cycles = [_cycles(elf, board, wait_states) for wait_states in (0, 5)]
    return Result(optimisation, _ITERATIONS * 1e6 / cycles[0], cycles[0] / cycles[1])


def _cycles(elf: Path, board: Board, wait_states: int) -> int:
    run = CoreRun(elf, board, acr=_ART_ON | wait_states)
    start, stop = run.reach(["start_time", "stop_time"])
    return stop.cycles - start.cycles
