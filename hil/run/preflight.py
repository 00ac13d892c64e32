"""Preflight checks: what a run needs, looked for before anything is compiled."""

from collections.abc import Iterable
from pathlib import Path

from hil import extras, files
from hil.config.board import Board
from hil.config.scenario import Scenario
from hil.errors import UsageError
from hil.paths import cache


def check(scenarios: Iterable[Scenario]) -> None:
    """Look for the files that scenarios name.

    Raises:
        UsageError: one is not there; the error names it, and the scenario.
    """
    for one in scenarios:
        try:
            _check(one)
        except UsageError as error:
            error.what = f"the scenario {one.name}: {error.what}"
            raise


def check_can_compile(scenarios: Iterable[Scenario], board: Board, *, anew: bool = False) -> None:
    """Look whether scenarios that nobody has compiled yet can be.

    Args:
        scenarios: that are about to run.
        board: that they run on.
        anew: compile them, whatever is kept.

    Raises:
        UsageError: they cannot, since torch is not installed.
    """
    if extras.is_there(extras.TORCH):
        return
    from hil.run import kept
    from hil.run.evaluation import kept as kept_evaluation

    lacking = [
        one.name
        for one in scenarios
        if anew or not kept.is_kept(one, board) or not kept_evaluation.is_kept(one, board)
    ]
    if lacking:
        raise extras.missing(extras.TORCH, f"compiling {', '.join(lacking)}")


def check_writable(csv: Path) -> None:
    """Look whether results can be written.

    Raises:
        UsageError: the file is a folder, or its folder cannot be written to.
    """
    why = files.why_not_writable(csv)
    if why:
        hint = "choose another file with --hil-csv"
        raise UsageError(f"results cannot be written: {why}", hint=hint)


def check_cache() -> None:
    """Look whether builds can be kept. A cache that may only be read can have all of them already.

    Raises:
        UsageError: there is no cache, and none can be made.
    """
    folder = cache()
    why = "" if files.is_folder(folder) else files.why_not_writable(folder)
    if files.is_file(folder):
        why = f"{folder} is a file"
    if why:
        hint = "name a folder of yours with HIL_CACHE"
        raise UsageError(f"there is no place for builds: {why}", hint=hint)


def _check(one: Scenario) -> None:
    from hil.run import calibration
    from hil.vision import photographs

    if one.checkpoint is not None and not files.is_file(one.checkpoint):
        raise UsageError(
            f"there is no checkpoint {one.checkpoint}",
            hint="a relative path begins at the scenario's folder, --hil-checkpoint's here",
        )
    place, named, _ = one.model.rpartition(":")
    if named and place.endswith(".py"):
        path = one.directory / Path(place).expanduser()
        if not files.is_file(path):
            raise UsageError(f"there is no file {path}", hint=f"it says model = {one.model!r}")
    for name in dict.fromkeys([one.input, *calibration.names(one)]):
        photographs.file(name)
