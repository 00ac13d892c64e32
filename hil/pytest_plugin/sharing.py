"""Under pytest-xdist: all tests of a scenario go to one worker, so that it is measured once."""

from typing import Any

from xdist.scheduler.loadscope import LoadScopeScheduling


class ByScenario(LoadScopeScheduling):
    """Hands out tests scenario by scenario, and tests without one as they come."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """Return what the tests of one scenario have in common: the first part of their parameters.

    pytest-xdist's own groups are not used: with pytest 9.2 its release 3.8 forgets them.
    """
    _, bracket, parameters = nodeid.partition("[")
    return parameters.rstrip("]").partition("-")[0] if bracket else nodeid


def scheduler(config: Any, log: Any) -> LoadScopeScheduling:
    """Return the scheduler of a run; scenarios go out in the order in which workers have them.

    Args:
        config: pytest-xdist's.
        log: pytest-xdist's.
    """
    config.option.loadscopereorder = False
    return ByScenario(config, log)
