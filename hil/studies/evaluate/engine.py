"""Runs photographs through a network: float and integers, in one process or in several.

Each process compiles the network and, where boards are asked for, has an emulated board of its own.
"""

import atexit
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np

from hil.config import board as boards
from hil.config.scenario import Scenario
from hil.errors import MeasurementError, UsageError
from hil.run import calibration, compare, measurement
from hil.run.measurement import CompiledScenario, Measurement, Prepared
from hil.studies.detect import finders
from hil.studies.detect.finders import BoardOptions
from hil.studies.evaluate.answers import Answer, Said
from hil.vision import detection, photographs
from hil.vision.datasets import Dataset, Example

if TYPE_CHECKING:
    from hil.compiler.program import Float32, Int8
    from hil.vision.detection import Float64
    from hil.vision.photographs import Rgb8


@dataclass(frozen=True)
class Task:
    """What answers, and how; the same for every process.

    Attributes:
        on_board: what runs the integers; None where nothing but the reference does.
        checked: names of the photographs that go to the board; None for all.
        least_score: that a box must exceed.
        classes: of the dataset; 0 where it is for detection.
    """

    scenario: Scenario
    on_board: BoardOptions | None
    checked: frozenset[str] | None
    least_score: float
    classes: int


class Worker:
    """A compiled network, and a board once one is needed."""

    def __init__(self, task: Task) -> None:
        """Compile the network.

        Raises:
            UsageError: it does not answer what the dataset asks.
        """
        self._task = task
        board = boards.load(task.on_board.board if task.on_board else "stm32f439")
        self._compiled = measurement.compile_scenario(task.scenario, board)
        self._interpret = _interpreter(self._compiled, task)
        self._stack = ExitStack()
        self._run: Callable[[Prepared], Measurement] | None = None
        self._prepared: Prepared | None = None

    def answer(self, example: Example) -> Answer:
        """Ask float and integers; an error becomes an answer that says so."""
        start = time.perf_counter()
        try:
            answer = self._answer(example)
        except (UsageError, MeasurementError) as error:
            if isinstance(error, MeasurementError):
                self.close()  # the next photograph meets a board that was flashed anew
            return Answer(example.name, error=error.what)
        return replace(answer, seconds=time.perf_counter() - start)

    def close(self) -> None:
        """Let the board go."""
        self._run = None
        self._stack.close()

    def _answer(self, example: Example) -> Answer:
        photograph = photographs.read(example.path)
        rows, columns, _ = photograph.shape
        for marked in example.objects:
            if not (marked.ignored or marked.lies_in(rows, columns)):
                raise UsageError(f"{example.name}: a box outside its {columns}x{rows} pixels")
        _, expected, real = measurement.answers(self._compiled, photograph)
        answer = self._made(example, photograph, real, expected)
        checked = self._task.checked
        options = self._task.on_board
        if options is None or (checked is not None and example.name not in checked):
            return answer
        result = self._on_board(photograph, options)
        mismatch = compare.compare(result.outputs, expected)
        return replace(
            self._made(example, photograph, real, result.outputs),
            on_board=True,
            mismatches=mismatch.count if mismatch else 0,
            cycles=result.cycles,
        )

    def _made(
        self, example: Example, photograph: "Rgb8", real: "Float32", integers: "Int8"
    ) -> Answer:
        dequantised = self._compiled.program.dequantise_output(integers)
        return Answer(
            example.name,
            of_float=self._interpret(real, photograph),
            of_integers=self._interpret(dequantised, photograph),
            sqnr_db=_sqnr_db(real, dequantised),
            clipped=float(np.mean((integers == -128) | (integers == 127))),
        )

    def _on_board(self, photograph: "Rgb8", options: BoardOptions) -> Measurement:
        if self._prepared is None or self._run is None:
            self._prepared, self._run = self._flashed(options)
        return self._run(measurement.with_photograph(self._prepared, photograph))

    def _flashed(self, options: BoardOptions) -> tuple[Prepared, Callable[[Prepared], Measurement]]:
        return self._stack.enter_context(finders.flashed(self._task.scenario, options))


def _interpreter(compiled: CompiledScenario, task: Task) -> "Callable[[Float32, Rgb8], Said]":
    """What turns outputs into what is said of a photograph: boxes in its pixels, or logits."""
    if task.classes:
        count = compiled.program.output.count
        if count != task.classes:
            raise UsageError(
                f"{compiled.scenario.name} tells {count} classes apart, the dataset has "
                f"{task.classes}",
                hint="take a network or a checkpoint with as many classes",
            )
        return lambda outputs, _: (tuple(float(v) for v in outputs),)
    priors = finders.priors_of(compiled.loaded)

    def boxes(outputs: "Float32", photograph: "Rgb8") -> Said:
        return _boxes(outputs, priors, photograph.shape, task.least_score)

    return boxes


def _boxes(
    outputs: "Float32", priors: "Float64", shape: tuple[int, ...], least_score: float
) -> Said:
    rows, columns = shape[:2]
    return tuple(
        (
            round(box.left * columns, 2),
            round(box.top * rows, 2),
            round(box.right * columns, 2),
            round(box.bottom * rows, 2),
            round(box.score, 6),
        )
        for box in detection.detect(outputs, priors, least_score)
    )


def _sqnr_db(real: "Float32", integers: "Float32") -> float:
    """Signal to quantisation noise of the outputs, at most 100 dB."""
    signal = float(np.square(real.astype(np.float64)).sum())
    noise = float(np.square(real.astype(np.float64) - integers).sum())
    if noise <= signal * 1e-10:
        return 100.0
    return 10.0 * float(np.log10(max(signal, 1e-30) / noise))


def head(task: Task, dataset: Dataset) -> dict[str, object]:
    """Say what answers, so that answers of unlike runs are not mixed."""
    scenario = task.scenario
    weights = f"seed {scenario.seed}"
    if scenario.checkpoint is not None:
        try:
            weights = sha256(scenario.checkpoint.read_bytes()).hexdigest()
        except OSError as error:
            raise UsageError(f"cannot read {scenario.checkpoint}: {error}") from error
    return {
        "scenario": scenario.name,
        "model": scenario.model,
        "variant": {name: str(value) for name, value in sorted(scenario.variant.items())},
        "calibration": [*scenario.calibration, calibration.fingerprint(scenario)],
        "weights": weights,
        "dataset": str(dataset.folder.resolve()),
        "score": task.least_score,
    }


def run(task: Task, dataset: Dataset, skip: Sequence[str], jobs: int) -> Iterator[Answer]:
    """Answer every photograph, in the order in which answers come.

    Args:
        task: what answers.
        dataset: of the photographs.
        skip: names of those that are answered already.
        jobs: processes.

    Raises:
        UsageError: the network does not answer what the dataset asks.
    """
    done = frozenset(skip)
    wanted = [example for example in dataset.examples if example.name not in done]
    if jobs == 1 or len(wanted) < 2:
        yield from _in_this_process(task, wanted)
    else:
        yield from _in_processes(task, wanted, jobs)


def _in_this_process(task: Task, wanted: Sequence[Example]) -> Iterator[Answer]:
    worker = Worker(task)
    try:
        for example in wanted:
            yield worker.answer(example)
    finally:
        worker.close()


def _in_processes(task: Task, wanted: Sequence[Example], jobs: int) -> Iterator[Answer]:
    pool = ProcessPoolExecutor(
        min(jobs, len(wanted)), get_context("spawn"), initializer=_begin, initargs=(task,)
    )
    try:
        futures: list[Future[Answer]] = [pool.submit(_answer, example) for example in wanted]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_tasks: list[Task] = []  # of a process of the pool, one


def _begin(task: Task) -> None:
    import signal

    # Ctrl-C is the parent's to deal with.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _tasks.append(task)


@cache
def _worker() -> Worker:
    """Make this process's worker at its first photograph, whose answer can tell what fails."""
    worker = Worker(_tasks[0])
    atexit.register(worker.close)
    return worker


def _answer(example: Example) -> Answer:
    return _worker().answer(example)
