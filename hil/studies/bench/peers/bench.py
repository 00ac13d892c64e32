"""Networks layer by layer: our kernels' cycles, and the fewest that each peer takes."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hil import files
from hil.config import board as boards
from hil.config import scenario
from hil.config.board import Board
from hil.errors import MismatchError, UsageError
from hil.run import measurement
from hil.run.measurement import Progress, Stopwatch
from hil.studies.bench.peers import works
from hil.studies.bench.peers.build import Build, builds
from hil.studies.bench.peers.checkouts import Checkout
from hil.studies.bench.peers.core import Outcome, outcomes, with_more_sram
from hil.studies.profile.layers import LayerProfile, of_image

if TYPE_CHECKING:
    from hil.build.toolchain import Toolchain
    from hil.compiler.plan import Plan
    from hil.compiler.program import Program, Quantised
    from hil.studies.bench.peers.works import Work

NETWORKS: Mapping[str, str] = {"face_m4": "blocks.", "vww_base": "", "mlperf_vww": ""}
"""Scenarios, and how the names of the steps begin that are measured."""

_COLUMNS = (
    "network", "step", "layer", "by", "call", "build", "weights_in", "macs", "cycles", "most_off",
    "share_off",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Subject:
    """A network that we ran.

    Attributes:
        name: for people.
        prefix: of the names of its steps that are measured.
        x: the input, int8, (rows, columns, channels).
        ours: the steps' cycles.
        compiler: that built ours.
    """

    name: str
    prefix: str
    program: "Program"
    plan: "Plan"
    x: "Quantised"
    ours: tuple[LayerProfile, ...]
    compiler: str


@dataclass(frozen=True)
class Layer:
    """A layer as one peer computed it at best.

    Attributes:
        best: None where the peer has no kernel for it.
    """

    name: str
    macs: int
    best: Outcome | None


@dataclass(frozen=True)
class Line:
    """A step of our schedule, and the layers that it stands for.

    Attributes:
        layers: by peer.
    """

    network: str
    step: str
    macs: int
    ours: int
    compiler: str
    layers: Mapping[str, tuple[Layer, ...]]

    def cycles(self, peer: str) -> int | None:
        """Of a peer; None where it has no kernel for one of the layers."""
        best = [layer.best for layer in self.layers[peer]]
        return sum(one.cycles for one in best if one) if all(best) else None


def run(
    checkouts: Sequence[Checkout],
    toolchains: Sequence["Toolchain"],
    board: str,
    progress: Progress,
) -> Iterator[Line]:
    """Measure ours and the peers.

    Args:
        checkouts: of the peers.
        toolchains: that the peers are built by; ours is built by the first.
        board: kind of board.
        progress: told before each network and peer.

    Raises:
        MismatchError: an output is wrong. UsageError, MeasurementError: as the suite does.
    """
    kind = boards.load(board)
    with files.scratch() as scratch:
        made = {}
        for checkout in checkouts:
            progress(f"building {checkout}")
            made[checkout.peer] = list(builds(checkout, toolchains, scratch / checkout.peer))
        for subject in subjects(kind, toolchains[0], progress):
            yield from lines(subject, checkouts, made, kind, progress)


def subjects(board: Board, toolchain: "Toolchain", progress: Progress) -> Iterator[Subject]:
    """Build and run our networks.

    Args:
        board: which kind is emulated.
        toolchain: the compiler of our own kernels.
        progress: told each network.

    Raises:
        MismatchError: the outputs are not the reference's.
        UsageError, MeasurementError: as the suite does.
    """
    for name, prefix in NETWORKS.items():
        chosen = replace(scenario.load(name), iterations=1)
        prepared = measurement.prepare(chosen, board, toolchain, Stopwatch(), progress)
        compiled, x = prepared.compiled, prepared.input
        profile = of_image(name, prepared.image, compiled.plan, prepared.board, x.tobytes())
        if profile.outputs != prepared.expected.tobytes():
            raise MismatchError(f"{name}: the outputs are not those of the reference")
        yield Subject(
            name, prefix, compiled.program, compiled.plan, x, profile.layers, str(toolchain)
        )


def lines(
    subject: Subject,
    checkouts: Sequence[Checkout],
    made: Mapping[str, Sequence[Build]],
    board: Board,
    progress: Progress,
) -> Iterator[Line]:
    """Run a network's layers by each peer.

    Args:
        subject: the network.
        checkouts: the peers.
        made: their builds, by peer.
        board: the kind; peers have more SRAM on it.
        progress: told before each step.

    Raises:
        UsageError: a step has an operator that is no layer of a peer's, or a kernel refuses one.
        MismatchError: an output is wrong.
    """
    missing = works.left_out(subject.plan, subject.prefix)
    if missing:
        raise UsageError(f"no peer has a kernel for {', '.join(missing)} of {subject.name}")
    larger = with_more_sram(board)
    by_step: dict[str, list[Work]] = {}
    for work in works.works(subject.program, subject.plan, subject.x, subject.prefix):
        by_step.setdefault(work.step, []).append(work)
    for step in subject.ours:
        if step.name not in by_step:
            continue
        progress(f"{subject.name} {step.name}")
        found = {
            checkout.peer: tuple(
                Layer(
                    work.name, work.layer.macs, _best(work, checkout, made[checkout.peer], larger)
                )
                for work in by_step[step.name]
            )
            for checkout in checkouts
        }
        yield Line(subject.name, step.name, step.macs, step.cycles, subject.compiler, found)


def _best(work: "Work", checkout: Checkout, made: Sequence[Build], board: Board) -> Outcome | None:
    """Return the fewest cycles of a peer's kernels, builds and places of weights."""
    found = [
        outcome
        for call, seen in checkout.ways(work)
        for build in made
        for outcome in outcomes(seen, call, build, board)
    ]
    return min(found, key=lambda outcome: outcome.cycles, default=None)


def whole(lines: Sequence[Line]) -> list[Line]:
    """Sum the steps of each network; a peer's kernel that is missing in one is so in the sum."""
    networks: dict[str, list[Line]] = {}
    for line in lines:
        networks.setdefault(line.network, []).append(line)
    return [
        Line(
            name,
            "whole",
            sum(line.macs for line in of),
            sum(line.ours for line in of),
            of[0].compiler,
            {peer: tuple(x for line in of for x in line.layers[peer]) for peer in of[0].layers},
        )
        for name, of in networks.items()
    ]


def write_csv(lines: Sequence[Line], path: Path) -> None:
    """Write one row for each step of ours and for each layer of a peer.

    Args:
        lines: what was measured.
        path: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for line in lines:
            head = (line.network, line.step)
            ours = ("", "ours", "", line.compiler, "", line.macs, line.ours, 0, 0)
            writer.writerow((*head, *ours))
            for peer, layers in line.layers.items():
                for layer in layers:
                    writer.writerow((*head, layer.name, peer, *_cells(layer)))


def _cells(layer: Layer) -> tuple[object, ...]:
    best = layer.best
    if best is None:
        return ("", "", "", layer.macs, "", "", "")
    share = f"{best.different:.6f}"
    return (best.call, best.build, best.place, layer.macs, best.cycles, best.off, share)
