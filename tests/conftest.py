"""Fixtures that several test files share, and a cache of builds of the tests' own."""

import gc
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from sanitizers import check_emulator, sanitized

from hil.build import kept

_LONGEST = (
    *("test_faults.py", "test_kernels.py", "test_kernels_cortex_m4.py", "test_firmware.py"),
    *("test_mutants.py", "test_end_to_end.py", "test_plan.py", "test_kernels_figures.py"),
    *("test_plan_flash.py", "test_cli.py", "test_kernels_dense.py", "test_plugin.py"),
    *("test_quantise.py", "test_fixtures.py", "test_debug_port_commands.py", "test_objects.py"),
    *("test_counts.py", "test_without_torch.py", "test_debug_port.py", "test_silent_core.py"),
    *("test_firmware_runs.py", "test_kernels_registry.py", "test_boards_run.py"),
    *("test_boards_served.py", "test_contracts.py", "test_stream.py", "test_firmware_fuzz.py"),
)
"""Files to begin with, or one core works on the last of them while the others wait."""

pytest_plugins = ["pytester"]

_CACHE = Path(__file__).parent.parent / "build" / "test-cache"
_MOST_BYTES = 2 << 30

# Said in the environment, so that subprocesses of tests keep their builds there too.
os.environ["HIL_CACHE"] = str(_CACHE)
# What zig makes of its own libraries serves tests with another cache too.
for place in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"):
    os.environ[place] = str(_CACHE / kept.ZIG)
# A worker a core: threads of torch's and numpy's would wait for each other by spinning, and the
# networks are small. Some tests took ten times the CPU time.
for library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(library, "1")
if sanitized():
    check_emulator()
if sanitized() and hasattr(os, "RTLD_DEEPBIND"):
    del (
        os.RTLD_DEEPBIND
    )  # capstone loads itself so where it can; the sanitizers' runtime refuses it
# A developer's own boards are not the tests'.
os.environ["HIL_CONFIG"] = str(_CACHE / "no-configuration")


# A shell has what it runs in the background ignore interrupts, and so would its children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An example takes as long as a busy machine lets it.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One worker more than cores: tests of boards that do not answer wait, some for seconds."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    known = hasattr(os, "sched_getaffinity")
    return 1 + (len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, in the order of the list."""
    places = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Seek no garbage while tests are collected: what is imported stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Have garbage sought less often and not in what stays: it took half the time of some tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 2, 30)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Delete the builds that no test has used for longest, where they take up too much."""
    if not hasattr(session.config, "workerinput"):
        found = kept.files(_CACHE)
        kept.delete(_CACHE, kept.to_prune(found, time.time(), max_bytes=_MOST_BYTES))
