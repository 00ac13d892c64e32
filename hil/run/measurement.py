"""One scenario on one target: build the image, run it, keep what came back."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Protocol

from hil import files
from hil.config.board import Board
from hil.config.scenario import Scenario
from hil.errors import UsageError
from hil.run import detections, laps, named
from hil.run.compiled import answers
from hil.targets.spent import NOTHING, Moment, Spent

if TYPE_CHECKING:
    from hil.build.firmware import Image, Toolchain
    from hil.compiler.program import Float32, Int8, Program, Quantised
    from hil.link.client import Device, Run
    from hil.link.speed import Quality
    from hil.results.details import Noise
    from hil.run.closeness import Closeness
    from hil.run.compiled import CompiledScenario
    from hil.run.core_clock import CoreClock
    from hil.run.evaluation.scores import Evaluation
    from hil.run.facts import Network, Schedule
    from hil.run.recovery import Ladder
    from hil.targets.base import Target
    from hil.vision.detection import Box
    from hil.vision.photographs import Rgb8

_BITS_A_BYTE = 10  # of the UART: a start bit, eight, a stop bit
_BYTES_A_LAYER = 128  # of the request for its cycles, and the answer with its name

Progress = Callable[[str], None]
"""Told the stage that begins, in words for a person."""


class Spending(Protocol):
    """A target's `spending`."""

    def __call__(self, *, causes: bool) -> AbstractContextManager[list[Moment] | None]:
        """Note the board's own count while the block runs; None where it has none."""


def silent(stage: str) -> None:
    """Progress for those who do not watch."""
    del stage


def _unsaid(*, causes: bool) -> AbstractContextManager[list[Moment] | None]:
    del causes
    return nullcontext()


@dataclass
class Stopwatch:
    """Host seconds by stage: build, flash, load, run."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to the stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class Prepared:
    """A scenario's firmware for a board, with the outputs that it must produce.

    Attributes:
        board: that it is for, with its activations where the plan has them.
        network, schedule: what a run asks of the program and the plan.
        input: the quantised image, int8, (rows, columns, channels).
        expected: the integer reference's outputs, (count,).
        float_outputs: the PyTorch model's outputs on the same image, (count,).
        closeness: of the integers to the float model, on this photograph and others.
        compile: gives the network, the program and the plan themselves.
        maps: digests of the integer reference's maps on this photograph, by name.
        noise: of the operators' outputs on the scenario's photograph.
        evaluation: of the network on the scenario's dataset; None where it has none.
    """

    scenario: Scenario
    board: Board
    network: "Network"
    schedule: "Schedule"
    input: "Int8"
    expected: "Quantised"
    float_outputs: "Float32"
    toolchain: "Toolchain"
    image: "Image"
    closeness: "Closeness"
    compile: "Callable[[], CompiledScenario]"
    maps: Mapping[str, int] = field(default_factory=dict)
    noise: "tuple[Noise, ...]" = ()
    evaluation: "Evaluation | None" = None

    @property
    def compiled(self) -> "CompiledScenario":
        """The network, the program and the plan; compiled now where they came from the cache."""
        return self.compile()

    @property
    def program(self) -> "Program":
        """The quantised network, as `compiled` gives it."""
        return self.compiled.program


@dataclass(frozen=True)
class LayerCycles:
    """Cycles of one layer of the schedule, and the MACs that the model states for it."""

    name: str
    macs: int
    cycles: int


@dataclass(frozen=True, eq=False)
class Iteration:
    """One inference of a measurement.

    Attributes:
        outputs: (count,).
        cycles: from input in memory to outputs in memory.
        waiting_cycles: beside them, for the host: a streaming model's image and results.
        layers: of the schedule, in order.
        spent: what the cycles of each layer went to; empty where the target cannot say.
        counts: cycles of each layer by the board's own count; empty where it has none.
        seconds: of the whole by the host's clock; None where it was disturbed.
    """

    outputs: "Quantised"
    cycles: int
    waiting_cycles: int
    layers: tuple[LayerCycles, ...]
    spent: tuple[Spent, ...] = ()
    counts: tuple[int, ...] = ()
    seconds: float | None = None


@dataclass(frozen=True)
class Measurement:
    """What one scenario did on one target.

    Attributes:
        target, timing: the target's name and the pedigree of its counts.
        iterations: all of them, in order; at least one.
        stack_bytes: high-water mark.
        resends: frames sent again, both ways. retries: attempts beyond the first to set up.
        recoveries: how often each rung of the recovery ladder was tried.
        clock: of the core, as measured; None where cycles are a model's.
        falls_back: whether the core runs from the internal oscillator, its crystal dead.
        line: how the serial line was when the board was greeted; None where it is none of wires.
        seconds: host seconds by stage.
    """

    prepared: Prepared
    target: str
    timing: str
    iterations: tuple[Iteration, ...]
    stack_bytes: int
    resends: int
    retries: int
    seconds: dict[str, float]
    recoveries: Mapping[str, int] = field(default_factory=dict)
    clock: "CoreClock | None" = None
    falls_back: bool = False
    line: "Quality | None" = None

    @property
    def clock_hz(self) -> float:
        """Cycles a second: as measured, else as the board's file says."""
        return self.prepared.board.clock_hz if self.clock is None else self.clock.hz

    @property
    def middle(self) -> Iteration:
        """The iteration of median cycles, the faster of the two in the middle.

        On silicon counts vary by a few cycles (bus matrix, interrupts); elsewhere all are equal.
        """
        by_cycles = sorted(self.iterations, key=lambda iteration: iteration.cycles)
        return by_cycles[(len(by_cycles) - 1) // 2]

    @property
    def outputs(self) -> "Quantised":
        """Outputs of the middle iteration, (count,)."""
        return self.middle.outputs

    @property
    def cycles(self) -> int:
        """Cycles of one inference: of the middle iteration."""
        return self.middle.cycles

    @property
    def waiting_cycles(self) -> int:
        """Cycles of the middle iteration for the host, beside the others."""
        return self.middle.waiting_cycles

    @property
    def layers(self) -> tuple[LayerCycles, ...]:
        """Layers of the middle iteration, in order."""
        return self.middle.layers

    def layer(self, name: str) -> LayerCycles:
        """Return one layer of the middle iteration.

        Raises:
            UsageError: the schedule has no layer of this name; the error lists those it has.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UsageError.unknown("layer", name, [layer.name for layer in self.layers])

    @property
    def values(self) -> "dict[str, Float32]":
        """The outputs as real numbers, (rows, columns, channels) each, by the scenario's names."""
        return named.values(self.prepared.scenario, self.prepared.network.output, self.outputs)

    @property
    def label(self) -> str | None:
        """The label of the greatest output; None where the scenario has no labels."""
        return named.label(self.prepared.scenario, self.prepared.network.output, self.outputs)

    def detections(self, least_score: float | None = None) -> "list[Box]":
        """Return the faces that the board's outputs stand for: see `hil.run.detections.boxes`.

        Args:
            least_score: that a face must exceed, 0 to 1; None for the usual.

        Returns:
            Boxes, the best first; their edges are shares of the picture's width and height.

        Raises:
            UsageError: the network is no detector.
        """
        network = self.prepared.network
        return detections.boxes(network, network.output.dequantise(self.outputs), least_score)

    @property
    def latency_s(self) -> float:
        """Seconds per inference at the core's clock."""
        return self.cycles / self.clock_hz

    @property
    def counted(self) -> str:
        """What the target's counter counts: "cycles" or "instructions"."""
        return "instructions" if self.timing == "instructions" else "cycles"

    @property
    def counts_exactly(self) -> bool:
        """Whether equal inferences take equal counts on the target."""
        return self.timing != "silicon"


def prepare(
    scenario: Scenario,
    board: Board,
    toolchain: "Toolchain",
    watch: Stopwatch,
    progress: Progress = silent,
    *,
    keep: Callable[[Path], None] | None = None,
    anew: bool = False,
) -> Prepared:
    """Build a scenario's firmware for a board, and compute what it must answer.

    Args:
        scenario: what is built.
        board: that it is built for.
        toolchain: that builds it.
        watch: gains the stages `compile` and `build`.
        progress: told each stage.
        keep: given the folder of generated sources before they are compiled; None for nobody.
        anew: compile and build it, whatever earlier runs have kept.

    Raises:
        UsageError: unknown model, or a checkpoint or photograph that cannot be read.
        MemoryLimitError: no schedule fits the board; the error names the region and the bytes.
        BuildError: the firmware does not compile.
    """
    from hil.build import firmware
    from hil.build.once import written
    from hil.run import kept

    with watch.stage("compile"):
        known, compile_now = kept.take_or_make(
            scenario, board, lambda: progress(f"compiling {scenario.model}"), anew=anew
        )
    board = replace(board, arena_outside=known.schedule.arena_outside)
    progress(f"building the firmware with {toolchain}")
    with watch.stage("build"), written(Path(gettempdir()), "TMPDIR"), files.scratch() as scratch:
        known.write_sources(scratch)
        if keep is not None:
            keep(scratch)
        image = firmware.build(scratch, board, toolchain, anew=anew)
    return Prepared(
        scenario=scenario,
        board=board,
        network=known.network,
        schedule=known.schedule,
        input=known.input,
        expected=known.expected,
        float_outputs=known.float_outputs,
        toolchain=toolchain,
        image=image,
        closeness=known.closeness,
        compile=compile_now,
        maps=known.maps,
        noise=known.noise,
    )


def with_photograph(prepared: Prepared, photograph: "Rgb8") -> Prepared:
    """Compute what a scenario's firmware must answer on another photograph, (rows, columns, 3).

    Args:
        prepared: a scenario with its firmware.
        photograph: uint8, R, G, B.
    """
    quantised, expected, real = answers(prepared.compiled, photograph)
    return replace(prepared, input=quantised, expected=expected, float_outputs=real, maps={})


def measure(
    prepared: Prepared,
    device: "Device",
    watch: Stopwatch,
    *,
    target: "type[Target]",
    ladder: "Ladder | None" = None,
    progress: Progress = silent,
    spending: Spending = _unsaid,
) -> Measurement:
    """Run a prepared scenario on a board that has said hello, as often as the scenario asks.

    Args:
        prepared: the scenario with its firmware.
        device: the board, which has said hello.
        watch: gains the stages `load` and `run`.
        target: what stands for the board.
        ladder: of attempts to set up; None where there was none.
        progress: told each stage.
        spending: notes the board's own count.

    Raises:
        LinkError, SilenceError: the board stopped answering.
        FirmwareFault: the firmware took a fault exception.
    """
    count, iterations = prepared.scenario.iterations, []
    work_s, run_s = longest_work_s(prepared, target.timing), longest_run_s(prepared, target.timing)
    for number in range(1, count + 1):
        with device.within(run_s, f"inference {number} of {count}, its image and its outputs"):
            with watch.stage("load"):
                progress(f"sending the image ({prepared.input.nbytes:,} B)")
                device.load_input(prepared.input.tobytes())
            with watch.stage("run"):
                progress(f"running inference {number} of {count}")
                with _noting(prepared, spending) as moments:
                    run = device.run(per_layer=True, work_s=work_s)
            outputs = prepared.network.output.decode(device.outputs())
        iterations.append(_iteration(run, outputs, _laps(prepared, moments)))
    return Measurement(
        prepared=prepared,
        target=target.name,
        timing=target.timing,
        iterations=tuple(iterations),
        stack_bytes=device.memory().stack_high_water_bytes,
        resends=device.resends,
        retries=ladder.retries if ladder is not None else 0,
        recoveries=ladder.counts if ladder is not None else {},
        seconds=dict(watch.seconds),
        line=device.line,
    )


def longest_work_s(prepared: Prepared, timing: str) -> float:
    """Return the seconds after which a silent inference is given up, by the cycles it should take.

    Silicon is believed to take three times of it, and 5 s for the host. An emulated core shares
    its machine with others: twenty times, and 30 s.

    Args:
        prepared: the scenario, with its plan.
        timing: the pedigree of the counts.
    """
    expected_s = _expected_work_s(prepared)
    return 5 + 3 * expected_s if timing == "silicon" else 30 + 20 * expected_s


def longest_run_s(prepared: Prepared, timing: str) -> float:
    """Return the seconds that an inference has with all that crosses the line for it.

    Expected are the cycles of `longest_work_s`, and at the link's speed the bytes of the image, the
    outputs and the layers. Silicon has three times of both, and 30 s; an emulated board twenty
    times, and two minutes.

    Args:
        prepared: what runs.
        timing: of the target: "silicon", "modelled" or "instructions".
    """
    size = prepared.input.nbytes + prepared.expected.nbytes
    size += _BYTES_A_LAYER * len(prepared.schedule.layers)
    expected_s = _expected_work_s(prepared) + size * _BITS_A_BYTE / prepared.board.baud
    return 30 + 3 * expected_s if timing == "silicon" else 120 + 20 * expected_s


def _expected_work_s(prepared: Prepared) -> float:
    return prepared.schedule.cycles / prepared.board.clock_hz


def _noting(prepared: Prepared, spending: Spending) -> AbstractContextManager[list[Moment] | None]:
    """Note causes too, but not while the image comes in: at thousands of reads it takes minutes."""
    if spending is _unsaid:
        return _unsaid(causes=False)
    return spending(causes=not prepared.schedule.streams)


def _laps(
    prepared: Prepared, moments: Sequence[Moment] | None
) -> list[list[tuple[Moment, Moment]]]:
    """Return between which moments each layer was computed; nothing where none can be noted."""
    return [] if moments is None else laps.by_layer(prepared.schedule.laps, moments)


def _spent(pairs: Sequence[Sequence[tuple[Moment, Moment]]]) -> tuple[Spent, ...]:
    """Return what each layer's cycles went to; nothing where it was not noted."""
    known = [[b.spent - a.spent for a, b in layer if a.spent and b.spent] for layer in pairs]
    return tuple(sum(layer, NOTHING) for layer in known) if any(known) else ()


def _iteration(
    run: "Run", outputs: "Quantised", pairs: Sequence[Sequence[tuple[Moment, Moment]]]
) -> Iteration:
    return Iteration(
        outputs=outputs,
        cycles=run.cycles,
        waiting_cycles=run.waiting_cycles,
        layers=tuple(LayerCycles(layer.name, layer.macs, layer.cycles) for layer in run.layers),
        spent=_spent(pairs),
        counts=tuple(sum(b.cycles - a.cycles for a, b in layer) for layer in pairs),
        seconds=run.seconds,
    )
