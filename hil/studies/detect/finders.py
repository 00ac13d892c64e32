"""Faces in photographs, as the board finds them beside the float model: `hil detect`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hil import files
from hil.config.scenario import Scenario
from hil.errors import BuildError, MeasurementError, MemoryLimitError, UsageError
from hil.run import network
from hil.run.evaluation.asker import priors_of
from hil.run.measurement import Measurement, Progress, silent
from hil.studies.answering_board import AnsweringBoard, BoardOptions
from hil.vision import detection, photographs
from hil.vision.datasets.base import SUFFIXES, pictures
from hil.vision.detection import Box

if TYPE_CHECKING:
    from hil.models import LoadedModel

PICTURE = ".boxes.png"  # ends the names of pictures with boxes, so that they are not searched again


@dataclass(frozen=True)
class Found:
    """The faces of one photograph.

    Attributes:
        rows, columns: of the photograph as it is.
        of_float: the float model's faces.
        of_board: the board's, None where it was not asked.
        measurement: of the board's run.
        error: why the board did not answer; empty where it did.
    """

    image: str
    rows: int
    columns: int
    of_float: list[Box]
    of_board: list[Box] | None = None
    measurement: Measurement | None = None
    error: str = ""


Finder: TypeAlias = Callable[[str], Found]
"""Finds the faces of a photograph, by name or path."""


def images(names: Sequence[str]) -> list[str]:
    """Resolve what the command line names: files, folders, globs, and names of photographs.

    Raises:
        UsageError: a folder or a glob holds no image.
    """
    found: list[str] = []
    for name in names:
        path = Path(name).expanduser()
        if path.is_dir():
            found += _of_folder(path)
        elif any(wildcard in name for wildcard in "*?[") and not files.exists(path):
            found += _matching(path)
        else:
            found.append(name)
    return found


def _matching(pattern: Path) -> list[str]:
    start = Path(pattern.anchor or ".")
    matched = sorted(start.glob(str(pattern.relative_to(pattern.anchor))))
    found = [str(m) for m in matched if m.is_file() and not m.name.endswith(PICTURE)]
    if not found:
        raise UsageError(f"no file matches {pattern}")
    return found


def _of_folder(folder: Path) -> list[str]:
    inside = [str(path) for path in pictures(folder) if not path.name.endswith(PICTURE)]
    if not inside:
        raise UsageError(f"there is no image in {folder}", hint=f"looked for {', '.join(SUFFIXES)}")
    return inside


def about(chosen: Scenario, on_board: BoardOptions | None) -> dict[str, str]:
    """Say what finds the faces.

    Args:
        chosen: the scenario.
        on_board: how the board is reached; None without one.

    Returns:
        a heading and a text for each line of the report.
    """
    weights = str(chosen.checkpoint) if chosen.checkpoint else f"seed {chosen.seed}"
    facts = {"scenario": chosen.name, "model": chosen.model, "weights": weights}
    if on_board is None:
        return facts
    return facts | {
        "board": on_board.board,
        "target": on_board.target,
        "toolchain": on_board.toolchain,
    }


@contextmanager
def finder(
    chosen: Scenario,
    on_board: BoardOptions | None,
    *,
    least_score: float = detection.LEAST_SCORE,
    progress: Progress = silent,
) -> Iterator[Finder]:
    """Hold what finds faces: the float model, and a flashed board where one is asked for.

    Args:
        chosen: whose model finds them.
        on_board: None for the float model alone.
        least_score: that a face must exceed.
        progress: told stages.

    Raises:
        UsageError: the scenario's model is no detector.
        MeasurementError: the model does not fit the board, or the board fails; a model that cannot
            run there yet names the way without a board.
    """
    if on_board is None:
        yield _in_float(network.load(chosen), least_score)
        return
    priors_of(network.structure(chosen))
    try:
        board = AnsweringBoard(chosen, on_board, progress)
    except (MemoryLimitError, BuildError) as error:
        way_out = "--float-only finds the faces without a board"
        error.hint = f"{error.hint}\n  {way_out}" if error.hint else way_out
        raise
    with closing(board):
        yield _on_board(board, least_score)


def _in_float(loaded: "LoadedModel", least_score: float) -> Finder:
    priors = priors_of(loaded)

    def find(name: str) -> Found:
        photograph = photographs.read(name)
        outputs = loaded.run(photographs.preprocess(photograph, loaded.spec))
        rows, columns, _ = photograph.shape
        return Found(name, rows, columns, detection.detect(outputs, priors, least_score))

    return find


def _on_board(board: AnsweringBoard, least_score: float) -> Finder:
    prepared = board.prepared
    priors = priors_of(prepared.compiled.loaded)

    def find(name: str) -> Found:
        photograph = photographs.read(name)
        rows, columns, _ = photograph.shape
        try:
            result = board.answer(photograph)
        except MeasurementError as error:
            if board.is_given_up:
                raise
            return Found(name, rows, columns, [], error=error.what)
        outputs = prepared.program.dequantise_output(result.outputs)
        return Found(
            name,
            rows,
            columns,
            of_float=detection.detect(result.prepared.float_outputs, priors, least_score),
            of_board=detection.detect(outputs, priors, least_score),
            measurement=result,
        )

    return find
