"""The options of the harness in pytest."""

from pathlib import Path
from typing import TYPE_CHECKING

from hil import numbers, targets
from hil.paths import RESULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

BOARD = "stm32f439"
"""The board where none is named."""

_ANYTHING = "--board=anything"


def declare(parser: "pytest.Parser") -> None:
    """Declare `--hil-board` and the other `--hil-*` options."""
    add = parser.getgroup("hil", "hardware in the loop").addoption
    _declare_subject(add)
    _declare_build(add)
    _declare_run(add)
    _declare_target(add)


def _declare_subject(add: "Callable[..., None]") -> None:
    """Declare what is measured."""
    add(
        "--hil-board",
        action="append",
        metavar="NAME",
        help=f"board to test on, a file of boards/ ({BOARD}); may be repeated, and NAME,NAME",
    )
    add(
        "--hil-scenario",
        action="append",
        default=[],
        metavar="NAME",
        help="scenario to run, a file of scenarios/ or a path; may be repeated "
        "(default: those whose files have the board in `default`; of the package, every RNNPool "
        "model that fits it)",
    )
    add(
        "--hil-tag",
        action="append",
        default=[],
        metavar="TAG",
        help="run scenarios that have this tag, of those that --hil-scenario names or else of the "
        "package; may be repeated. With pytest's -m, a tag is a marker of the scenario's tests",
    )
    add("--hil-all", action="store_true", help="run every scenario, the slow ones too")
    add(
        "--hil-input",
        metavar="IMAGE",
        help="photograph to run on instead of the scenario's: a path, or a name scikit-image has",
    )
    add(
        "--hil-checkpoint",
        type=Path,
        metavar="FILE",
        help="trained weights, a state dict (.pth), instead of the scenario's",
    )
    add(
        "--hil-calibration",
        type=Path,
        metavar="FOLDER",
        help="photographs to choose ranges on, in place of the usual ones: some 30 that show what "
        "the network will see",
    )


def _declare_build(add: "Callable[..., None]") -> None:
    """Declare how the firmware is made."""
    add(
        "--hil-toolchain",
        default="zig",
        choices=("zig", "gcc"),
        help="cross compiler (default: %(default)s)",
    )
    add(
        "--hil-contracts",
        action="store_true",
        help="build images that check what their functions take for granted; a broken condition "
        "is a fault that names file and line. Such images are slower and larger",
    )
    add(
        "--hil-no-cache",
        action="store_true",
        help="compile and build everything, whatever earlier runs have kept",
    )


def _declare_run(add: "Callable[..., None]") -> None:
    """Declare how often, how long, and where results go."""
    add(
        "--hil-csv",
        type=Path,
        default=RESULTS,
        metavar="FILE",
        help="where the results go (default: %(default)s)",
    )
    add(
        "--hil-history-dir",
        type=Path,
        metavar="DIR",
        help="where every run's results are kept (default: history/ beside --hil-csv)",
    )
    add(
        "--hil-iterations",
        type=numbers.iterations,
        metavar="N",
        help="inferences per scenario (default: the scenario's)",
    )
    add(
        "--hil-timeout",
        type=numbers.seconds,
        default=120.0,
        metavar="SECONDS",
        help="longest silence of the board before it is given up (default: %(default)s)",
    )
    add(
        "--hil-budget",
        type=numbers.seconds,
        metavar="SECONDS",
        help="time for the whole run; what is under way then is given up with the verdict timeout, "
        "and so is what has not begun (default: none)",
    )
    add(
        "--hil-retries",
        type=numbers.retries,
        default=1,
        metavar="N",
        help="attempts after a failed set-up (default: %(default)s)",
    )


def _declare_target(add: "Callable[..., None]") -> None:
    """Declare what stands for the board, and where a physical one is."""
    add(
        "--hil-target",
        default=targets.NAMED,
        choices=targets.Names(targets.NAMED, targets.AUTO),
        metavar="NAME",
        help="what stands for the board (default: %(default)s), one of: %(choices)s. named takes "
        "a physical board that an inventory or --hil-probe names and that is connected, else the "
        "emulator; auto also takes the only board connected, if its chip is the one. Renode "
        "counts instructions instead of cycles",
    )
    add(
        "--hil-inventory",
        type=Path,
        metavar="FILE",
        help="physical boards there are, beside those of hil-boards.toml here and in the user's "
        "configuration",
    )
    add(
        "--hil-lock-wait",
        type=numbers.real(0, numbers.MOST_SECONDS),
        default=300.0,
        metavar="SECONDS",
        help="how long to wait for a board that others use (default: %(default)s)",
    )
    add(
        "--hil-probe",
        metavar="ID",
        help="unique id of the debug probe, where several are connected, or the name of a board of "
        "the inventory",
    )
    add("--hil-port", metavar="PORT", help="serial port of a real board's link, e.g. /dev/ttyACM0")
    add(
        "--hil-renode",
        metavar="PATH",
        help="Renode's executable or folder (default: $HIL_RENODE, renode-run, renode on PATH)",
    )


def declare_board(parser: "pytest.Parser") -> None:
    """Declare `--board` for `--hil-board`, unless a plugin or a conftest.py has one of its own."""
    if _is_taken(parser):
        return
    parser.getgroup("hil").addoption(
        "--board",
        dest="hil_board",
        action="append",
        metavar="NAME",
        help="short for --hil-board, where no other plugin has this option",
    )


def boards(given: "Sequence[str] | None") -> list[str]:
    """Return the boards to test on, each once, as `--board` names them."""
    named = (name.strip() for one in given or () for name in one.split(","))
    return list(dict.fromkeys(name for name in named if name)) or [BOARD]


def _is_taken(parser: "pytest.Parser") -> bool:
    import pytest

    try:
        _, unknown = parser.parse_known_and_unknown_args([_ANYTHING])
    except pytest.UsageError:  # it is another's, who knows no board of this name
        return True
    return _ANYTHING not in unknown
