"""Numbers that the firmware's headers and the compiler share are stated once, in the headers."""

import re
from pathlib import Path

import pytest

from hil import limits
from hil.errors import BuildError
from hil.limits import limit
from hil.paths import FIRMWARE

PAGE = Path(__file__).parent.parent / "docs" / "protocol.md"


def test_a_limit_is_what_its_header_says() -> None:
    stated = {name: value for path in limits.HEADERS for name, value in limits.read(path).items()}
    assert len(stated) >= 10
    assert {name: limit(name) for name in stated} == stated


def test_an_unknown_limit_is_named_with_those_that_are_known() -> None:
    with pytest.raises(BuildError, match=r"HEADS_MOST_EARS; known are .*HEADS_MOST_PARTS"):
        limit("HEADS_MOST_EARS")


@pytest.mark.parametrize("line", ["MOST = 1 << 4,", "MOST = 16", "most = 16,", "", "MOST = 0x10,"])
def test_a_header_that_cannot_be_read_is_no_header_of_limits(tmp_path: Path, line: str) -> None:
    header = tmp_path / "limits.h"
    header.write_text(f"enum {{\n    LEAST = 1,\n    {line}\n}};\n", encoding="utf-8")
    with pytest.raises(BuildError, match="no `NAME = number,`"):
        limits.read(header)


def test_no_other_file_of_the_firmware_states_a_limit() -> None:
    names = {name for path in limits.HEADERS for name in limits.read(path)}
    for path in sorted(FIRMWARE.rglob("*.[ch]*")):
        if path not in limits.HEADERS and path.is_file():
            stated = set(re.findall(r"\b(\w+) = \d", path.read_text(encoding="utf-8")))
            assert not stated & names, path


def test_the_page_on_the_link_says_how_many_layers_can_be_counted() -> None:
    assert f"room to count {limit('MODEL_MOST_LAYERS')} layers" in PAGE.read_text(encoding="utf-8")
