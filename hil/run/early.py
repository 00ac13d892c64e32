"""What a run needs and can be looked for before anything is compiled."""

import os
from collections.abc import Iterable
from pathlib import Path

from hil import extras
from hil.config.board import Board
from hil.config.scenario import Scenario
from hil.errors import UsageError


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

    lacking = [one.name for one in scenarios if anew or not kept.is_kept(one, board)]
    if lacking:
        raise extras.missing(extras.TORCH, f"compiling {', '.join(lacking)}")


def check_writable(csv: Path) -> None:
    """Look whether results can be written.

    Raises:
        UsageError: the file is a folder, or its folder cannot be written to.
    """
    hint = "choose another file with --hil-csv"
    if csv.is_dir():
        raise UsageError(f"results cannot be written: {csv} is a folder", hint=hint)
    there = next(one for one in csv.absolute().parents if one.exists())
    if not there.is_dir():
        raise UsageError(f"results cannot be written: {there} is no folder", hint=hint)
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"results cannot be written: no right to write to {there}", hint=hint)


def _check(one: Scenario) -> None:
    from hil.run import calibration
    from hil.vision import photographs

    if one.checkpoint is not None and not one.checkpoint.is_file():
        raise UsageError(
            f"there is no checkpoint {one.checkpoint}",
            hint="a relative path begins at the scenario's folder, --hil-checkpoint's here",
        )
    place, named, _ = one.model.rpartition(":")
    if named and place.endswith(".py"):
        path = one.directory / Path(place).expanduser()
        if not path.is_file():
            raise UsageError(f"there is no file {path}", hint=f"it says model = {one.model!r}")
    for name in dict.fromkeys([one.input, *calibration.names(one)]):
        photographs.file(name)
