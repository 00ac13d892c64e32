"""What a run needs of a compiled scenario, kept in the cache of builds from run to run.

A run that finds it there imports no torch. A file is a ZIP archive of a JSON document, three NumPy
arrays and the generated C; it is named by all that it was made of, and by its own content. Where
torch is not installed, what any version of it has compiled is taken.
"""

import io
import math
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from hil import extras, paths
from hil.build import once
from hil.build.kept import note_use
from hil.config.board import Board
from hil.config.scenario import Scenario
from hil.results import maps
from hil.results.details import Noise
from hil.run import inputs
from hil.run.closeness import Closeness
from hil.run.facts import Network, Schedule

if TYPE_CHECKING:
    from hil.compiler.program import Float32, Int8, Quantised
    from hil.run.compiled import CompiledScenario
    from hil.vision.photographs import Float32 as Image

_FOLDER = "scenarios"
_DOCUMENT, _SOURCES = "compiled.json", "sources/"
_ARRAYS = ("input", "expected", "float_outputs")
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, msgspec.MsgspecError)


@dataclass(frozen=True)
class _Document:
    """What is kept beside arrays and sources; `Contents` says what it is."""

    network: Network
    schedule: Schedule
    closeness: Closeness
    maps: dict[str, int]
    noise: tuple[Noise, ...]


@dataclass(frozen=True, eq=False)
class Contents:
    """A compiled scenario without its Python objects.

    Attributes:
        closeness: of the integers to the float network, on the scenario's photograph and others.
        maps: digest of every map of the integer reference, by name; see `hil.results.maps`.
        noise: of every operator's output, on the scenario's photograph.
        input: the quantised photograph, int8, (rows, columns, channels).
        expected: the integer reference's outputs, int8 or int16, (count,).
        float_outputs: the float network's, float32, (count,).
        sources: of C and assembly, by the file's name.
    """

    network: Network
    schedule: Schedule
    closeness: Closeness
    maps: dict[str, int]
    noise: tuple[Noise, ...]
    input: "Int8"
    expected: "Quantised"
    float_outputs: "Float32"
    sources: dict[str, bytes]

    def write_sources(self, folder: Path) -> None:
        """Write the generated C into a folder that is there."""
        for name, content in self.sources.items():
            (folder / name).write_bytes(content)


def take_or_make(
    scenario: Scenario, board: Board, begin: Callable[[], None], *, anew: bool = False
) -> "tuple[Contents, Callable[[], CompiledScenario]]":
    """Return a compiled scenario as it is kept, else compile it and keep it.

    Args:
        scenario: its network, its photographs, its choices.
        board: that it is planned for.
        begin: called before it is compiled.
        anew: compile it, whatever is kept.

    Returns:
        What a run needs of it, and what gives its Python objects, which may compile it then.

    Raises:
        UsageError, MemoryLimitError, BuildError: as compiling does; and the cache cannot be
            written, or torch is not installed.
    """
    known = None if anew else _taken(scenario, board)
    if known is not None:
        return known, cache(lambda: _compiled(scenario, board))
    begin()
    compiled = _compiled(scenario, board)
    contents = contents_of(compiled)
    if inputs.are_known(scenario):
        (place,) = _places(scenario, board)
        once.made_once(place, lambda scratch: _written(contents, scratch), anew=True)
    return contents, lambda: compiled


def is_kept(scenario: Scenario, board: Board) -> bool:
    """Whether a scenario is compiled for a board already, so that a run needs no torch.

    Args:
        scenario: its network, its photographs, its choices.
        board: that it is planned for.
    """
    return _taken(scenario, board) is not None


def _compiled(scenario: Scenario, board: Board) -> "CompiledScenario":
    from hil.run.compiled import compile_scenario

    with extras.said():
        return compile_scenario(scenario, board)


def _places(scenario: Scenario, board: Board) -> list[Path]:
    """Return where it may be kept, before the names gain their own digests.

    That is one place for the torch that is installed; without torch, one for each version that has
    left something.
    """
    if not inputs.are_known(scenario):
        return []
    start, folder = f"{inputs.digest(scenario, board)}-torch-", paths.cache() / _FOLDER
    version = inputs.torch_version()
    if version is not None:
        return [folder / f"{start}{version}.zip"]
    return sorted({once.place(file) for file in folder.glob(f"{start}*.zip")})


def _taken(scenario: Scenario, board: Board) -> Contents | None:
    """Read what is kept of a scenario; None where nothing is, or nothing that can be read."""
    for file in chain.from_iterable(map(once.found, _places(scenario, board))):
        try:
            contents = read(file.read_bytes())
        except _DAMAGED:
            continue
        if all(maps.is_kept(digest) for digest in contents.maps.values()):
            note_use(file)
            return contents
    return None


def contents_of(compiled: "CompiledScenario") -> Contents:
    """Compute what the network must answer on its photograph, and write its C."""
    from hil.compiler import emit, reference
    from hil.files import scratch
    from hil.run.compiled import compare_outputs
    from hil.vision import photographs

    scenario, program, loaded = compiled.scenario, compiled.program, compiled.loaded
    image = photographs.prepare(scenario.input, loaded.spec)
    quantised, real = program.quantise_input(image), loaded.run(image)
    computed = reference.maps(program, quantised)
    expected = reference.result(program, computed)
    with scratch() as folder:
        emit.write(program, compiled.plan, folder)
        sources = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return Contents(
        network=Network.of(compiled),
        schedule=Schedule.of(compiled),
        closeness=compare_outputs(compiled, (quantised, expected, real)),
        maps={name: maps.keep(values) for name, values in computed.items()},
        noise=tuple(_noise(compiled, image)),
        input=quantised,
        expected=expected,
        float_outputs=real,
        sources=sources,
    )


def _noise(compiled: "CompiledScenario", image: "Image") -> Iterator[Noise]:
    from hil.compiler import Compiled, quality

    found = quality.measure(
        Compiled(compiled.program, compiled.graph), {compiled.scenario.input: image}
    )
    for operator in compiled.program.operators:
        yield Noise(
            operator.name,
            operator.output.scale,
            operator.output.zero_point,
            _finite(found.sqnr_db[operator.name]),
            _finite(found.rounding_db[operator.name]),
        )


def _finite(ratio: float) -> float | None:
    return ratio if math.isfinite(ratio) else None


def _written(contents: Contents, scratch: Path) -> Path:
    path = scratch / "scenario.zip"
    path.write_bytes(write(contents))
    return path


def write(contents: Contents) -> bytes:
    """Return a compiled scenario as a file: the same content gives the same bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:

        def add(name: str, content: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(name), content)  # of no time

        told = {name: getattr(contents, name) for name in _Document.__dataclass_fields__}
        add(_DOCUMENT, msgspec.json.encode(_Document(**told), enc_hook=_plain))
        for name in _ARRAYS:
            array = io.BytesIO()
            np.save(array, getattr(contents, name), allow_pickle=False)
            add(f"{name}.npy", array.getvalue())
        for name, content in contents.sources.items():
            add(f"{_SOURCES}{name}", content)
    return file.getvalue()


def read(data: bytes) -> Contents:
    """Read what `write` made.

    Raises:
        ValueError, KeyError, OSError, BadZipFile: it is something else.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        document = msgspec.json.decode(archive.read(_DOCUMENT), type=_Document)
        arrays = {
            name: np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
            for name in _ARRAYS
        }
        sources = {
            Path(name).name: archive.read(name)
            for name in archive.namelist()
            if name.startswith(_SOURCES)
        }
    return Contents(**vars(document), **arrays, sources=sources)


def _plain(value: Any) -> Any:
    """Turn NumPy's numbers into Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"{type(value).__name__} is no plain figure")
