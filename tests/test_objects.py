"""Objects kept by content: which files an image compiles anew, and that its bytes are the same."""

import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_model
from made_boards import with_wait_states

from hil import paths
from hil.build import firmware, toolchain
from hil.build.firmware import Image, Toolchain, build, find_toolchain
from hil.config import board as boards
from hil.config.board import Board

MODEL = {"model.c", "weights.c"}
OF_THE_BOARD = {"serve.c", "clock.c", "sdram.c", "uart.c"}

Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A firmware without kernels, a model, and a cache with the objects of their image."""
    root = tmp_path_factory.mktemp("made")
    shutil.copytree(paths.FIRMWARE, root / "firmware")
    for source in (root / "firmware" / "kernels").glob("*.c"):
        source.unlink()
    tiny_model.write(root / "model")
    return root


@pytest.fixture
def board() -> Board:
    return boards.load("stm32f439")


class Desk:
    """A folder of firmware and its cache, and what the last build compiled."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.firmware = root / "firmware"
        self._log = root / "compiled.txt"
        zig = find_toolchain("zig")
        script = root / "bin" / "zig"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\necho "$@" >> {self._log}\nexec {zig.program} "$@"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        self.zig = replace(zig, program=script)

    def build(
        self, board: Board, compiler: Toolchain | None = None, *, anew: bool = False
    ) -> Image:
        self._log.write_text("")
        return build(self.root / "model", board, compiler or self.zig, anew=anew)

    def compiled(self) -> set[str]:
        """The sources that the compiler was given."""
        lines = self._log.read_text().splitlines()
        return {Path(line.split()[-1]).name for line in lines if " -c " in line}


@pytest.fixture
def desk(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: Board) -> Desk:
    """The firmware of an image that was built, the image itself forgotten."""
    monkeypatch.setenv("HIL_CACHE", str(made / "cache"))
    if not (made / "cache").exists():
        _point_at(made, monkeypatch)
        built = Desk(made)
        built.build(board)
        assert {"start.c", "memory.c"} | OF_THE_BOARD | MODEL <= built.compiled()
        shutil.rmtree(made / "cache" / "firmware")
    root = Path(shutil.copytree(made, tmp_path / "desk"))
    monkeypatch.setenv("HIL_CACHE", str(root / "cache"))
    _point_at(root, monkeypatch)
    return Desk(root)


def _point_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "FIRMWARE", root / "firmware")
    monkeypatch.setattr("hil.build.chips._OURS", root / "firmware" / "chips")
    monkeypatch.setattr(toolchain, "_TOOLCHAINS", root / "firmware" / "toolchains")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_another_folder_compiles_the_model_alone_and_links_the_same_image(
    desk: Desk, board: Board
) -> None:
    image = desk.build(board)
    assert desk.compiled() == MODEL
    shutil.rmtree(desk.root / "cache" / "firmware")
    anew = desk.build(board, anew=True)
    assert desk.compiled() > MODEL | OF_THE_BOARD
    assert anew.elf.read_bytes() == image.elf.read_bytes()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("runtime/stack.c", {"stack.c"}),
        ("runtime/link_bytes.h", {"link.c", "serve.c", "faults.c", "greet.c"}),
        ("runtime/board.h.in", OF_THE_BOARD),
        ("chips/stm32f4/registers.h", OF_THE_BOARD - {"serve.c"}),
    ],
)
def test_a_changed_file_compiles_what_includes_it_however_far(
    desk: Desk, board: Board, name: str, expected: set[str]
) -> None:
    edit(desk.firmware / name, "\n", "\n\n")
    desk.build(board)
    assert desk.compiled() - MODEL >= expected
    assert "memory.c" not in desk.compiled()


def test_other_values_of_a_board_compile_what_includes_them(desk: Desk, board: Board) -> None:
    desk.build(with_wait_states(replace(board, clock_hz=120_000_000), 3))
    assert desk.compiled() == MODEL | OF_THE_BOARD


@pytest.mark.parametrize("what", ["a flag", "contracts", "a line of CMakeLists.txt"])
def test_whatever_decides_every_object_compiles_all(desk: Desk, board: Board, what: str) -> None:
    compiler = desk.zig
    if what == "a flag":
        compiler = replace(compiler, flags=(*compiler.flags, "-fno-inline"))
    elif what == "contracts":
        compiler = replace(compiler, contracts=True)
    else:
        edit(
            desk.firmware / "CMakeLists.txt",
            "-ffunction-sections",
            "-ffunction-sections -fno-inline",
        )
    desk.build(board, compiler)
    assert desk.compiled() >= MODEL | OF_THE_BOARD | {"memory.c", "start.c"}


@pytest.mark.parametrize(
    "line",
    [
        '#define STACK_H "runtime/other.h"\n#include STACK_H\n',
        '#if __has_include("runtime/other.h")\n#include "runtime/other.h"\n#endif\n',
    ],
    ids=["by a macro", "if it is there"],
)
def test_what_includes_in_other_ways_is_compiled_each_time(
    desk: Desk, board: Board, line: str
) -> None:
    (desk.firmware / "runtime" / "other.h").write_text("enum { OTHER };\n")
    edit(desk.firmware / "runtime" / "stack.c", "#include", f"{line}#include")
    for _ in range(2):
        shutil.rmtree(desk.root / "cache" / "firmware", ignore_errors=True)
        desk.build(board)
        assert desk.compiled() == MODEL | {"stack.c"}


def test_a_damaged_object_is_compiled_again(desk: Desk, board: Board) -> None:
    for kept in (desk.root / "cache" / "objects").iterdir():
        content = bytearray(kept.read_bytes())
        content[len(content) // 2] ^= 1
        kept.write_bytes(content)
    damaged = desk.build(board).elf.read_bytes()
    assert desk.compiled() >= MODEL | OF_THE_BOARD | {"memory.c"}
    assert damaged == desk.build(board, anew=True).elf.read_bytes()
