"""One run of the harness: its options, the boards it takes, and the rows it gathers."""

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hil import files
from hil.config.board import Board
from hil.config.scenario import Scenario
from hil.errors import FirmwareFault, HilError, MeasurementError, UsageError, Verdict
from hil.link.transcript import Transcript
from hil.paths import SCENARIOS
from hil.results import details, metrics
from hil.results.compare import Comparison
from hil.results.figures import Key
from hil.results.report import junit
from hil.results.rows import (
    Context,
    Metric,
    Row,
    RunIdentity,
    commit_of,
    harness,
    in_context,
)
from hil.results.rules import Grade
from hil.results.store import Store
from hil.run import (
    artefacts,
    calibration,
    chosen,
    core_clock,
    crash,
    judge,
    locate,
    measurement,
    parts,
    plausible,
    preflight,
    same_board,
    silent_core,
)
from hil.run import details as run_details
from hil.run.artefacts import Artefacts
from hil.run.budget import Budget
from hil.run.chosen import Scenarios
from hil.run.evaluation import kept as kept_evaluation
from hil.run.evaluation import of_scenario
from hil.run.measurement import Measurement, Prepared, Progress, Stopwatch, silent
from hil.run.recovery import Ladder
from hil.targets import choice
from hil.targets.recovery import Rung

if TYPE_CHECKING:
    from hil.build.firmware import Toolchain
    from hil.link.client import Device
    from hil.targets.base import Target

_SILICON = "silicon"
_PROBE = "probe"
_END = "time.end"


@dataclass
class Session:
    """What one call of the harness runs, and what it has measured so far.

    Attributes:
        timeout_s: longest silence of a board. retries: further attempts after a set-up error.
        budget: time for all of it.
        why_target: why the target stands for the board.
        store: where `write` puts the rows; None where they are not kept.
        known: loads further scenarios, with what the command line names.
        shares: whether the run has sessions of other boards too, whose files stand beside.
        anew: whether what earlier runs have compiled and built is left alone.
    """

    board: Board
    scenarios: Sequence[Scenario]
    target: "type[Target]"
    toolchain: "Toolchain"
    identity: RunIdentity
    store: Store | None
    timeout_s: float
    retries: int
    budget: Budget = field(default_factory=Budget)
    progress: Progress = silent
    why_target: str = ""
    known: Scenarios = field(default_factory=Scenarios)
    shares: bool = False
    anew: bool = False
    rows: list[Row] = field(default_factory=list)
    _watches: dict[str, Stopwatch] = field(default_factory=dict)
    _ladders: dict[str, Ladder] = field(default_factory=dict)
    _looks: dict[str, core_clock.Look] = field(default_factory=dict)
    _targets: "dict[str, Target]" = field(default_factory=dict)
    _transcripts: dict[str, Transcript] = field(default_factory=dict)
    _uids: dict[str, str] = field(default_factory=dict)
    _metrics: dict[str, dict[str, Metric]] = field(default_factory=dict)

    @classmethod
    def from_options(
        cls,
        options: argparse.Namespace,
        progress: Progress = silent,
        *,
        identity: RunIdentity | None = None,
        part: str = "",
        shares: bool = False,
    ) -> "Session":
        """Resolve the command line's options, so that a wrong name is told before anything runs.

        Args:
            options: as pytest parsed them.
            progress: told every stage.
            identity: of the run, where other processes take part in it; None for one of its own.
            part: this process's name in the run, where it is not alone.
            shares: whether the run has sessions of other boards too.

        Raises:
            UsageError: unknown board, scenario or target. BuildError: no such compiler.
        """
        from hil.build import firmware

        files.sweep()
        board = chosen.board_of(options, progress)
        target = choice.choose(options.hil_target, board)
        known = Scenarios(
            image=options.hil_input,
            checkpoint=options.hil_checkpoint,
            calibration=options.hil_calibration,
            iterations=options.hil_iterations,
        )
        scenarios = [known.load(name) for name in chosen.names_of(options, board)]
        preflight.check(scenarios)
        preflight.check_writable(options.hil_csv)
        preflight.check_cache()
        if target.name != _PROBE and (options.hil_port or options.hil_probe):
            raise UsageError(
                f"--hil-port and --hil-probe are a real board's, and {target.name} stands for the "
                f"board: {target.why}",
                hint="add --hil-target=probe, or leave them out",
            )
        identity = identity or RunIdentity.now(Path.cwd())
        return cls(
            board=board,
            scenarios=list({one.name: one for one in scenarios}.values()),
            target=target.kind,
            why_target=target.why,
            toolchain=replace(
                firmware.find_toolchain(options.hil_toolchain), contracts=options.hil_contracts
            ),
            identity=identity,
            store=Store.beside(
                options.hil_csv, identity.run, history=options.hil_history_dir, part=part
            ),
            timeout_s=options.hil_timeout,
            retries=options.hil_retries,
            budget=Budget(options.hil_budget),
            progress=progress,
            known=known,
            shares=shares,
            anew=options.hil_no_cache,
        )

    def check_can_compile(self, scenarios: Sequence[Scenario]) -> None:
        """Look whether scenarios that are about to run are compiled or can be.

        Args:
            scenarios: those of the session, or of a test's marker.

        Raises:
            UsageError: they cannot, since torch is not installed.
        """
        preflight.check_can_compile(scenarios, self.board, anew=self.anew)

    def artefacts(self, scenario: Scenario) -> Artefacts | None:
        """Return where the files of a scenario's run go; None where rows are not kept either."""
        if self.store is None:
            return None
        name = f"{scenario.name}.{self.board.name}" if self.shares else scenario.name
        taken = name == self.store.history.name
        return Artefacts(
            self.store.csv.parent / (f"{name}.scenario" if taken else name), self.progress
        )

    def prepare(self, scenario: Scenario) -> Prepared:
        """Compile and build a scenario, and evaluate it on its dataset where it has one."""
        watch = self._watch(scenario)
        kept = self.artefacts(scenario)
        if kept is not None:
            kept.forget()
        with self._outcome(scenario):
            self.target.require(self.board)
            prepared = measurement.prepare(
                scenario,
                self.board,
                self.toolchain,
                watch,
                self.progress,
                keep=kept.keep_sources if kept is not None else None,
                anew=self.anew,
            )
            if scenario.dataset is not None:
                with watch.stage("weigh"):
                    evaluation = kept_evaluation.take_or_ask(
                        scenario, self.board, prepared.compile, self.progress, anew=self.anew
                    )
                prepared = replace(prepared, evaluation=evaluation)
        if kept is not None:
            kept.keep_image(prepared)
        return prepared

    @contextmanager
    def flashed(self, prepared: Prepared) -> Iterator["Device"]:
        """Flash the image and hold the board while the block runs; retry a failed set-up."""
        watch = self._watch(prepared.scenario)
        try:
            with ExitStack() as end, ExitStack() as stack:
                with self._outcome(prepared.scenario):
                    device = self._attempt(prepared, stack)
                yield device
                end.enter_context(watch.stage("end"))  # left when the board is released
        finally:
            self._note_end(prepared.scenario, watch)
            self._keep_transcript(prepared.scenario)

    def _note_end(self, scenario: Scenario, watch: Stopwatch) -> None:
        """Add what releasing the board took to a measurement whose rows are kept already."""
        measured = [row for row in self.rows if row.context.scenario == scenario.name]
        if "end" in watch.seconds and any(row.metric.name == "time.run" for row in measured):
            others = [row for row in self.rows if row not in measured or row.metric.name != _END]
            seconds = Metric(_END, watch.seconds["end"], "s")
            self.rows[:] = [*others, *in_context(measured[-1].context, [seconds])]
            self.write()

    def _keep_transcript(self, scenario: Scenario) -> None:
        kept, transcript = self.artefacts(scenario), self._transcripts.get(scenario.name)
        if kept is not None and transcript is not None:
            kept.keep_transcript(transcript)

    def measure(self, prepared: Prepared, device: "Device") -> Measurement:
        """Run the scenario and keep its rows.

        Args:
            prepared: the scenario with its firmware.
            device: the board, flashed and greeted.
        """
        name = prepared.scenario.name
        with self._outcome(prepared.scenario), self._explained(prepared, device):
            result = measurement.measure(
                prepared,
                device,
                self._watch(prepared.scenario),
                target=self.target,
                ladder=self._ladders.get(name),
                progress=self.progress,
                spending=self._targets[name].spending,
            )
            self._check(result, device)
            result = self._with_clock(result)
        judged = self._located(judge.judge(result), result, device)
        self._metrics[name] = {metric.name: metric for metric in judged}
        context = replace(
            self._context(prepared.scenario),
            build_id=prepared.image.build_id.hex(),
            board_uid=self._uids.get(name, ""),
        )
        self._keep(name, in_context(context, parts.whole(judged, result)))
        kept = self.artefacts(prepared.scenario)
        if kept is not None:
            kept.keep_outputs(result)
        if self.store is not None:
            details.write(run_details.of(result, self.identity.run), self.store.csv)
        return result

    def _keep(self, scenario: str, rows: Sequence[Row]) -> None:
        """Keep the rows of a measurement, in place of what says that there was none."""
        self.rows[:] = [
            row
            for row in self.rows
            if row.context.scenario != scenario or row.metric.verdict is not Verdict.ERROR
        ]
        self.rows += rows
        self.write()

    def _with_clock(self, result: Measurement) -> Measurement:
        """Have silicon's seconds come from a clock that was measured."""
        name = result.prepared.scenario.name
        debugger = self._targets[name].debugger
        falls_back = core_clock.falls_back(self.board, debugger)
        if falls_back:
            self.progress(core_clock.FALLBACK)
        since, clock = self._looks.get(name), None
        if since is not None and debugger is not None:
            clock = core_clock.measure(debugger, since, self.board.clock_hz)
            self._looks[name] = core_clock.look(debugger)
        return replace(result, clock=clock, falls_back=falls_back)

    def _check(self, result: Measurement, device: "Device") -> None:
        debugger = self._targets[result.prepared.scenario.name].debugger
        plausible.check(plausible.Evidence(result, device.memory(), debugger))

    def _located(self, judged: list[Metric], result: Measurement, device: "Device") -> list[Metric]:
        """Note where wrong outputs begin, if there are any and the target has a debugger."""
        return [
            replace(metric, note=self._where(result, device))
            if metric.verdict is Verdict.MISMATCH and metric.name == "output.mismatches"
            else metric
            for metric in judged
        ]

    def _where(self, result: Measurement, device: "Device") -> str:
        target = self._targets.get(result.prepared.scenario.name)
        try:
            if target is None or target.debugger is None:
                return f"{result.target} has no debugger to find the layer with"
            self.progress("looking for the first layer that differs")
            prepared, outputs = result.prepared, result.outputs
            found = locate.locate(prepared, device, target.debugger, outputs)
        except HilError as error:
            return f"the layer was not found: {error}"
        return str(found) if found else "every map that can be read is right"

    def judged(self, scenario: Scenario) -> list[str]:
        """Name the metrics that a scenario has on the session's target and that have a limit."""
        asked = of_scenario.asked(scenario, scenario.limits_on(self.board.name))
        return metrics.judged(self.target.timing, scenario.iterations, asked)

    def metric(self, result: Measurement, name: str) -> Metric | None:
        """Return a judged metric of a measurement, None where its target does not measure it.

        Args:
            result: the measurement.
            name: the metric's.
        """
        return self._metrics[result.prepared.scenario.name].get(name)

    def properties(self, result: Measurement, metric: Metric) -> list[junit.Property]:
        """Return what JUnit has of a judged metric; of a scenario's first one, all its figures.

        Args:
            result: the measurement.
            metric: one of its judged metrics.
        """
        name = result.prepared.scenario.name
        context = next(row.context for row in reversed(self.rows) if row.context.scenario == name)
        judged = self._metrics[name]
        first = next(one for one in judged.values() if one.limit is not None)
        all_figures = junit.of_scenario(judged.values()) if metric is first else []
        kept = self.artefacts(result.prepared.scenario)
        place = [("artefacts", str(kept.folder))] if kept is not None else []
        return [*junit.of_metric(context, metric), *place, *all_figures]

    def mark(self, scenario: str, found: Comparison) -> None:
        """Give the rows that became worse against a baseline the verdict `regression`.

        Args:
            scenario: the scenario's name.
            found: its comparison with the baseline.
        """
        worse = {one.metric for one in found.changes if one.grade is Grade.REGRESSION}
        self.rows[:] = [
            replace(row, metric=replace(row.metric, verdict=Verdict.REGRESSION))
            if row.context.scenario == scenario
            and row.metric.name in worse
            and row.metric.verdict is Verdict.PASS
            else row
            for row in self.rows
        ]
        self.write()

    def place(self, scenario: Scenario) -> tuple[str, str, str, str]:
        """Return where a baseline has the scenario's entry: see `hil.results.figures.Key`."""
        return Key.of(self._context(scenario)).place

    def write(self) -> None:
        """Keep the rows gathered so far, if there are any."""
        if self.rows and self.store is not None:
            self.store.write(self.rows)

    def all_rows(self) -> list[Row]:
        """Return this run's rows, those of its other processes too."""
        return self.rows or (self.store.rows() if self.store is not None else [])

    def _attempt(self, prepared: Prepared, stack: ExitStack) -> "Device":
        """Open, flash, reset, greet; raises the last attempt's error."""
        ladder = Ladder(self.target, self.board, self.retries, self.progress)
        self._ladders[prepared.scenario.name] = ladder
        rung: Rung | None = None
        while True:
            try:
                with ExitStack() as trial:
                    device = self._take(prepared, trial, rung)
                    stack.push(trial.pop_all())
                    return device
            except MeasurementError as error:
                rung = ladder.next(error)
                if rung is None:
                    raise

    def _take(self, prepared: Prepared, stack: ExitStack, rung: Rung | None) -> "Device":
        name = prepared.scenario.name
        target = self.target(self.board)
        target.progress, target.rung, target.anew = self.progress, rung, self.anew
        with self._watch(prepared.scenario).stage("start"):
            try:
                stack.enter_context(target)
            finally:  # so that a board which cannot be taken is known all the same
                self._uids[name] = target.known_uid
        self._targets[name] = target
        with self._watch(prepared.scenario).stage("flash"):
            self.progress(f"flashing {self.board.name} ({target.name})")
            self._uids[name] = target.unique_id()
            target.flash(prepared.image)
            target.reset()
            if target.debugger is not None:
                target.debugger.forget_resets()
            device = self._ladders[name].greet(target, partial(self._greet, prepared, target))
            same_board.check(prepared.image, device, target.debugger)
            plausible.check_clock(self.board, target.debugger)
            if target.timing == _SILICON and target.debugger is not None:
                self._looks[name] = core_clock.look(target.debugger)
        return device

    def _greet(self, prepared: Prepared, target: "Target", within_s: float | None) -> "Device":
        from hil.link.client import Device

        timeout_s = min(self.timeout_s, within_s or self.timeout_s)
        name = prepared.scenario.name
        transcript = self._transcripts.setdefault(name, Transcript(time.monotonic))
        device = Device(
            target.serial(), timeout_s=timeout_s, clock=target.clock(), transcript=transcript
        )
        with self._explained(prepared):
            plausible.check_hello(prepared, device.expect(prepared.image))
            if within_s is None and target.wired:
                device.settle(self.progress, self.board.baud)
        if within_s is not None:
            return self._greet(prepared, target, None)
        return device

    def _watch(self, scenario: Scenario) -> Stopwatch:
        return self._watches.setdefault(scenario.name, Stopwatch())

    @contextmanager
    def _explained(self, prepared: Prepared, device: "Device | None" = None) -> Iterator[None]:
        """Ask the core what it does when the board no longer answers as it should.

        Args:
            prepared: what runs.
            device: the board, once it has been greeted.
        """
        try:
            yield
        except MeasurementError as error:
            debugger = self._targets[prepared.scenario.name].debugger
            found = silent_core.cause(error, prepared.image, debugger, self.board)
            if isinstance(found, FirmwareFault):
                self._place(found, prepared, device)
            if found is error:
                raise
            raise found from error

    def _place(self, fault: FirmwareFault, prepared: Prepared, device: "Device | None") -> None:
        """Say where in the source the firmware crashed."""
        if not fault.registers:
            return
        debugger = self._targets[prepared.scenario.name].debugger
        core = None
        if device is not None and debugger is not None:
            self.progress("running it again up to the crash")
            core = crash.again(prepared.image, prepared.input.tobytes(), device, debugger)
        kept = self.artefacts(prepared.scenario)
        shown = kept.folder / artefacts.IMAGE if kept is not None else None
        crash.explain(fault, prepared.image.elf, core, shown)

    @contextmanager
    def _outcome(self, scenario: Scenario) -> Iterator[None]:
        """Give an error that ends a measurement its row."""
        try:
            with self.budget.spending():
                yield
        except MeasurementError as error:
            self._end(scenario, error.verdict, error.what)
            raise
        except KeyboardInterrupt:
            self._end(scenario, Verdict.TIMEOUT, "interrupted")
            raise

    def note_unmeasured(self, scenario: Scenario, why: str) -> None:
        """Keep a row of a scenario that something without a verdict kept from being measured.

        A scenario that has rows keeps those alone.

        Args:
            scenario: the scenario.
            why: what ended its set-up, in one line.
        """
        if not any(row.context.scenario == scenario.name for row in self.rows):
            self._end(scenario, Verdict.ERROR, why)

    def _end(self, scenario: Scenario, verdict: Verdict, why: str) -> None:
        """Keep a row of a measurement that ended early."""
        ladder = self._ladders.get(scenario.name)
        note = ladder.told(why) if ladder is not None else why
        ended = Metric("outcome", 0, "", verdict=verdict, note=note)
        uid = self._uids.get(scenario.name, "")
        self.rows += in_context(replace(self._context(scenario), board_uid=uid), [ended])
        self.write()

    def _context(self, scenario: Scenario) -> Context:
        target = self.target
        return Context(
            **vars(self.identity) | {"commit": self._commit(scenario), "harness": harness()},
            scenario=scenario.name,
            model=scenario.model,
            board=self.board.name,
            target=target.name,
            timing=target.timing,
            clock_hz=self.board.clock_hz,
            toolchain=str(self.toolchain),
            fingerprint=self._fingerprint(target, scenario),
            rules=target.timing_version(),
            wait_states=self.board.flash_wait_states,
        )

    def _commit(self, scenario: Scenario) -> str:
        """Return the commit of the scenario's repository, else of the harness's."""
        return commit_of(scenario.directory.resolve()) or commit_of(SCENARIOS)

    def _fingerprint(self, target: "type[Target]", scenario: Scenario) -> str:
        """What cycle counts depend on beside the source; rows compare when theirs are equal."""
        board = self.board
        clock = f"clock={board.clock_hz} wait-states={board.flash_wait_states}"
        counts = f"{self.toolchain.fingerprint} {clock} timing={target.timing_version()}"
        options = f"quantise={','.join(scenario.quantise)}" if scenario.quantise else ""
        return " ".join(filter(None, (counts, calibration.fingerprint(scenario), options)))
