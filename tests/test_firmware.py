import os
import shutil
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_model
from compilers import COMPILERS
from made_boards import with_sram, with_wait_states

from hil import paths
from hil.build import firmware, toolchain
from hil.build.firmware import Image, build, find_toolchain
from hil.config import board as boards
from hil.config.board import Board
from hil.errors import BuildError, MemoryLimitError, UsageError, Verdict
from hil.limits import limit

Edit = Callable[[str], str]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without images; objects of the runtime and zig's own files stay shared."""
    objects = paths.cache() / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    own = tmp_path / "cache"
    own.mkdir()
    (own / "objects").symlink_to(objects)
    monkeypatch.setenv("HIL_CACHE", str(own))
    return own


@pytest.fixture
def board() -> Board:
    return boards.load("stm32f439")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model.write(tmp_path / "model")


def edit(path: Path, change: Edit) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


@pytest.fixture(scope="module", params=COMPILERS)
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Image:
    model = tiny_model.write(tmp_path_factory.mktemp("model"))
    return build(model, boards.load("stm32f439"), find_toolchain(request.param))


def test_an_image_lies_where_the_board_has_memory(image: Image, board: Board) -> None:
    assert image.segments[0].address == board.flash.address
    assert all(board.flash.holds(segment.end - 1) for segment in image.segments)
    assert board.ccm is not None
    for section in image.sections:
        region = next(r for r in board.regions if r.holds(section.address))
        assert section.address + section.bytes <= region.end
    stack_top, reset = struct.unpack_from("<II", image.segments[0].data)
    assert board.ccm.holds(stack_top - 1)
    assert board.flash.holds(reset)
    assert reset % 2 == 1, "the reset vector has the Thumb bit"


def test_the_footprint_tells_weights_arena_and_static_data_apart(image: Image) -> None:
    footprint = image.footprint
    assert footprint.flash_weights_bytes == 8
    assert footprint.arena_bytes == tiny_model.INPUT_BYTES
    assert footprint.ccm_static_bytes == footprint.static_bytes, "SRAM is left to the arena"
    assert footprint.static_bytes < 3000, "the whole runtime with its frames"
    assert footprint.stack_reserved_bytes == limit("RUNTIME_STACK_BYTES")
    taken = footprint.stack_reserved_bytes + footprint.static_bytes
    assert taken <= limit("RUNTIME_RAM_BYTES"), "what plans leave free of memory"
    code = footprint.flash_total_bytes - footprint.flash_weights_bytes
    assert code <= limit("RUNTIME_FLASH_BYTES"), "what plans leave free of flash"
    programmed = sum(len(segment.data) for segment in image.segments)
    assert footprint.flash_total_bytes == programmed


def test_a_flipped_weight_in_a_built_image_keeps_its_build_id(image: Image, tmp_path: Path) -> None:
    contents = bytearray(image.elf.read_bytes())
    assert contents.count(tiny_model.WEIGHTS) == 1
    contents[contents.index(tiny_model.WEIGHTS)] ^= 4
    path = tmp_path / "tampered.elf"
    path.write_bytes(contents)
    tampered = Image.read(path)
    assert tampered.build_id == image.build_id
    assert tampered.segments != image.segments


@pytest.mark.parametrize("name", COMPILERS)
def test_clones_in_other_directories_and_environments_build_the_same_bytes(
    name: str, tmp_path: Path, model: Path, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = find_toolchain(name)
    first = build(model, board, compiler)
    clone = tmp_path / "elsewhere" / "and" / "deeper"
    shutil.copytree(paths.FIRMWARE, clone)
    monkeypatch.setattr(firmware, "FIRMWARE", clone)
    monkeypatch.setattr(toolchain, "_TOOLCHAINS", clone / "toolchains")
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "another-cache"))
    shell = {"CFLAGS": "-Os", "LDFLAGS": "-Wl,--no-gc-sections", "CC": "gcc"}
    for variable, value in {**shell, "CMAKE_BUILD_TYPE": "Debug"}.items():
        monkeypatch.setenv(variable, value)
    moved = Path(shutil.copytree(model, tmp_path / "another-model"))
    second = build(moved, board, compiler)
    assert first.elf != second.elf
    assert first.elf.read_bytes() == second.elf.read_bytes()
    for root in (tmp_path, paths.FIRMWARE, compiler.program.parent):
        assert str(root).encode() not in second.elf.read_bytes()


def test_the_same_content_is_built_once(
    model: Path, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(model, board, find_toolchain("zig"))
    monkeypatch.setattr("hil.build.firmware.subprocess.run", None)
    assert build(model, board, find_toolchain("zig")) == first


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("{17,", "{18,"),
        lambda text: text + "\n",
    ],
    ids=["a weight", "a blank line"],
)
def test_changed_sources_make_another_image(model: Path, board: Board, change: Edit) -> None:
    first = build(model, board, find_toolchain("zig"))
    edit(model / "weights.c", change)
    assert build(model, board, find_toolchain("zig")).elf != first.elf


@pytest.mark.slow
def test_another_build_id_for_another_weight_clock_and_compiler_flag(
    model: Path, board: Board
) -> None:
    zig = find_toolchain("zig")
    slower = with_wait_states(replace(board, clock_hz=120_000_000), 3)
    smaller = replace(zig, flags=(*zig.flags, "-Os"))
    ids = {build(model, b, t).build_id for b, t in ((board, zig), (slower, zig), (board, smaller))}
    edit(model / "weights.c", lambda text: text.replace("{17,", "{18,"))
    ids.add(build(model, board, zig).build_id)
    assert len(ids) == 4


def test_two_at_once_build_the_same_image(model: Path, board: Board, own_cache: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        builds = [pool.submit(build, model, board, find_toolchain("zig")) for _ in range(2)]
        first, second = (running.result() for running in builds)
    assert first == second
    assert [path.name for path in (own_cache / "firmware").iterdir()] == [first.elf.name]


def test_a_compiler_behind_links_is_called_from_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package").mkdir()
    program = tmp_path / "package" / "zig"
    program.touch()
    (tmp_path / "linked").symlink_to(tmp_path / "package")
    spec = SimpleNamespace(origin=str(tmp_path / "linked" / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: spec)
    assert toolchain._zig()[0] == program.resolve()


def test_a_damaged_cache_entry_is_built_again(model: Path, board: Board) -> None:
    image = build(model, board, find_toolchain("zig"))
    image.elf.write_bytes(image.elf.read_bytes()[:5000])
    assert build(model, board, find_toolchain("zig")) == image


@pytest.mark.parametrize("name", COMPILERS)
def test_a_compiler_s_complaint_is_shown_and_nothing_else(
    name: str, model: Path, board: Board, own_cache: Path
) -> None:
    edit(model / "model.c", lambda text: text.replace("first(void) {", "first(void) { oops();"))
    with pytest.raises(BuildError, match=r"model\.c:\d+:\d+: error: .*oops") as caught:
        build(model, board, find_toolchain(name))
    assert caught.value.verdict is Verdict.BUILD
    assert "-ffile-prefix-map" not in str(caught.value)
    assert list((own_cache / "firmware").iterdir()) == []


@pytest.mark.parametrize("name", COMPILERS)
def test_a_linker_s_complaint_is_shown(name: str, model: Path, board: Board) -> None:
    edit(model / "model.c", lambda text: text.replace("model_init(void)", "model_begin(void)"))
    with pytest.raises(BuildError, match=r"model_(begin|init)"):
        build(model, board, find_toolchain(name))


@pytest.mark.parametrize("name", COMPILERS)
def test_warnings_are_errors_in_emitted_code_too(name: str, model: Path, board: Board) -> None:
    edit(model / "model.c", lambda text: text + "\nstatic int narrow(long x) { return (char)x; }\n")
    with pytest.raises(BuildError, match="unused"):
        build(model, board, find_toolchain(name))


@pytest.mark.parametrize("name", COMPILERS)
def test_an_image_too_large_names_the_region_and_the_bytes(
    name: str, model: Path, board: Board
) -> None:
    small = with_sram(board, 512)
    with pytest.raises(MemoryLimitError, match=r"SRAM.*by \d+ bytes"):
        build(model, small, find_toolchain(name))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"uart": "usart9"}, "undeclared identifier 'SERIAL_usart9'"),
        ({"tx": "PB9"}, "usart1 is on PA9, PA10 or PB6, PB7"),
        ({"rx": "PB10"}, "usart1 is on PA9, PA10 or PB6, PB7"),
        ({"clock_hz": 168_000_001}, "multiple of 2 MHz"),
        ({"baud": 40_000_000}, "cannot reach this baud rate"),
        ({"chip": "stm32h7"}, "no start-up code for the chip stm32h7"),
    ],
    ids=str,
)
def test_a_board_that_the_chip_cannot_be_is_told(
    model: Path, board: Board, change: dict[str, str | int], complaint: str
) -> None:
    with pytest.raises(BuildError, match=complaint):
        build(model, replace(board, **change), find_toolchain("zig"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uart", "tx", "rx"),
    [("usart1", "PB6", "PB7"), ("usart2", "PD5", "PD6"), ("usart3", "PC10", "PC11")],
)
def test_other_serial_ports_and_pins_of_the_chip_can_carry_the_link(
    model: Path, board: Board, uart: str, tx: str, rx: str
) -> None:
    build(model, replace(board, uart=uart, tx=tx, rx=rx), find_toolchain("zig"))


def test_an_unknown_compiler_is_told_with_those_that_are_known() -> None:
    with pytest.raises(UsageError, match=r"unknown toolchain 'tcc'\n.*gcc, zig"):
        find_toolchain("tcc")


def test_a_missing_gcc_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(BuildError, match="apt-get install gcc-arm-none-eabi"):
        find_toolchain("gcc")


def test_a_toolchain_s_fingerprint_holds_version_and_flags() -> None:
    zig = find_toolchain("zig")
    assert str(zig) == f"zig {zig.version}"
    assert zig.fingerprint.startswith(f"zig {zig.version} ")
    assert "-O2" in zig.flags
