"""The fixtures under short names, such as `measurement`, where nobody else has one of the name.

A fixture of a test's file or of a conftest.py wins over a plugin's, as pytest has it. Of two
plugins the one that comes later would win: so ours gives only the names that no other plugin has.
"""

from types import ModuleType

import pytest


@pytest.hookimpl(trylast=True)  # when all plugins and their fixtures are known
def pytest_sessionstart(session: pytest.Session) -> None:
    """Give the short names that are free."""
    from hil import fixtures

    manager = session._fixturemanager  # noqa: SLF001  # pytest has no public way to ask
    ours = ModuleType(fixtures.__name__, fixtures.__doc__)
    for name in fixtures.__all__:
        if not manager.getfixturedefs(name, session):
            setattr(ours, name, getattr(fixtures, name))
    session.config.pluginmanager.register(ours, fixtures.__name__)
