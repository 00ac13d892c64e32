"""Runs photographs through a network: float and integers, in one process or in several.

Each process compiles the network and, where boards are asked for, has a board of its own. A process
that dies costs the photograph it was at, and another takes its place.
"""

import atexit
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from multiprocessing import get_context

from hil.compiler.integers.recipe import AUTO
from hil.config import board as boards
from hil.config.scenario import Scenario
from hil.errors import BuildError, MeasurementError, MemoryLimitError, UsageError
from hil.run import calibration
from hil.run.compiled import QuantisedScenario, quantise_scenario
from hil.run.evaluation.answer import Answer
from hil.run.evaluation.asker import Asker
from hil.run.mismatch import compare
from hil.studies.answering_board import AnsweringBoard, BoardOptions
from hil.vision.datasets import Dataset, Example

_MOST_DEATHS = 3  # of processes, one after the other, before the rest is not tried


@dataclass(frozen=True)
class Task:
    """What answers, and how; the same for every process.

    Attributes:
        board: by name, that the network is planned for.
        on_board: what runs the integers; None where nothing but the reference does.
        checked: names of the photographs that go to the board; None for all.
        least_score: that a box must exceed.
        classes: of the dataset; 0 where it is for detection.
    """

    scenario: Scenario
    board: str
    on_board: BoardOptions | None
    checked: frozenset[str] | None
    least_score: float
    classes: int

    def goes_to_board(self, name: str) -> bool:
        """Whether a photograph's integers are to be a board's."""
        return self.on_board is not None and (self.checked is None or name in self.checked)


class Worker:
    """A compiled network, and a board once one is needed."""

    def __init__(self, task: Task) -> None:
        """Compile the network; where every photograph goes to a board, its firmware too.

        Raises:
            UsageError: it does not answer what the dataset asks.
            BuildError, MemoryLimitError: it does not become firmware.
        """
        self._task = task
        self._board: AnsweringBoard | None = None
        if task.on_board is not None and task.checked is None:
            self._board = AnsweringBoard(task.scenario, task.on_board)
            compiled: QuantisedScenario = self._board.prepared.compiled
        else:
            compiled = quantise_scenario(task.scenario, boards.load(task.board))
        self._asker = Asker(compiled, task.classes, task.least_score)

    def answer(self, example: Example) -> Answer:
        """Ask float and integers; an error becomes an answer that says so.

        Raises:
            MeasurementError: the network does not become firmware, or the board failed too often.
        """
        start = time.perf_counter()
        try:
            answer = self._answer(example)
        except (BuildError, MemoryLimitError):
            raise
        except (UsageError, MeasurementError) as error:
            if self._board is not None and self._board.is_given_up:
                raise
            return Answer(example.name, error=error.what)
        return replace(answer, seconds=time.perf_counter() - start)

    def close(self) -> None:
        """Let the board go."""
        if self._board is not None:
            self._board.close()

    def _answer(self, example: Example) -> Answer:
        options = self._task.on_board
        if options is None or not self._task.goes_to_board(example.name):
            return self._asker.by_reference(example)
        photograph = self._asker.photograph(example)
        if self._board is None:
            self._board = AnsweringBoard(self._task.scenario, options)
        result = self._board.answer(photograph)
        prepared = result.prepared
        mismatch = compare(result.outputs, prepared.expected)
        return replace(
            self._asker.made(example, photograph, prepared.float_outputs, result.outputs),
            on_board=True,
            mismatches=mismatch.count if mismatch else 0,
            cycles=result.cycles,
        )


def head(task: Task, dataset: Dataset) -> dict[str, object]:
    """Say what answers, so that answers of unlike runs are not mixed.

    Args:
        task: what is evaluated.
        dataset: the photographs.

    Returns:
        what stands in the first line of `answers.jsonl`.
    """
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
        "quantise": [*scenario.quantise, *([task.board] if AUTO in scenario.quantise else [])],
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
    """Have one process for each job, each with one photograph at a time."""
    left = iter(wanted)
    pools = [_process(task) for _ in range(min(jobs, len(wanted)))]
    at: dict[Future[Answer], tuple[int, Example]] = {}
    deaths = [0] * len(pools)

    def give(number: int) -> None:
        example = next(left, None)
        if example is not None:
            at[pools[number].submit(_answer, example)] = (number, example)

    try:
        for number in range(len(pools)):
            give(number)
        while at:
            done, _ = wait(at, return_when=FIRST_COMPLETED)
            for future in done:
                number, example = at.pop(future)
                try:
                    answer = future.result()
                    deaths[number] = 0
                except BrokenProcessPool as error:
                    deaths[number] += 1
                    if deaths[number] == _MOST_DEATHS:
                        raise UsageError(
                            f"{_MOST_DEATHS} processes died one after the other",
                            hint="fewer --jobs take less memory; --resume keeps the answers",
                        ) from error
                    answer = Answer(example.name, error="the process that computed it died")
                    pools[number].shutdown(wait=False)
                    pools[number] = _process(task)
                yield answer
                give(number)
    finally:
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)


def _process(task: Task) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin, initargs=(task,))


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
