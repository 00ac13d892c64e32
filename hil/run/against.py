"""What a run is held to: a committed baseline, or another revision measured beside it."""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hil.config import scenario
from hil.config.scenario import Scenario
from hil.errors import UsageError
from hil.results import baseline, compare, figures, store, words
from hil.results.baseline import Reason
from hil.results.compare import Comparison, Outcome
from hil.results.figures import Figures
from hil.results.rows import Row, RunIdentity
from hil.results.rules import USUAL, Rule, Rules
from hil.run import revisions
from hil.run.revisions import How

_GIT = "git:"
MAKE_ONE = '--hil-update-baseline --hil-why "first baseline"'


@dataclass
class Against:
    """The figures that a run is held to.

    Attributes:
        file: a baseline's; None where a revision is measured instead.
        revision: that revision; empty where there is a file.
        strict: whether a baseline that no longer says what is measured fails the run too.
        history: folder of earlier runs, by which silicon is judged.
        run: this run's name, which is not its own history.
    """

    board: str
    file: Path | None
    revision: str
    how: How
    strict: bool
    rules: Rules
    history: Path
    run: str
    _read: list[Figures] | None = None
    _past: list[Figures] | None = None
    _given: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_options(
        cls, options: argparse.Namespace, scenarios: Sequence[Scenario], identity: RunIdentity
    ) -> "Against | None":
        """Resolve `--hil-baseline`; None where it was not given.

        Args:
            options: as pytest parsed them.
            scenarios: of the run.
            identity: of the run.

        Raises:
            UsageError: the file is a directory or no baseline, or the revision does not exist.
        """
        asked = options.hil_baseline
        if asked is None:
            return None
        refuse_overrides(options)
        revision = asked.removeprefix(_GIT) if asked.startswith(_GIT) else ""
        how = How(options.hil_board, options.hil_target, options.hil_toolchain)
        if revision:
            revision = revisions.resolve(revision, how.repository)
        file = None if revision else Path(asked) if asked else baseline.path_of(options.hil_board)
        if file is not None and file.is_dir():
            raise UsageError(
                f"{file} is a directory, no baseline", hint="write --hil-baseline=FILE, with ="
            )
        against = cls(
            board=options.hil_board,
            file=file,
            revision=revision,
            how=how,
            strict=options.hil_stale == "error" and not revision,
            rules=rules_of(scenarios),
            history=options.hil_history_dir or options.hil_csv.parent / store.HISTORY,
            run=identity.run,
            _given={Path(name).stem: name for name in options.hil_scenario},
        )
        if file is not None and file.exists():
            against._read = baseline.read(file)
        return against

    @property
    def is_new(self) -> bool:
        """Whether there is no baseline yet."""
        return self.file is not None and self._read is None

    @property
    def name(self) -> str:
        """What the run is held to, for a person."""
        return str(self.file) if self.file is not None else f"revision {self.revision[:12]}"

    def compare(self, rows: Sequence[Row], scenario: str) -> Comparison:
        """Compare a scenario's rows of this run.

        Args:
            rows: of this run.
            scenario: the scenario's name.

        Raises:
            BuildError: the revision cannot be measured.
        """
        after = [one for one in figures.gather(rows) if one.key.scenario == scenario]
        known = self._entries(scenario)
        (found,) = compare.compare(known, after, self.rules, history=self._earlier, whole=False)
        return found

    def gone(self, places: Sequence[tuple[str, str, str, str]]) -> list[str]:
        """Name the scenarios that the baseline has for these targets, and these places lack."""
        groups = {place[1:] for place in places}
        return sorted(
            one.key.scenario
            for one in self._read or []
            if one.key.place[1:] in groups and one.key.place not in places
        )

    def fails(self, comparison: Comparison) -> bool:
        """Whether a comparison fails the run."""
        outcome = comparison.outcome
        return outcome.is_worse or (self.strict and outcome.is_stale and not self.is_new)

    def explain(self, comparison: Comparison) -> str:
        """Say in words what moved against the baseline, where, and what to do next."""
        outcome = comparison.outcome
        if outcome is Outcome.MISSING and self.is_new:
            return f"there is no baseline yet; make one: pytest hil/ --hil-all {MAKE_ONE}"
        lines = words.lines(comparison)
        text = f"{outcome} against {self.name}: " + "\n  ".join(["", *lines]).strip()
        if outcome.is_stale and self.file is not None:
            text += '\n  take it in: --hil-update-baseline --hil-why "..."'
        return text

    def _entries(self, scenario: str) -> list[Figures]:
        if not self.revision:
            return self._read or []
        given = self._given.get(scenario, scenario)
        return figures.gather(revisions.measure(self.revision, [given], self.how))

    def _earlier(self, now: Figures, metric: str) -> list[float]:
        """Values of earlier runs on the same board under the same circumstances.

        There are none where the board's unique id is not known: it might be another.
        """
        if not now.board_uid:
            return []
        if self._past is None:
            runs = [name for name in store.runs(self.history) if name != self.run]
            self._past = [
                one for name in runs for one in figures.gather(store.load_run(self.history, name))
            ]
        return [
            value
            for one in self._past
            if one.key == now.key and one.board_uid == now.board_uid
            if (value := one.value(metric)) is not None
        ]


def rules_of(scenarios: Sequence[Scenario]) -> Rules:
    """Return the usual rules, with each scenario's own tolerances before them."""
    return Rules(
        USUAL.usual,
        {
            one.name: {
                metric: Rule(told.better, relative=told.relative, absolute=told.absolute)
                for metric, told in one.tolerances.items()
            }
            for one in scenarios
        },
    )


def rules_of_names(names: Iterable[str]) -> Rules:
    """Return the rules of those scenarios that stand in scenarios/."""
    known = set(names) & set(scenario.names())
    return rules_of([scenario.load(name) for name in sorted(known)])


def refuse_overrides(options: argparse.Namespace) -> None:
    """Refuse to hold other inputs or weights against a baseline: it is of the scenarios' files.

    Raises:
        UsageError: one is given.
    """
    for name in ("hil_input", "hil_checkpoint", "hil_calibration"):
        if getattr(options, name):
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"{option} and a baseline exclude each other",
                hint="write a scenario of its own for that input or these weights",
            )


def update(
    options: argparse.Namespace,
    rows: Sequence[Row],
    scenarios: Sequence[Scenario],
    identity: RunIdentity,
) -> tuple[Path, list[str]]:
    """Take a run's figures into the baseline; return its file and what moved.

    Args:
        options: as pytest parsed them.
        rows: of this run.
        scenarios: of the run.
        identity: of the run.

    Raises:
        UsageError: a scenario failed or was not measured, or no reason is given.
    """
    refuse_overrides(options)
    asked = options.hil_baseline or ""
    file = (
        Path(asked) if asked and not asked.startswith(_GIT) else baseline.path_of(options.hil_board)
    )
    measured = figures.gather(rows)
    _refuse_failures(measured, scenarios)
    reason = Reason(
        when=identity.when,
        commit=identity.commit,
        author=_author(),
        why=options.hil_why,
        flags={figures.digest_of(row.context.compiler): row.context.compiler for row in rows},
    )
    lines = baseline.update(
        file, measured, reason, rules=rules_of(scenarios), whole=options.hil_all
    )
    return file, lines


def _refuse_failures(measured: Sequence[Figures], scenarios: Sequence[Scenario]) -> None:
    lacking = {one.name for one in scenarios} - {one.key.scenario for one in measured}
    failed = {
        f"{one.key.scenario} ({metric.verdict})"
        for one in measured
        for metric in one.metrics.values()
        if metric.verdict not in {"pass", "regression"}
    }
    if lacking or failed:
        raise UsageError(
            f"the baseline is left as it is: {', '.join(sorted(lacking | failed))} did not pass",
            hint="a baseline holds good figures only: mend these, or leave them out",
        )


def _author() -> str:
    try:
        ident = revisions.git(Path(), "var", "GIT_AUTHOR_IDENT")
    except UsageError:
        return ""
    return ident[: ident.rfind(">") + 1]
