"""How photographs are changed from epoch to epoch, so that a network sees more than there are.

A classifier's is cut out at random, flipped and made lighter or darker. A detector's is enlarged
with a grey margin or cut around a face, flipped, and its light and colours change; faces go along.

Source: RNNPool paper, appendix G; for detectors S3FD (Zhang et al., 2017), section 3.3.
"""

import numpy as np
from PIL import Image

from hil.vision import photographs
from hil.vision.detection import Float64
from hil.vision.photographs import Float32, InputSpec, Rgb8

_LEAST_AREA, _LEAST_ASPECT = 0.5, 0.8  # of a classifier's cut
_MOST_MARGIN = 2.0  # times as wide and high as the photograph
_LEAST_SIDE = 0.3  # of a detector's cut, to the largest
_LIGHT, _CONTRAST, _COLOUR = 32.0, 0.5, 0.5


def augmented(
    rgb: Rgb8, faces: Float64, spec: InputSpec, random: np.random.Generator
) -> tuple[Float32, Float64]:
    """Change a photograph and prepare it for a network.

    Args:
        rgb: uint8, (rows, columns, 3).
        faces: (count, 4): left, top, right, bottom, as shares of it.
        spec: the network's input; one that is cut out of the middle is a classifier's.
        random: says how.

    Returns:
        float32, `spec.shape`, and the faces that are left, as shares of it.
    """
    strength = 1.0
    if spec.crop_from is not None:
        rgb, strength = _cut(rgb, random), 0.3
    else:
        rgb, faces = _around_faces(rgb, faces, spec.columns / spec.rows, random)
    if random.random() < 0.5:
        rgb = rgb[:, ::-1]
        faces = np.stack([1 - faces[:, 2], faces[:, 1], 1 - faces[:, 0], faces[:, 3]], axis=1)
    lit = _lit(np.ascontiguousarray(rgb), random, strength)
    if spec.crop_from is None:
        return photographs.preprocess(lit, spec), faces
    small = Image.fromarray(lit).resize((spec.columns, spec.rows), Image.Resampling.BILINEAR)
    return spec.normalise(np.asarray(small, dtype=np.float64)), faces


def _cut(rgb: Rgb8, random: np.random.Generator) -> Rgb8:
    """Cut a part of half the area or more."""
    rows, columns = rgb.shape[:2]
    area = random.uniform(_LEAST_AREA, 1.0)
    aspect = np.exp(random.uniform(np.log(_LEAST_ASPECT), -np.log(_LEAST_ASPECT)))
    height = min(rows, max(1, round(rows * (area / aspect) ** 0.5)))
    width = min(columns, max(1, round(columns * (area * aspect) ** 0.5)))
    top, left = random.integers(rows - height + 1), random.integers(columns - width + 1)
    return rgb[top : top + height, left : left + width]


def _around_faces(
    rgb: Rgb8, faces: Float64, aspect: float, random: np.random.Generator
) -> tuple[Rgb8, Float64]:
    """Take a window of the network's aspect, larger or smaller than the photograph.

    Args:
        rgb: uint8, (rows, columns, 3).
        faces: shares of it, (count, 4).
        aspect: columns by rows.
        random: says which.
    """
    rows, columns = rgb.shape[:2]
    height = min(rows, columns / aspect)  # of the largest window inside
    if random.random() < 0.5:
        height *= random.uniform(1.0, _MOST_MARGIN) * max(rows / height, columns / aspect / height)
    else:
        height *= random.uniform(_LEAST_SIDE, 1.0)
    size = np.array([height * aspect, height])
    free = np.array([columns, rows]) - size  # below 0 where there is a margin
    if len(faces) and free.min() > 0:
        left, top, right, bottom = faces[random.integers(len(faces))]
        centre = np.array([(left + right) / 2 * columns, (top + bottom) / 2 * rows])
        corner = np.clip(centre - size * random.uniform(0.2, 0.8, 2), 0, free)
    else:
        corner = free * random.random(2)
    return _window(rgb, corner, size), _seen(faces, corner, size, (columns, rows))


def _window(rgb: Rgb8, corner: Float64, size: Float64) -> Rgb8:
    """Cut a window out of a photograph; what lies beyond it is grey."""
    left, top = np.floor(corner).astype(int)
    width, height = np.maximum(np.rint(size).astype(int), photographs.MIN_SIDE_PIXELS)
    window = np.full((height, width, 3), 128, np.uint8)
    inside = rgb[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    down, across = max(0, -top), max(0, -left)
    window[down : down + inside.shape[0], across : across + inside.shape[1]] = inside
    return window


def _seen(faces: Float64, corner: Float64, size: Float64, whole: tuple[int, int]) -> Float64:
    """Return the faces whose middle lies in a window, as shares of it."""
    scale = np.array([*whole, *whole], np.float64)
    moved = (faces * scale - np.tile(corner, 2)) / np.tile(size, 2)
    middle = (moved[:, :2] + moved[:, 2:]) / 2
    kept = moved[np.all((middle > 0) & (middle < 1), axis=1)]
    return np.clip(kept, 0.0, 1.0)


def _lit(rgb: Rgb8, random: np.random.Generator, strength: float) -> Rgb8:
    """Change light, contrast and strength of colours, at most by `strength` of what S3FD does."""
    light, contrast, colour = (
        np.float32(strength * most * random.uniform(-1.0, 1.0))
        for most in (_LIGHT, _CONTRAST, _COLOUR)
    )
    levels = (rgb.astype(np.float32) - 128 + light) * (1 + contrast) + 128
    grey = levels.mean(axis=2, keepdims=True)
    levels = grey + (levels - grey) * (1 + colour)
    bytes_: Rgb8 = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return bytes_
