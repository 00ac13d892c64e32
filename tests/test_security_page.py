"""docs/security.md against the code: limits, entry points, who listens."""

from pathlib import Path

import pytest

from hil.build import chips, image
from hil.config import toml
from hil.link import conversation
from hil.models import checkpoint, own
from hil.results import table
from hil.targets import GROUP
from hil.targets.emulator import chips as emulated_chips
from hil.vision import photographs
from hil.vision.datasets import base

PAGE = (Path(__file__).parent.parent / "docs/security.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("row", "limit"),
    [
        ("scenario, board, inventory", f"{toml.MOST_BYTES >> 20} MiB"),
        ("checkpoint", f"{checkpoint.MAX_BYTES >> 20} MiB"),
        ("photograph", f"{photographs.MAX_PIXELS:,} pixels"),
        ("ELF", f"{image._LARGEST_FILE_BYTES >> 20} MiB"),
        ("results, baseline, history", f"{table.MOST_BYTES >> 20} MiB"),
        ("annotations of a dataset", f"{base.MOST_FILE_BYTES >> 30} GiB"),
        ("what the firmware says", f"{conversation._MOST_LINES} lines of log"),
    ],
)
def test_limits_are_those_of_the_readers(row: str, limit: str) -> None:
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {row} |")]
    assert limit in line


@pytest.mark.parametrize("group", [own.GROUP, GROUP, chips.GROUP, emulated_chips.GROUP])
def test_every_entry_point_is_named_as_code_that_is_executed(group: str) -> None:
    assert f"`{group}`" in PAGE
