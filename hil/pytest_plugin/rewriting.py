"""Modules of this package are imported as they are, but for the suite's.

pytest rewrites the asserts of every module of a distribution that has a plugin for it. Where Python
writes no bytecode it would compile some 250 of ours anew at every start.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

import pytest

_OURS, _TESTS = "hil.", "hil.suite"


class _AsTheyAre(MetaPathFinder):
    """Finds our modules for Python's own loader, before pytest's finder does."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith(_OURS) or name.startswith(_TESTS):
            return None
        return PathFinder.find_spec(name, path, target)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Take our modules out of pytest's hands for as long as it runs."""
    finder = _AsTheyAre()
    sys.meta_path.insert(0, finder)
    early_config.add_cleanup(lambda: sys.meta_path.remove(finder))
