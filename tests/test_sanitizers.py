"""The sanitizers of `make sanitize` find what they are for; so does gcc's static analyser."""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import native
import pytest
import tidy
from sanitizers import SANITIZE, check_emulator, compiler, sanitized

from hil.build import native as product
from hil.paths import FIRMWARE

_OVERFLOW = "int table[4]; int main(int n, char **w) { (void)w; return table[n + 3]; }"
_SHIFT = "int main(int n, char **w) { (void)w; return (1 << (n + 30) << 1) == 0; }"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc on PATH")
@pytest.mark.parametrize(
    ("code", "told"), [(_OVERFLOW, "global-buffer-overflow"), (_SHIFT, "left shift of")]
)
def test_a_planted_fault_is_told(
    code: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SANITIZE, "1")
    (tmp_path / "a.c").write_text(code, encoding="utf-8")
    command = [*compiler(("-std=c11", "-Werror", "-O2")), "a.c", "-o", "a"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    done = subprocess.run([tmp_path / "a"], capture_output=True, text=True, check=False, timeout=60)
    assert told in done.stderr


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc on PATH")
def test_the_emulated_board_s_c_is_compiled_so_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_COMPILER", "_FLAGS", "_ALONE"):
        monkeypatch.setattr(product, name, getattr(product, name))
    check_emulator()
    (tmp_path / "a.c").write_text("int table[4]; int at(int n) { return table[n]; }\n")
    source = product.Source(tmp_path / "a.c", tmp_path)
    built = product._compile(source, tmp_path).read_bytes()
    assert b"__asan_report_load4" in built
    assert b"__ubsan_handle_out_of_bounds" in built


def test_without_the_word_tests_compile_with_zig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SANITIZE, raising=False)
    assert compiler(("-O2",))[0].endswith("/zig")
    assert "-O2" in compiler(("-O2",))


_UNDEFINED = """
#include <stddef.h>
static volatile int one = 1, none, most = 0x7FFFFFFF, at = 4;
static int *volatile nowhere = NULL;
static volatile int sink;
static int table[4];
void shift_out_of_bounds(void) { sink = one << (one + 31); }
void add_overflow(void) { sink = most + one; }
void sub_overflow(void) { sink = -most - 1 - one; }
void mul_overflow(void) { sink = most * most; }
void negate_overflow(void) { sink = -(-most - 1); }
void divrem_overflow(void) { sink = one / none; }
void out_of_bounds(void) { sink = table[at]; }
void builtin_unreachable(void) {
    if (one) __builtin_unreachable();
}
void type_mismatch_v1(void) { sink = *nowhere; }
"""


@pytest.mark.skipif(sanitized(), reason="gcc's runtime ends the process")
@pytest.mark.parametrize("kind", re.findall(r"void (\w+)\(void\)", _UNDEFINED))
def test_undefined_behaviour_in_zig_s_builds_is_told_with_its_place(
    kind: str, undefined: ctypes.CDLL
) -> None:
    lines = _UNDEFINED.splitlines()
    line = 1 + next(n for n, text in enumerate(lines) if f" {kind}(" in text)
    line += lines[line - 1].endswith("{")
    assert not undefined.host_run(undefined[kind])
    told = (ctypes.c_char * 512).in_dll(undefined, "host_broken").value.decode()
    assert told.endswith(f"a.c:{line}: undefined behaviour: {kind}")


@pytest.fixture(scope="module")
def undefined(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("undefined")
    (folder / "a.c").write_text(_UNDEFINED, encoding="utf-8")
    return native.load(folder / "a.c", folder / "a.so")


_BOARD = (
    '#define BOARD_NAME "host"\n#define BOARD_CLOCK_HZ 168000000u\n#define BOARD_BAUD 1000000u\n'
)
_SOURCES = [
    *sorted((FIRMWARE / "runtime").glob("*.c")),
    *sorted((FIRMWARE / "kernels").glob("*.c")),
]
_PLANTED = "#include <stdlib.h>\nvoid twice(void *at) { free(at); free(at); }\n"


def analysed(source: Path, folder: Path) -> str:
    """What gcc's static analyser says of a file; nothing is assembled."""
    (folder / "board.h").write_text(_BOARD, encoding="utf-8")
    command = ["gcc", "-std=gnu11", "-O1", "-fanalyzer", f"-I{FIRMWARE}", f"-I{folder}", "-S"]
    done = subprocess.run(
        [*command, str(source), "-o", "/dev/null"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return "\n".join(line for line in done.stderr.splitlines() if "-Wanalyzer" in line)


@pytest.mark.skipif(tidy.program() is None, reason="needs clang-tidy: pip install clang-tidy")
def test_clang_tidy_finds_a_planted_fault_and_nothing_in_a_kernel(tmp_path: Path) -> None:
    (tmp_path / "planted.c").write_text(_PLANTED, encoding="utf-8")
    program = tidy.program()
    assert program is not None
    (said,) = tidy.complaints(program, [tmp_path / "planted.c"])
    assert "Attempt to release already released memory" in said or "double" in said
    assert tidy.complaints(program, [FIRMWARE / "kernels" / "maxout.c"]) == []


def test_without_clang_tidy_lint_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tidy, "program", lambda: None)
    monkeypatch.setattr("sys.argv", ["tidy.py"])
    assert tidy._main() == 0
    assert "skipped, it is not installed" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc on PATH")
def test_the_static_analyser_finds_nothing_in_the_firmware_and_a_planted_fault(
    tmp_path: Path,
) -> None:
    planted = tmp_path / "planted.c"
    planted.write_text(_PLANTED, encoding="utf-8")
    assert "-Wanalyzer-double-free" in analysed(planted, tmp_path)
    for source in _SOURCES:
        assert analysed(source, tmp_path) == "", source.name
