"""C helpers of the harness: for any machine, and what Python takes them to say."""

import ctypes
import os
import platform
import sys
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import pytest

from hil.build import native
from hil.build.kept import TIDIED
from hil.build.native import Mirror, Source
from hil.build.once import made_once
from hil.errors import BuildError
from hil.targets.emulator.core.clock import InstructionClock
from hil.targets.emulator.core.engine import Engine
from hil.targets.emulator.timing import c_side

PAIR = """
#include <stdint.h>
#include "half.h"
typedef struct { uint32_t first; half_t second; uint64_t third; } pair_t;
enum { ANSWER = 42 };
int answer(void);
int answer(void) { return ANSWER; }
"""


class Pair(ctypes.Structure):
    _fields_: ClassVar = [
        ("first", ctypes.c_uint32),
        ("second", ctypes.c_uint16),
        ("third", ctypes.c_uint64),
    ]


class Swapped(ctypes.Structure):
    _fields_: ClassVar = [
        ("second", ctypes.c_uint16),
        ("first", ctypes.c_uint32),
        ("third", ctypes.c_uint64),
    ]


class Wider(ctypes.Structure):
    _fields_: ClassVar = [
        ("first", ctypes.c_uint32),
        ("second", ctypes.c_uint32),
        ("third", ctypes.c_uint64),
    ]


class Head(ctypes.Structure):
    _fields_: ClassVar = [("first", ctypes.c_uint32)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources of a C helper, and a cache of their own."""
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "source"
    root.mkdir()
    (root / "pair.c").write_text(PAIR)
    (root / "half.h").write_text("#include <stdint.h>\ntypedef uint16_t half_t;\n")
    return root


def built() -> list[str]:
    from hil.paths import cache

    return sorted(path.name for path in (cache() / "native").iterdir())


def test_a_helper_is_compiled_once_for_its_sources(folder: Path) -> None:
    source = Source(folder / "pair.c", folder, [Mirror(Pair, "pair_t")], {"ANSWER": 42})
    assert native.load(source).answer() == 42
    names = built()
    assert native.load(replace(source)).answer() == 42
    assert built() == names
    (folder / "half.h").write_text("#include <stdint.h>\ntypedef int16_t half_t;\n")
    native.load(replace(source))
    assert len(built()) == 2


def test_a_helper_s_files_are_read_once_in_a_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(folder / "pair.c", folder)
    loaded = native.load(source)
    monkeypatch.setattr(native, "digest", None)
    assert native.load(source) is loaded


def test_a_helper_is_named_after_machine_library_and_compiler(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(folder / "pair.c", folder)
    native.load(source)
    (name,) = built()
    assert platform.machine() in name
    assert platform.libc_ver()[1] in name
    version = metadata.version("ziglang")
    monkeypatch.setattr(metadata, "version", lambda _name: f"{version}.1")
    native.load(replace(source))
    assert len(built()) == 2


@pytest.mark.slow  # zig compiles its library
@pytest.mark.skipif(sys.maxsize < 1 << 32, reason="no 128-bit integers")
def test_a_helper_that_calls_functions_of_the_compiler_has_them(folder: Path) -> None:
    (folder / "pair.c").write_text(
        "#include <string.h>\ntypedef unsigned __int128 wide_t;\n"
        "int here(int n) {\n char text[99] = {0};\n memset(text, 'a', (size_t)n);\n"
        " const wide_t wide = (wide_t)1 << 100;\n"
        " return (int)(wide / ((wide_t)strlen(text) << 96));\n}\n"
    )
    assert native.load(Source(folder / "pair.c", folder)).here(4) == 4


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names extensions of x86-64")
def test_a_helper_runs_on_any_cpu_of_its_architecture(folder: Path) -> None:
    (folder / "pair.c").write_text(
        "#if defined(__SSE3__) || defined(__SSE4_2__) || defined(__AVX__)\n"
        "#error compiled for this very machine\n#endif\nint here(void) {return 1;}\n"
    )
    assert native.load(Source(folder / "pair.c", folder)).here() == 1


@pytest.mark.parametrize(
    ("mirror", "what"),
    [
        (Mirror(Swapped, "pair_t"), "place of pair_t.second"),
        (Mirror(Wider, "pair_t"), "size of pair_t.second"),
        (Mirror(Head, "pair_t"), "size of pair_t"),
    ],
)
def test_a_structure_that_python_has_otherwise_is_refused(
    folder: Path, mirror: Mirror, what: str
) -> None:
    with pytest.raises(BuildError, match=f"Python has another {what}"):
        native.load(Source(folder / "pair.c", folder, [mirror]))


def test_a_structure_may_be_mirrored_in_part(folder: Path) -> None:
    native.load(Source(folder / "pair.c", folder, [Mirror(Head, "pair_t", whole=False)]))


def test_a_constant_that_python_has_otherwise_is_refused(folder: Path) -> None:
    with pytest.raises(BuildError, match="Python has another ANSWER"):
        native.load(Source(folder / "pair.c", folder, constants={"ANSWER": 41}))


def test_the_emulators_structures_are_those_of_its_c_files() -> None:
    # Compiling them is the check: each names the structures that Python has too.
    c_side.load_library()
    InstructionClock(Engine())


def test_a_file_whose_making_fails_is_not_kept(tmp_path: Path) -> None:
    def fail(scratch: Path) -> Path:
        (scratch / "half").write_text("half")
        raise BuildError("no")

    with pytest.raises(BuildError):
        made_once(tmp_path / "cache" / "whole", fail)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"Whole", b"whol", b"whole and more"])
def test_a_kept_file_that_is_not_as_it_was_made_is_made_again(
    tmp_path: Path, content: bytes
) -> None:
    made: list[Path] = []

    def make(scratch: Path) -> Path:
        made.append(scratch / "made")
        made[-1].write_bytes(b"whole")
        return made[-1]

    place = tmp_path / "cache" / "name-1.2.bin"
    kept = made_once(place, make)
    assert made_once(place, make) == kept
    assert len(made) == 1
    kept.write_bytes(content)
    assert made_once(place, make).read_bytes() == b"whole"
    assert len(made) == 2
    assert list(kept.parent.iterdir()) == [kept]


def test_what_was_long_unused_goes_when_something_is_made(tmp_path: Path) -> None:
    place = tmp_path / "native" / "new.so"
    old = place.with_name("old.so")
    young = place.with_name("young.so")
    place.parent.mkdir()
    for path, days in ((old, 91), (young, 80)):
        path.write_bytes(b"x")
        then = time.time() - days * 86_400
        os.utime(path, (then, then))

    def make(scratch: Path) -> Path:
        (scratch / "made").write_bytes(b"new")
        return scratch / "made"

    kept = made_once(place, make)
    assert set(place.parent.iterdir()) == {kept, young}
    os.utime(young, (then - 20 * 86_400,) * 2)
    other = made_once(place.with_name("other.so"), make)
    assert young.exists()  # looked for within the hour
    mark = tmp_path / TIDIED
    os.utime(mark, (mark.stat().st_mtime - 3601,) * 2)
    third = made_once(place.with_name("third.so"), make)
    assert set(place.parent.iterdir()) == {kept, other, third}


def test_what_a_killed_build_has_left_goes_when_something_is_made(tmp_path: Path) -> None:
    left, running = tmp_path / "native" / "build-left", tmp_path / "native" / "build-running"
    for folder, days in ((left, 2), (running, 0)):
        folder.mkdir(parents=True)
        (folder / "half.o").write_bytes(b"half")
        then = time.time() - days * 86_400
        os.utime(folder, (then, then))

    def make(scratch: Path) -> Path:
        (scratch / "made").write_bytes(b"new")
        return scratch / "made"

    made_once(tmp_path / "native" / "new.so", make)
    assert not left.exists()
    assert (running / "half.o").exists()
