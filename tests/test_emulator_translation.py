"""Additions that set the Q flag, translated to host instructions: nothing comes out otherwise."""

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sums import PAIRS, RUN, SUMS, WORDS

from hil.build import native
from hil.errors import BuildError
from hil.studies.bench import emulator as bench
from hil.targets.emulator.core import translation

TIMEOUT_S = 120
PROVED_HERE = (
    sys.platform == "linux" and platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc"
)
WHY_SLOW = {
    "late": "something else imported Unicorn before",
    "another": "it is not proved with this Unicorn on this machine",
    "wrong": "Unicorn's translation does not pass through it",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What sums.py finds, by how Unicorn was loaded."""
    program = Path(__file__).with_name("sums.py")
    files = {how: tmp_path_factory.mktemp(how) / "found.json" for how in ("first", *WHY_SLOW)}
    running = {
        how: subprocess.Popen(
            [sys.executable, str(program), how, str(file)], stderr=subprocess.PIPE, text=True
        )
        for how, file in files.items()
    }
    for how, process in running.items():
        _, said = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, f"{how}: {said}"
    return {how: json.loads(file.read_text(encoding="utf-8")) for how, file in files.items()}


@pytest.mark.skipif(not PROVED_HERE, reason="proved with Linux on x86-64 and glibc alone")
def test_the_unicorn_that_is_installed_is_the_one_that_it_is_proved_with(
    outcomes: Mapping[str, Any],
) -> None:
    assert outcomes["first"]["slow_because"] is None


@pytest.mark.skipif(not PROVED_HERE, reason="proved with Linux on x86-64 and glibc alone")
@pytest.mark.parametrize("how", WHY_SLOW)
def test_elsewhere_unicorn_does_as_it_always_did_and_it_is_said_why(
    outcomes: Mapping[str, Any], how: str
) -> None:
    assert outcomes[how]["slow_because"] == WHY_SLOW[how]


@pytest.mark.parametrize("error", [BuildError("no", hint="", stage="compile"), OSError("no")])
def test_where_it_cannot_be_built_unicorn_does_as_it_always_did(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(translation, "_library", lambda: Path("libunicorn.so.2"))
    monkeypatch.setattr(translation, "_is_proved", lambda _library: True)
    monkeypatch.setattr(native, "load", fail)
    assert "cannot be built or loaded: " in (translation._load() or "")


@pytest.mark.parametrize("reason", [None, *WHY_SLOW.values()])
def test_the_bench_says_which_of_the_two_it_is(
    monkeypatch: pytest.MonkeyPatch, reason: str | None
) -> None:
    monkeypatch.setattr(translation, "_slow_because", reason)
    said = bench.how_it_adds()
    assert ("host instructions" in said) == (reason is None)
    assert (reason or "") in said


@pytest.mark.parametrize("what", ["sums", "blocks", "fault", "mixed", "stopped", "copy"])
@pytest.mark.parametrize("how", ["first", "another", "wrong"])
def test_nothing_comes_out_otherwise(outcomes: Mapping[str, Any], how: str, what: str) -> None:
    """Sums and flags, where blocks end, a fault, cycles, a stop, another copy of Unicorn."""
    assert outcomes[how][what] == outcomes["late"][what]


def test_blocks_that_sums_fill_are_as_long_as_unicorn_lets_them_be(
    outcomes: Mapping[str, Any],
) -> None:
    blocks = outcomes["first"]["blocks"]
    assert sum(size for _, size in blocks) == 4 * RUN
    assert max(size for _, size in blocks) > 900


@pytest.mark.parametrize("name", [*SUMS, "smuad", "smuadx"])
def test_sums_and_the_flag_are_as_the_architecture_says(
    outcomes: Mapping[str, Any], name: str
) -> None:
    found = [tuple(outcome) for outcome in outcomes["first"]["sums"][name]]
    assert name in SUMS or name in PAIRS
    count = len(WORDS) ** (3 if name in SUMS else 2)
    assert found == [_expected(name, choice) for choice in range(count)]


def _expected(name: str, choice: int) -> tuple[int, int]:
    """Return r0 and Q, which was set before every third choice."""
    a, b, c = (WORDS[choice // len(WORDS) ** number % len(WORDS)] for number in range(3))
    product = _product(name, a, b)
    total = product + (_signed(c, 32) if name in SUMS else 0)
    # Unicorn sets Q for the products alone too, which on silicon the third addend may undo.
    overflow = any(value != _signed(value, 32) for value in (product, total))
    return total & 0xFFFF_FFFF, int(overflow or choice % 3 == 0)


def _product(name: str, a: int, b: int) -> int:
    if name.startswith("smlaw"):
        return _signed(a, 32) * _half(b, name[5]) >> 16
    if name in ("smlabb", "smlabt", "smlatb", "smlatt"):
        return _half(a, name[4]) * _half(b, name[5])
    first, second = ("t", "b") if name.endswith("x") else ("b", "t")
    sign = -1 if name.startswith("smlsd") else 1
    return _half(a, "b") * _half(b, first) + sign * _half(a, "t") * _half(b, second)


def _half(word: int, which: str) -> int:
    return _signed(word >> 16 if which == "t" else word, 16)


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value
