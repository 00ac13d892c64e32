"""Counts and plans of networks, kept in the cache of builds: each takes seconds to make.

What is kept goes by the harness's own source, the network and the board, so that a change of any
makes it anew. What is kept is read without torch: that takes seconds to import, or is not there.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from hil import paths
from hil.build.once import digest, made_once
from hil.compiler.macs import Macs
from hil.models.paper import figures
from hil.studies.counts.counted import Counts, Memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.config.board import Board
    from hil.config.scenario import Scenario

_FOLDER = "counts"
_Kept = TypeVar("_Kept")


@dataclass(frozen=True)
class _Counted:
    """What is kept of `Counts`: all but the paper's figures."""

    parameters: int
    macs: Macs
    map_bytes: int
    memory: Memory | None
    weight_bytes: int


def counts(name: str, board: "Board | None" = None) -> Counts:
    """Return `hil.studies.counts.count.of_model`, as it was kept or made now.

    Args:
        name: of the network.
        board: whose memory is planned; None for none.
    """

    def make() -> _Counted:
        from hil.studies.counts.count import of_model

        made = of_model(name, board)
        return _Counted(made.parameters, made.macs, made.map_bytes, made.memory, made.weight_bytes)

    kept = _kept(_Counted, make, "counts", name, _said(board))
    return Counts(model=name, paper=figures(name), **vars(kept))


def fit(scenario: "Scenario", board: "Board") -> Memory:
    """Return the memory that a scenario's network needs on a board, or why it does not fit.

    Weights stand for none and nothing is calibrated, so bytes of flash are an estimate.

    Args:
        scenario: whose network it is.
        board: whose memory is planned.
    """

    def make() -> Memory:
        from hil.run import network
        from hil.studies.counts.count import planned

        made = network.structure(scenario)
        return planned(made, board, scenario.optimise, scenario.stream, scenario.quantise)

    told = (scenario.model, scenario.variant, scenario.preprocessing, scenario.optimise)
    how = (scenario.stream, scenario.quantise)
    return _kept(Memory, make, "fit", _said(told), _said(how), _said(board))


def _kept(kind: type[_Kept], make: "Callable[[], _Kept]", *words: str) -> _Kept:
    """Return what is kept under some words; make it where nothing is."""
    path = paths.cache() / _FOLDER / f"{digest((_source(), *words), ())}.json"

    def write(scratch: Path) -> Path:
        made = scratch / "made.json"
        made.write_bytes(msgspec.json.encode(make()))
        return made

    return msgspec.json.decode(made_once(path, write).read_bytes(), type=kind)


def _said(value: object) -> str:
    """Write a value down alike in every process, sets in order too."""
    return msgspec.json.encode(value, order="deterministic").decode()


@cache
def _source() -> str:
    """Return a digest of the harness's Python."""
    return digest((), (Path(paths.__file__).parent,), frozenset({".py"}))
