"""The examples of docs/extending.md, as they stand there."""

import re
from pathlib import Path

import numpy as np
import pytest
from test_end_to_end import measure, open_session, verdicts

from hil.build import chips
from hil.config import board as boards
from hil.config import scenario
from hil.models import own
from hil.results import metrics
from hil.targets import GROUP

_ROOT = Path(__file__).parent.parent
_PAGE = (_ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", _PAGE, re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the files of the page."""
    for name, text in _BLOCKS:
        if "/" not in name:
            (tmp_path / name).write_text(text, encoding="utf-8")
    assert {"nets.py", "thumbs.toml", "nucleo_f429zi.toml"} <= {name for name, _ in _BLOCKS}
    return tmp_path


def test_the_model_of_the_page_runs_on_the_board_of_the_page(project: Path) -> None:
    session = open_session(project)
    session.board = boards.load(str(project / "nucleo_f429zi.toml"))
    session.scenarios = [scenario.load(str(project / "thumbs.toml"))]
    result = measure(session, session.prepare(session.scenarios[0]))
    assert np.array_equal(result.outputs, result.prepared.expected)
    assert verdicts(result) == set()
    assert result.label in {"up", "down"}
    assert result.layer("pool").cycles > 0
    assert (result.prepared.board.name, result.prepared.board.uart) == ("nucleo_f429zi", "usart3")


def test_the_page_shows_the_operator_and_the_kernel_as_they_are() -> None:
    shown = re.findall(r"```(?:python\n#|c\n/\*) (\S+/\S+)(?: \*/)?\n(.*?)```", _PAGE, re.DOTALL)
    assert len(shown) >= 4
    for path, text in shown:
        assert text.rstrip() in (_ROOT / path).read_text(encoding="utf-8"), path


def test_the_page_names_every_entry_of_a_scenarios_own_network_and_of_a_board() -> None:
    shapes = (scenario._Input, scenario._Output, boards._BoardFile, boards._Memory, boards._Link)
    for shape in shapes:
        for name in shape.__struct_fields__:
            assert re.search(rf"\b{name}\b", _PAGE), name


def test_the_page_names_the_groups_of_entry_points_and_the_tables() -> None:
    for group in (own.GROUP, chips.GROUP, GROUP):
        assert f'[project.entry-points."{group}"]' in _PAGE
    for path in re.findall(r"`((?:hil|firmware|boards|tests)/[\w/.]+)`", _PAGE):
        assert (_ROOT / path).exists(), path
    assert metrics.KINDS
