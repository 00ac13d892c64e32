"""Whatever a TOML file says, it is read or refused in words."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hil.config import board, scenario
from hil.errors import UsageError
from hil.paths import BOARDS, SCENARIOS

_VALUES = (
    *("nan", "-inf", "-1", "0", "1e400", "true", '""', '".."', "[]", "{}", "[[1]]", "{ a = 1 }"),
    *("2020-01-01", "0xFFFF_FFFF_FFFF_FFFF_FFFF", "[" * 2000, '"\\u0000"', "'", "9" * 5000),
)
_KEYS = ("name", "bytes", "hz", "a.b", '""', "memory.x", "limits", "variant.seed", "checkpoint")
_SOURCES = [path.read_text(encoding="utf-8") for path in sorted(BOARDS.glob("*.toml"))] + [
    path.read_text(encoding="utf-8") for path in sorted(SCENARIOS.glob("*.toml"))
]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A file of ours with a few entries of another value, at another place, or cut."""
    lines = draw(st.sampled_from(_SOURCES)).splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        key, equals, _ = lines[at].partition("=")
        value = draw(st.sampled_from(_VALUES))
        match draw(st.integers(0, 4)):
            case 0:
                lines[at] = f"{key}{equals or '='} {value}"
            case 1:
                lines.insert(at, f"{draw(st.sampled_from(_KEYS))} = {value}")
            case 2 if len(lines) > 1:
                del lines[at]
            case 3:
                lines.insert(draw(st.integers(0, len(lines))), lines[at])
            case _:
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
    return "\n".join(lines)


def refusal(path: Path, load: Callable[[str], object]) -> str:
    """What is said of a file that is not read; empty where it is."""
    try:
        load(str(path))
    except UsageError as error:
        return str(error)
    return ""


@settings(max_examples=200, deadline=None)
@given(
    text=st.one_of(mutated(), mutated(), st.text(max_size=80)),
    load=st.sampled_from([board.load, scenario.load]),
)
def test_any_file_loads_or_is_refused_by_name(text: str, load: Callable[[str], object]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "any.toml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        said = refusal(path, load)
    assert not said or "any.toml" in said


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_refused_by_name(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "any.toml"
        path.write_bytes(content)
        assert "any.toml" in refusal(path, board.load)
