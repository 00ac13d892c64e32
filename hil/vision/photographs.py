"""Photographs: read them by name or path, and prepare them as the paper's evaluation does.

Names are those of the photographs that scikit-image's wheel carries: nothing is ever fetched.
"""

import struct
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from hil import files
from hil.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

Rgb8: TypeAlias = npt.NDArray[np.uint8]
Float32: TypeAlias = npt.NDArray[np.float32]

MIN_SIDE_PIXELS = 8
MAX_PIXELS = 50_000_000  # decoded and converted, they take up to 0.8 GB
_SUFFIXES = (".png", ".jpg")
_PLAIN = {"L", "RGB", "RGBA"}  # modes that turn into R, G, B without a look at transparency
FACES_OR_NOT = "lfw_subset"
"""Photographs of one grey byte a pixel, by number: `lfw_subset:0`. See `faces_or_not`."""
_FACES = "faces"
_FACES_SHEET = (3, 4)  # rows and columns of faces
_LUMA_PER_MILLE = (299, 587, 114)  # ITU-R BT.601

_CALIBRATION = (
    "motorcycle_left",
    "motorcycle_right",
    "cell",
    "ihc",
    "hubble_deep_field",
    "brick",
    "grass",
    "gravel",
    "page",
    "text",
)
_EVALUATION = (
    "astronaut",
    "camera",
    "chelsea",
    "clock_motion",
    "coffee",
    "coins",
    "moon",
    "retina",
    "rocket",
)
_COMPARISON = ("camera", "coffee", "moon", "rocket")
_DAMAGED = (  # what Pillow's readers were seen to raise on files that are not whole
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    LookupError,
    ArithmeticError,
    RuntimeError,
    TypeError,
    AttributeError,
    MemoryError,
)


@dataclass(frozen=True)
class InputSpec:
    """What a network expects at its input.

    For a detector the photograph is stretched to the size by bilinear interpolation, `mean` is
    subtracted from (R, G, B), and a network of one channel then takes the luma of the differences.
    Values are integers: a byte has no more to give, and so the int8 input of a monochrome network,
    whose 256 levels are -117 to 138, is exact. For a classifier its middle is cut out, and values
    are divided by `deviation`.

    Attributes:
        rows, columns, channels: of the input; one channel is luma, and more than three, which
            single layers can have, are R, G, B over and over.
        mean: subtracted from R, G and B, in levels of 0 to 255.
        deviation: divides what is left, in the same levels; None for 1.
        crop_from: length of the shorter side that the photograph is scaled to before its middle is
            cut out; None to stretch the whole.

    Source: EdgeML, Face_Detection/data/config_qvga.py, SeeDot's scale_image.py and
        visual_wakewords/eval.py.
    """

    rows: int
    columns: int
    channels: int
    mean: tuple[float, float, float] = (123.0, 117.0, 104.0)
    deviation: tuple[float, float, float] | None = None
    crop_from: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, channels."""
        return (self.rows, self.columns, self.channels)

    @property
    def range(self) -> tuple[float, float]:
        """Least and greatest value that a preprocessed photograph can hold."""
        black, white = self.normalise(np.array([[[0, 0, 0]], [[255, 255, 255]]], np.float64))
        return float(black.min()), float(white.max())

    def normalise(self, rgb: npt.NDArray[np.float64]) -> Float32:
        """Turn (..., 3) levels into what the network takes."""
        centred = rgb - np.array(self.mean)
        if self.deviation is not None:
            centred /= np.array(self.deviation)
        if self.channels == 1:
            # Whole numbers until the division, so that ties round alike on every machine.
            centred = (centred * np.array(_LUMA_PER_MILLE)).sum(axis=-1, keepdims=True) / 1000.0
        elif self.channels != 3:
            centred = centred[..., np.arange(self.channels) % 3]
        exact: Float32 = centred.astype(np.float32)
        return np.rint(exact) if self.deviation is None else exact


def names() -> list[str]:
    """Photographs that scikit-image's wheel carries, and `faces`, a sheet of twelve that it has.

    Beside them `lfw_subset:0` to `lfw_subset:199` are small ones, of which half are faces.
    """
    carried = [path.stem for path in _directory().iterdir() if path.suffix in _SUFFIXES]
    return sorted([*carried, _FACES])


def calibration_set() -> list[str]:
    """Name the photographs that quantisation and seeded batch-norm statistics are calibrated on."""
    return list(_CALIBRATION)


def evaluation_set() -> list[str]:
    """Name the photographs that quality is measured on; none is in the calibration set."""
    return list(_EVALUATION)


def comparison_set() -> list[str]:
    """Name the photographs that every run compares integers and float on, beside its own.

    They are of the evaluation set: two that all networks find easy, two that they find hard.
    """
    return list(_COMPARISON)


def read(name_or_path: str | Path) -> Rgb8:
    """Read a photograph.

    Args:
        name_or_path: one of `names()`, or the path of any image file that Pillow reads.

    Returns:
        uint8, (rows, columns, 3), in R, G, B order; upright as its EXIF orientation says.

    Raises:
        UsageError: there is no such photograph, it cannot be decoded, or it is too small or too
            large.
    """
    from PIL import Image, UnidentifiedImageError

    if name_or_path == _FACES:
        return _faces()
    if str(name_or_path).startswith(f"{FACES_OR_NOT}:"):
        return _face_or_not(str(name_or_path))
    path = _find(str(name_or_path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd files that are read all the same
            return _decoded(path)
    except UnidentifiedImageError as error:
        raise UsageError(
            f"{path} is not an image that can be read", hint="PNG, JPEG, PGM and PPM are"
        ) from error
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise UsageError(
            f"cannot read the photograph {path}: {error}", hint="is the file whole?"
        ) from error


def file(name_or_path: str | Path) -> Path:
    """Return the file that a photograph is read from, and open none. Raises UsageError."""
    name = str(name_or_path)
    is_small = name == _FACES or name.startswith(f"{FACES_OR_NOT}:")
    return _directory() / f"{FACES_OR_NOT}.npy" if is_small else _find(name)


def _decoded(path: Path) -> Rgb8:
    """Read an image file, once its size is known to be no burden."""
    from PIL import Image

    with Image.open(path) as image:
        _check_size(path, image.size)
        return _to_rgb(image)


def preprocess(rgb: Rgb8, spec: InputSpec) -> Float32:
    """Prepare a photograph for a network.

    Args:
        rgb: uint8, (rows, columns, 3).
        spec: the network's input.

    Returns:
        float32, `spec.shape`.
    """
    if spec.crop_from is not None:
        return spec.normalise(_middle(rgb, spec, spec.crop_from).astype(np.float64))
    # The resize rounds to bytes, as OpenCV's does on a byte image.
    return spec.normalise(np.rint(_resize(rgb, spec.rows, spec.columns)))


def prepare(name_or_path: str | Path, spec: InputSpec) -> Float32:
    """Read and preprocess a photograph in one go.

    Args:
        name_or_path: as `read` takes it.
        spec: the network's input.
    """
    return preprocess(read(name_or_path), spec)


def faces_or_not() -> Rgb8:
    """Read the small photographs that scikit-image's wheel carries, of Labeled Faces in the Wild.

    Returns:
        uint8, (200, 25, 25), grey: 100 faces, then 100 that are none.

    Raises:
        UsageError: the file is not there, or is damaged.
    """
    path = _directory() / f"{FACES_OR_NOT}.npy"
    try:
        grey = np.load(path, allow_pickle=False)  # 0 to 1
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the faces of {path}: {error}") from error
    levels: Rgb8 = np.rint(grey * 255.0).astype(np.uint8)
    return levels


def _face_or_not(name: str) -> Rgb8:
    number, all_of_them = name.partition(":")[2], faces_or_not()
    if not (number.isascii() and number.isdecimal() and int(number) < len(all_of_them)):
        raise UsageError(
            f"there is no photograph {name!r}",
            hint=f"{FACES_OR_NOT}:0 to {FACES_OR_NOT}:{len(all_of_them) - 1}",
        )
    return _coloured(all_of_them[int(number)])


def _faces() -> Rgb8:
    """Lay out the first faces on one sheet."""
    grey = faces_or_not()
    rows, columns = _FACES_SHEET
    height, width = grey.shape[1:]
    tiles = grey[: rows * columns].reshape(rows, columns, height, width)
    return _coloured(tiles.transpose(0, 2, 1, 3).reshape(rows * height, columns * width))


def _coloured(grey: Rgb8) -> Rgb8:
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def _middle(rgb: Rgb8, spec: InputSpec, shorter: int) -> Rgb8:
    """Scale the shorter side, smoothly where it shrinks, and cut out the middle."""
    from PIL import Image

    rows, columns, _ = rgb.shape
    scale = shorter / min(rows, columns)
    size = (max(shorter, int(columns * scale)), max(shorter, int(rows * scale)))
    scaled = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))
    top, left = (scaled.shape[0] - spec.rows) // 2, (scaled.shape[1] - spec.columns) // 2
    return scaled[top : top + spec.rows, left : left + spec.columns]


def _resize(rgb: Rgb8, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Interpolate bilinearly, without smoothing before shrinking, as OpenCV's INTER_LINEAR does."""
    top, bottom, down = _taps(rgb.shape[0], rows)
    left, right, across = _taps(rgb.shape[1], columns)
    image = rgb.astype(np.float64)
    across = across[:, np.newaxis]
    upper = image[top][:, left] * (1 - across) + image[top][:, right] * across
    lower = image[bottom][:, left] * (1 - across) + image[bottom][:, right] * across
    down = down[:, np.newaxis, np.newaxis]
    return upper * (1 - down) + lower * down


def _taps(
    length: int, new_length: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Both neighbours of every new sample, and how far it lies towards the second."""
    centre = (np.arange(new_length) + 0.5) * (length / new_length) - 0.5
    centre = np.clip(centre, 0, length - 1)
    first = np.floor(centre).astype(np.intp)
    return first, np.minimum(first + 1, length - 1), centre - first


def _directory() -> Path:
    # Found without importing scikit-image, which takes a second.
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise UsageError(
            "scikit-image is not installed", hint="pip install scikit-image, or name a file"
        )
    return Path(spec.origin).parent / "data"


def _find(name: str) -> Path:
    for suffix in _SUFFIXES:
        carried = _directory() / f"{name}{suffix}"
        if carried.parent == _directory() and files.is_file(carried):
            return carried
    path = Path(name).expanduser()
    if files.is_file(path):
        return path
    if files.exists(path):
        raise UsageError(f"{path} is not a file", hint="name a single photograph")
    raise UsageError(
        f"there is no photograph {name!r}",
        hint=f"give a file, or one of: {', '.join(names())}",
    )


def _check_size(path: Path, size: tuple[int, int]) -> None:
    columns, rows = size
    if min(columns, rows) < MIN_SIDE_PIXELS:
        raise UsageError(
            f"{path} has {columns}x{rows} pixels; at least {MIN_SIDE_PIXELS} each way are needed"
        )
    if columns * rows > MAX_PIXELS:
        raise UsageError(
            f"{path} has {columns}x{rows} pixels, more than {MAX_PIXELS:,}",
            hint="scale it down first",
        )


def _to_rgb(image: "Image") -> Rgb8:
    from PIL import ImageOps

    ImageOps.exif_transpose(image, in_place=True)
    if image.mode == "F":  # of TIFF and the like: levels of 0 to 1, or of 0 to 255
        level = np.nan_to_num(np.asarray(image), nan=0.0, posinf=0.0, neginf=0.0)
        whole = level * 255.0 if level.max(initial=0.0) <= 1.0 else level
        grey = np.rint(whole).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., np.newaxis], 3, axis=2)
    if image.mode.startswith("I"):  # 16-bit grey, of which a byte is kept
        grey = (np.asarray(image).astype(np.int32) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., np.newaxis], 3, axis=2)
    coloured = image if image.mode in _PLAIN else image.convert("RGBA")
    return np.asarray(coloured.convert("RGB"), dtype=np.uint8)
