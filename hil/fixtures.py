"""The harness's fixtures under short names, such as `measurement`.

The plugin gives each of them unless another plugin has a fixture of that name; a fixture of a
test's file or of a conftest.py wins over it. Where another plugin has the name,
`from hil.fixtures import *` in a conftest.py chooses ours.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hil.config.board import Board
    from hil.config.scenario import Scenario
    from hil.emulator import Emulator
    from hil.link.client import Device
    from hil.run.measurement import Measurement, Prepared

__all__ = ["board", "device", "emulated_board", "hold", "image", "measurement", "scenario"]


@pytest.fixture(scope="session")
def board(hil_board: "Board") -> "Board":
    """The kind of board under test."""
    return hil_board


@pytest.fixture(scope="session")
def scenario(hil_scenario: "Scenario") -> "Scenario":
    """The scenario that the test runs on: it is run once for each."""
    return hil_scenario


@pytest.fixture(scope="session")
def image(hil_image: "Prepared") -> "Prepared":
    """The scenario's firmware, built, with the outputs that it must produce."""
    return hil_image


@pytest.fixture(scope="session")
def device(hil_device: "Device") -> "Device":
    """The board, flashed with the image and answering, until the scenario's tests are done."""
    return hil_device


@pytest.fixture(scope="session")
def measurement(hil_measurement: "Measurement") -> "Measurement":
    """The scenario's run on the board, of all its iterations; it serves all tests."""
    return hil_measurement


@pytest.fixture
def hold(hil_hold: Callable[[str], None]) -> Callable[[str], None]:
    """Return the check of one metric: fails with the metric's verdict and figures."""
    return hil_hold


@pytest.fixture
def emulated_board() -> "Iterator[Callable[..., Emulator]]":
    """Return a maker of emulated boards with firmware of your own. The test's end closes each.

    It takes what `hil.emulator.Emulator` does: files, and `board=`, `base=` and so on.
    """
    with ExitStack() as stack:

        def make(*files: str | Path, **settings: Any) -> "Emulator":
            from hil.emulator import Emulator

            return stack.enter_context(Emulator(*files, **settings))

        yield make
