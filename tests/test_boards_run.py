"""Other boards than the paper's, each one file: a small layer runs on them within their memory."""

from pathlib import Path

import numpy as np
import pytest
import random_programs
from test_end_to_end import LAYER, measure, open_session, verdicts

from hil.compiler.plan import Budget, make_plan
from hil.config import board as boards
from hil.config import scenario
from hil.paths import BOARDS

_CCM = """[[memory]]
name = "ccm"
address = 0x1000_0000
bytes = 65_536
uses = ["data"]                 # on the core's data bus only: never code, never DMA
"""


@pytest.fixture(
    scope="module",
    params=["nucleo_f439zi", "stm32f407g_disc1", "stm32f429i_disc1", "no_ccm", "nucleo_l4r5zi"],
)
def board_name(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A board of ours, or the path of a board without CCM, its link on other pins."""
    if request.param != "no_ccm":
        return str(request.param)
    text = (BOARDS / "stm32f407g_disc1.toml").read_text(encoding="utf-8")
    assert _CCM in text
    path = tmp_path_factory.mktemp("board") / "no_ccm.toml"
    others = text.replace('"PA2"', '"PD5"').replace('"PA3"', '"PD6"')
    path.write_text(others.replace(_CCM, ""), encoding="utf-8")
    return str(path)


def test_a_board_of_another_size_is_one_file(board_name: str, tmp_path: Path) -> None:
    path = tmp_path / "layer.toml"
    path.write_text(LAYER, encoding="utf-8")
    session = open_session(tmp_path)
    session.board = board = boards.load(board_name)
    session.scenarios = [scenario.load(str(path))]
    prepared = session.prepare(session.scenarios[0])
    for section in prepared.image.sections:
        region = next(r for r in board.regions if r.holds(section.address))
        assert section.address + section.bytes <= region.end
        assert (section.name, "code" in region.uses) != (".text", False)
    assert (prepared.image.footprint.ccm_static_bytes > 0) == (board.ccm is not None)
    result = measure(session, prepared)
    assert np.array_equal(result.outputs, prepared.expected)
    assert verdicts(result) == set()


def test_the_papers_detector_fits_an_stm32f407_too() -> None:
    board = boards.load("stm32f407g_disc1")
    plan = make_plan(random_programs.face_m4(), Budget.of(board))
    assert plan.arena_bytes <= board.sram.bytes == 128 << 10
    assert plan.flash_bytes <= board.flash.bytes == 1 << 20
