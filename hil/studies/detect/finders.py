"""Faces in photographs, as the board finds them beside the float model: `hil detect`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hil import models
from hil.config import board as boards
from hil.config import inventory
from hil.config.scenario import Scenario
from hil.errors import BuildError, MemoryLimitError, UsageError
from hil.results.rows import RunIdentity
from hil.run import measurement, network
from hil.run.measurement import Measurement, Prepared, Progress, Stopwatch, silent
from hil.run.session import Session
from hil.targets import choice
from hil.vision import detection, photographs
from hil.vision.detection import Box, Float64

if TYPE_CHECKING:
    from hil.models import LoadedModel

PICTURE = ".boxes.png"  # ends the names of pictures with boxes, so that they are not searched again
_SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".pgm")
_TIMEOUT_S = 120.0
_RETRIES = 1


@dataclass(frozen=True)
class BoardOptions:
    """What runs the images beside the float model."""

    board: str
    target: str
    toolchain: str
    probe_id: str | None = None
    port: str | None = None


@dataclass(frozen=True)
class Found:
    """The faces of one photograph.

    Attributes:
        rows, columns: of the photograph as it is.
        of_float: the float model's faces.
        of_board: the board's, None where it was not asked.
        measurement: of the board's run.
    """

    image: str
    rows: int
    columns: int
    of_float: list[Box]
    of_board: list[Box] | None = None
    measurement: Measurement | None = None


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
        elif any(wildcard in name for wildcard in "*?[") and not path.exists():
            found += _matching(path)
        else:
            found.append(name)
    return found


def _matching(pattern: Path) -> list[str]:
    start = Path(pattern.anchor or ".")
    matched = sorted(start.glob(str(pattern.relative_to(pattern.anchor))))
    files = [str(m) for m in matched if m.is_file() and not m.name.endswith(PICTURE)]
    if not files:
        raise UsageError(f"no file matches {pattern}")
    return files


def _of_folder(folder: Path) -> list[str]:
    inside = [
        str(path)
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in _SUFFIXES and not path.name.endswith(PICTURE)
    ]
    if not inside:
        raise UsageError(
            f"there is no image in {folder}", hint=f"looked for {', '.join(_SUFFIXES)}"
        )
    return inside


def about(chosen: Scenario, on_board: BoardOptions | None) -> dict[str, str]:
    """Say what finds the faces."""
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
    with ExitStack() as stack:
        try:
            prepared, run = stack.enter_context(flashed(chosen, on_board, progress))
        except (MemoryLimitError, BuildError) as error:
            way_out = "--float-only finds the faces without a board"
            error.hint = f"{error.hint}\n  {way_out}" if error.hint else way_out
            raise
        yield _on_board(prepared, run, least_score)


@contextmanager
def flashed(
    chosen: Scenario, options: BoardOptions, progress: Progress = silent
) -> Iterator[tuple[Prepared, Callable[[Prepared], Measurement]]]:
    """Hold a board that runs a scenario's network, on one photograph after another.

    Args:
        chosen: the scenario; each photograph runs once, whatever its iterations.
        options: the board.
        progress: told stages.

    Returns:
        The prepared scenario, of which `measurement.with_photograph` makes others; and what runs
        one of them.

    Raises:
        MeasurementError: the network does not fit the board, or the board fails.
    """
    session = _session(chosen, options, progress)
    prepared = session.prepare(replace(chosen, iterations=1))
    with session.flashed(prepared) as device:

        def run(image: Prepared) -> Measurement:
            return measurement.measure(
                image, device, Stopwatch(), target=session.target, progress=progress
            )

        yield prepared, run


def _in_float(loaded: "LoadedModel", least_score: float) -> Finder:
    priors = priors_of(loaded)

    def find(name: str) -> Found:
        photograph = photographs.read(name)
        outputs = loaded.run(photographs.preprocess(photograph, loaded.spec))
        rows, columns, _ = photograph.shape
        return Found(name, rows, columns, detection.detect(outputs, priors, least_score))

    return find


def _on_board(
    prepared: Prepared, run: Callable[[Prepared], Measurement], least_score: float
) -> Finder:
    priors = priors_of(prepared.compiled.loaded)

    def find(name: str) -> Found:
        photograph = photographs.read(name)
        rows, columns, _ = photograph.shape
        image = measurement.with_photograph(prepared, photograph)
        result = run(image)
        outputs = prepared.program.dequantise_output(result.outputs)
        return Found(
            name,
            rows,
            columns,
            of_float=detection.detect(image.float_outputs, priors, least_score),
            of_board=detection.detect(outputs, priors, least_score),
            measurement=result,
        )

    return find


def priors_of(loaded: "LoadedModel") -> Float64:
    """Lay out a detector's prior boxes, (count, 4), as `detection.priors` does.

    Raises:
        UsageError: the model is no detector.
    """
    from hil.models.face import FaceDetector

    if not isinstance(loaded.module, FaceDetector):
        detectors = [name for name in models.names() if name.startswith("face_")]
        raise UsageError(
            f"{loaded.model_id} finds no faces", hint=f"those that do: {', '.join(detectors)}"
        )
    return detection.priors(loaded.module.anchors, loaded.spec.rows, loaded.spec.columns)


def _session(chosen: Scenario, options: BoardOptions, progress: Progress) -> Session:
    from hil.build import firmware

    board = boards.load(options.board).on_desk(
        probe_id=options.probe_id, port=options.port, units=inventory.load()
    )
    return Session(
        board=board,
        scenarios=[chosen],
        target=choice.choose(options.target, board).kind,
        toolchain=firmware.find_toolchain(options.toolchain),
        identity=RunIdentity.now(Path.cwd()),
        store=None,
        timeout_s=_TIMEOUT_S,
        retries=_RETRIES,
        progress=progress,
    )
