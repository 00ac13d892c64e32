"""pytest's part of several cores: the suite's scenarios run beside each other, the longest first.

pytest-xdist does it where it is installed. Only emulated boards are given out without being asked
for, since there are as many of them as anybody wants.
"""

from typing import TYPE_CHECKING

import pytest

from hil.pytest_plugin import progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hil.config.scenario import Scenario
    from hil.run.session import Session

_XDIST = "xdist"
_EMULATOR = "emulator"
_ORDER = "hil_order"
_LONGEST_FIRST = pytest.StashKey[list[str]]()


def use(config: pytest.Config, sessions: "Sequence[Session]") -> None:
    """Give the scenarios to workers, one for each core, unless the command line forbids it.

    It does so with `-n0` or any `-n`, and with what needs the tests in this process: `-s`, `--pdb`.

    Args:
        config: of a run of the suite alone.
        sessions: of the boards that it runs on.
    """
    option = config.option
    count = len({scenario.name for one in sessions for scenario in one.scenarios})
    if not config.pluginmanager.has_plugin(_XDIST) or hasattr(config, "workerinput") or count < 2:
        return
    asked = option.numprocesses is not None or option.dist != "no" or option.tx
    watched = option.capture == "no" or option.usepdb or option.trace or option.collectonly
    emulated = all(one.target.name == _EMULATOR for one in sessions)
    if asked or watched or not emulated:
        return
    workers = min(count, config.hook.pytest_xdist_auto_num_workers(config=config))
    if workers > 1:
        option.numprocesses, option.dist, option.tx = workers, "load", ["popen"] * workers
        config.pluginmanager.register(_Teller(config, count), "hil-cores")


def longest_first(scenarios: "Sequence[Scenario]", known: "Mapping[str, float]") -> list[str]:
    """Sort scenarios by how long they took, or where that is not known of all, by their limits.

    Args:
        scenarios: of a run.
        known: seconds of some in an earlier run.
    """
    took = {one.name: known.get(one.name) for one in scenarios}
    if None in took.values():
        took = {one.name: one.limits.latency_s for one in scenarios}
    return sorted(took, key=lambda name: -(took[name] or 0.0))


def place(config: pytest.Config, scenario: str) -> int:
    """Return where a scenario's tests come in a worker; all alike where nobody has said it."""
    order = getattr(config, "workerinput", {}).get(_ORDER, [])
    return order.index(scenario) if scenario in order else len(order)


def tell(config: pytest.Config, worker_input: "dict[str, object]", session: "Session") -> None:
    """Tell a worker that is about to be started the order of the scenarios: all have to have one.

    Args:
        config: of the process that gives out the tests.
        worker_input: what the worker is told.
        session: of a board.
    """
    if _LONGEST_FIRST not in config.stash:
        known = progress.known(config)
        config.stash[_LONGEST_FIRST] = longest_first(session.scenarios, known)
    worker_input[_ORDER] = config.stash[_LONGEST_FIRST]


class _Teller:
    """Tells the scenarios as workers begin them; their own stages have no terminal."""

    def __init__(self, config: pytest.Config, count: int) -> None:
        self._config, self._count = config, count
        self._begun: list[str] = []

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Write a line when the first test of a scenario begins."""
        from hil.pytest_plugin.sharing import group_of

        name = group_of(nodeid)
        if "[" in nodeid and name not in self._begun:
            self._begun.append(name)
            reporter = self._config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None:
                if reporter._tw.width_of_current_line:  # noqa: SLF001  # dots: pytest keeps no account
                    reporter.write("\n")
                line = f"  [{len(self._begun)}/{self._count}] {name} ..."
                reporter.write_line(line, flush=True)
