"""pytest's part of stale results: a run that pytest refuses leaves no table of an earlier one.

pytest refuses an unknown option before it configures any plugin. So what was asked for is read from
the arguments themselves.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from hil.errors import HilError
from hil.paths import RESULTS

_SUITE = Path(__file__).parent.parent / "suite"
_OURS = ("--hil-", "--board")
_TABLE = "--hil-csv"


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Have the table removed where the command line is refused."""
    config = pluginmanager.get_plugin("pytestconfig")
    if config is not None:
        config.add_cleanup(partial(_forget_if_refused, config))


def _forget_if_refused(config: pytest.Config) -> None:
    """Remove the table of an earlier run if this one ends because of its arguments."""
    arguments = [str(one) for one in config.invocation_params.args]
    if isinstance(sys.exception(), pytest.UsageError) and _asks_for_harness(arguments):
        from hil.results import store

        with suppress(HilError):  # what ends the run is told, and is no table of an earlier one
            store.forget(config.invocation_params.dir / _table(arguments))


def _asks_for_harness(arguments: Sequence[str]) -> bool:
    return any(
        one.startswith(_OURS) or one.partition("::")[0] == "hil.suite" or _names_suite(one)
        for one in arguments
    )


def _names_suite(argument: str) -> bool:
    path = Path(argument.partition("::")[0]).resolve()
    return _SUITE.is_relative_to(path) or path.is_relative_to(_SUITE)


def _table(arguments: Sequence[str]) -> Path:
    """Return the results table that the arguments name, the last of several, or the usual one."""
    table = RESULTS
    for one, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, value = one.partition("=")
        if name == _TABLE:
            table = Path(value or following)
    return table
