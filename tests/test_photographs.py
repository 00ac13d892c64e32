"""Photographs: by name and by path, and the preprocessing of the paper's evaluation."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hil.errors import UsageError
from hil.vision import photographs
from hil.vision.photographs import InputSpec

MONO = InputSpec(rows=240, columns=320, channels=1)
RGB = InputSpec(rows=480, columns=640, channels=3)


def write(path: Path, pixels: photographs.Rgb8) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def test_a_carried_photograph_is_read_by_name() -> None:
    assert photographs.read("astronaut").shape == (512, 512, 3)


def test_faces_are_a_sheet_of_twelve_in_grey() -> None:
    faces = photographs.read("faces")
    assert faces.shape == (75, 100, 3)
    assert np.array_equal(faces[..., 0], faces[..., 2])
    tiles = faces[..., 0].reshape(3, 25, 4, 25).transpose(0, 2, 1, 3).reshape(12, 625)
    assert len({tile.tobytes() for tile in tiles}) == 12
    assert "faces" in photographs.names()


def test_a_grey_photograph_has_three_equal_channels() -> None:
    grey = photographs.read("camera")
    assert grey.shape == (512, 512, 3)
    assert np.array_equal(grey[..., 0], grey[..., 2])


@pytest.mark.parametrize("suffix", ["png", "ppm"])
def test_a_file_is_read_by_path(tmp_path: Path, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = write(tmp_path / f"frame.{suffix}", pixels)
    assert np.array_equal(photographs.read(path), pixels)


def test_a_camera_dump_of_sixteen_bits_keeps_the_upper_byte(tmp_path: Path) -> None:
    path = tmp_path / "frame.pgm"
    path.write_bytes(b"P5 8 8 65535\n" + bytes([0x12, 0x34] * 64))
    assert np.unique(photographs.read(path)).tolist() == [0x12]


def test_a_rotated_photograph_is_set_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[0x0112] = 6  # turned a quarter
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert photographs.read(tmp_path / "turned.jpg").shape == (40, 20, 3)


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match="there is no photograph 'astronut'") as caught:
        photographs.read("astronut")
    assert "astronaut" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n broken"])
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "frame.png"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"frame\.png"):
        photographs.read(path)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = write(tmp_path / "frame.png", pixels)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UsageError, match=r"cannot read the photograph .*frame\.png"):
        photographs.read(path)


def test_a_directory_is_no_photograph(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a file"):
        photographs.read(tmp_path)


def test_a_tiny_image_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "dot.png", np.zeros((2, 50, 3), np.uint8))
    with pytest.raises(UsageError, match="50x2 pixels"):
        photographs.read(path)


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "huge.pgm"
    path.write_bytes(b"P5 20000 20000 255\n")
    with pytest.raises(UsageError, match=r"huge\.pgm"):
        photographs.read(path)


def test_calibration_and_evaluation_share_no_photograph() -> None:
    calibration, evaluation = photographs.calibration_set(), photographs.evaluation_set()
    assert not set(calibration) & set(evaluation)
    assert len(evaluation) >= 8
    assert {*calibration, *evaluation} <= set(photographs.names())


def test_monochrome_input_has_the_256_levels_of_an_int8() -> None:
    assert MONO.range == (-117.0, 138.0)


def test_black_and_white_reach_the_ends_of_the_range() -> None:
    black, white = (np.full((10, 10, 3), level, np.uint8) for level in (0, 255))
    assert np.unique(photographs.preprocess(black, MONO)).tolist() == [-117.0]
    assert np.unique(photographs.preprocess(white, MONO)).tolist() == [138.0]


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_luma_rounds_the_exact_fraction(red: int, green: int, blue: int) -> None:
    rgb = np.full((8, 8, 3), (red, green, blue), np.uint8)
    exact = Fraction(299 * (red - 123) + 587 * (green - 117) + 114 * (blue - 104), 1000)
    small = InputSpec(rows=8, columns=8, channels=1)
    assert np.unique(photographs.preprocess(rgb, small)).tolist() == [round(exact)]


def test_colour_keeps_red_green_blue_less_their_means() -> None:
    red = np.zeros((10, 10, 3), np.uint8)
    red[..., 0] = 200
    x = photographs.preprocess(red, RGB)
    assert x.shape == (480, 640, 3)
    assert x[0, 0].tolist() == [200 - 123, -117, -104]


@given(st.integers(8, 60), st.integers(8, 60), st.integers(0, 2**32 - 1))
def test_preprocessing_gives_whole_numbers_within_the_range(
    rows: int, columns: int, seed: int
) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    spec = InputSpec(rows=24, columns=32, channels=1)
    x = photographs.preprocess(rgb, spec)
    low, high = spec.range
    assert x.shape == (24, 32, 1)
    assert np.array_equal(x, np.rint(x))
    assert low <= x.min() <= x.max() <= high


def test_a_photograph_of_the_right_size_is_not_resampled() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    assert np.array_equal(photographs.preprocess(rgb, RGB), rgb - np.array([123.0, 117.0, 104.0]))


def test_a_ramp_stays_a_ramp_when_stretched() -> None:
    ramp = np.tile(np.arange(0, 160, 10, dtype=np.uint8)[:, None, None], (1, 8, 3))
    x = photographs.preprocess(ramp, InputSpec(rows=32, columns=8, channels=3))
    # Pixel centres lie at halves: new row r is at r / 2 - 1/4 of the old ones, worth 10 each.
    expected = np.rint(np.clip(np.arange(32) / 2 - 0.25, 0, 15) * 10) - 123
    assert np.abs(x[:, 0, 0] - expected).max() == 0


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "ppm", "dds", "avif", "webp", "tiff", "gif", "bmp"]
)
def test_a_damaged_photograph_is_read_or_refused_in_words(tmp_path: Path, suffix: str) -> None:
    chance = np.random.default_rng(list(suffix.encode()))
    pixels = chance.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    whole = write(tmp_path / f"whole.{suffix}", pixels).read_bytes()
    damaged = tmp_path / f"damaged.{suffix}"
    for _ in range(60):
        content = bytearray(whole)
        for at in chance.integers(0, min(len(content), 160), 3):
            content[at] = chance.integers(256)
        cut = len(content) if chance.integers(2) else int(chance.integers(len(content)))
        damaged.write_bytes(content[:cut])
        with suppress(UsageError):
            assert photographs.read(str(damaged)).ndim == 3


@pytest.mark.parametrize(("white", "level"), [(1.0, 128), (255.0, 128)])
def test_a_tiff_of_floats_keeps_its_levels(tmp_path: Path, white: float, level: int) -> None:
    values = np.full((16, 16), white * 128 / 255, np.float32)
    values[0], values[1, 0] = white, np.nan
    path = tmp_path / "float.tiff"
    Image.fromarray(values).save(path)
    rgb = photographs.read(path)
    assert rgb.shape == (16, 16, 3)
    assert {int(one) for one in rgb[2:].ravel()} == {level}
    assert rgb[0].min() == 255
    assert rgb[1, 0].max() == 0
