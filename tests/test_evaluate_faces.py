"""Average precision of the trained RNNPool-Face-Quant on photographs with faces.

No annotated photographs come with a package here. So faces of `lfw_subset` are put on photographs
of scikit-image that have none, in known places.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hil import cli
from hil.results import table
from hil.vision import photographs

CHECKPOINT = Path(__file__).parents[2] / "shared" / "data" / "edgeml" / "rpool_face_quant.pth"
BACKGROUNDS = ("coffee", "moon", "rocket", "retina")
FIRST_FACE = 12  # those before are in the calibration
SIZE = (640, 480)
LEAST_AP, MOST_DROP = 0.6, 0.1


def write(folder: Path) -> Path:
    """Write four photographs of four faces each, in WIDER FACE's form."""
    random = np.random.default_rng(0)
    lines = []
    for number, name in enumerate(BACKGROUNDS):
        picture = Image.fromarray(photographs.read(name)).resize(SIZE)
        lines += [f"made/{name}.png", "4"]
        for quarter in range(4):
            face = photographs.read(f"lfw_subset:{FIRST_FACE + 4 * number + quarter}")
            side = int(random.integers(40, 110))
            x, y = (int(random.integers(0, most - side)) for most in (320, 240))
            at = (x + 320 * (quarter % 2), y + 240 * (quarter // 2))
            picture.paste(Image.fromarray(face).resize((side, side)), at)
            lines.append(f"{at[0]} {at[1]} {side} {side} 0 0 0 0 0 0")
        path = folder / "images" / "made" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    (folder / "wider_face_val_bbx_gt.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.slow
def test_integers_find_the_faces_that_the_trained_detector_finds(tmp_path: Path) -> None:
    if not CHECKPOINT.is_file():
        pytest.skip(f"{CHECKPOINT} is not here")
    out = tmp_path / "out"
    arguments = ["evaluate", str(write(tmp_path)), "--scenario=face_quant", f"--out={out}"]

    assert cli.main([*arguments, f"--checkpoint={CHECKPOINT}", "--reference"]) == 0

    rows = {row.metric.name: row.metric for row in table.load(out / "results.csv")}
    assert rows["map"].reference is not None
    assert rows["map"].reference >= LEAST_AP
    assert abs(rows["map.drop"].value) <= MOST_DROP
    assert rows["map.error"].value <= MOST_DROP
    head, count, *boxes = (out / "wider" / "made" / "coffee.txt").read_text().splitlines()
    assert (head, int(count)) == ("coffee", len(boxes))
    assert "polyline" in (out / "precision-recall.svg").read_text()
