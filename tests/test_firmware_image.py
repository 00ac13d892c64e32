from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
import tiny_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hil.build.firmware import Image, build, find_toolchain, read_segments
from hil.config import board as boards
from hil.errors import BuildError


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    model = tiny_model.write(tmp_path_factory.mktemp("model"))
    return build(model, boards.load("stm32f439"), find_toolchain("zig"))


def test_segments_rise_and_never_touch(image: Image) -> None:
    assert all(lower.end < higher.address for lower, higher in pairwise(image.segments))
    assert read_segments(image.elf) == image.segments


def test_the_build_id_is_in_flash_where_the_firmware_reads_it(image: Image) -> None:
    assert len(image.build_id) == 20
    assert any(image.build_id in segment.data for segment in image.segments)


def test_a_file_that_is_no_elf_is_named(tmp_path: Path) -> None:
    path = tmp_path / "firmware.elf"
    path.write_bytes(b"not an ELF at all")
    with pytest.raises(BuildError, match=r"firmware\.elf cannot be read"):
        Image.read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        BuildError,
        match=r"gone\.elf cannot be read.*No such file or directory\n  name a file that is",
    ):
        Image.read(tmp_path / "gone.elf")


def test_an_image_without_a_build_id_can_be_programmed_but_not_measured(
    image: Image, tmp_path: Path
) -> None:
    path = tmp_path / "foreign.elf"
    path.write_bytes(image.elf.read_bytes().replace(b".note.gnu.build-id", b".note.gnu.nothing!"))
    assert read_segments(path) == image.segments
    with pytest.raises(BuildError, match="no build id"):
        Image.read(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.binary(min_size=1, max_size=8), st.booleans())
def test_a_damaged_elf_is_read_or_refused_and_nothing_else(
    image: Image, tmp_path: Path, where: int, what: bytes, near_the_end: bool
) -> None:
    contents = bytearray(image.elf.read_bytes())
    window = min(1500, len(contents))  # the headers, at one end or the other
    at = where % window + (len(contents) - window if near_the_end else 0)
    contents[at : at + len(what)] = what
    path = tmp_path / "damaged.elf"
    path.write_bytes(contents)
    with suppress(BuildError):
        Image.read(path)


def test_a_loaded_section_that_claims_to_be_compressed_is_refused(
    image: Image, tmp_path: Path
) -> None:
    contents = bytearray(image.elf.read_bytes())
    headers = int.from_bytes(contents[32:36], "little")
    size, count = (int.from_bytes(contents[at : at + 2], "little") for at in (46, 48))
    for at in range(headers + 8, headers + size * count, size):  # each section's flags
        contents[at + 1] |= 0x08
    path = tmp_path / "compressed.elf"
    path.write_bytes(contents)
    with pytest.raises(BuildError, match="is compressed"):
        Image.read(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.integers(0, 2**32))
def test_a_truncated_elf_is_refused(image: Image, tmp_path: Path, length: int) -> None:
    contents = image.elf.read_bytes()
    path = tmp_path / "short.elf"
    path.write_bytes(contents[: length % len(contents)])
    with pytest.raises(BuildError, match=r"short\.elf cannot be read"):
        Image.read(path)
