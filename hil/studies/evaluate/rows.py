"""Rows of an evaluation, as a run of the suite has them."""

from collections.abc import Sequence
from pathlib import Path

from hil.config import board as boards
from hil.config.scenario import Scenario
from hil.paths import SCENARIOS
from hil.results import store
from hil.results.rows import Context, Metric, RunIdentity, commit_of, harness, in_context


def write(
    metrics: Sequence[Metric], scenario: Scenario, board: str, target: str, csv: Path
) -> None:
    """Replace a table by these rows, and keep them in the history beside it.

    Args:
        metrics: of the network.
        scenario: whose it is.
        board: that the network was compiled for.
        target: what computed the integers.
        csv: the table.

    Raises:
        UsageError: the folder cannot be written.
    """
    identity = RunIdentity.now(Path.cwd())
    commit = commit_of(scenario.directory.resolve()) or commit_of(SCENARIOS)
    chip = boards.load(board)
    context = Context(
        **vars(identity) | {"commit": commit, "harness": harness()},
        scenario=scenario.name,
        model=scenario.model,
        board=chip.name,
        target=target,
        timing="",
        clock_hz=chip.clock_hz,
        toolchain="",
        fingerprint="",
        wait_states=chip.flash_wait_states,
    )
    store.Store.beside(csv, identity.run).write(in_context(context, metrics))
