"""Boxes from a detector's outputs: by hand, by property, and on a face that is there."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil import models
from hil.compiler import compile_model, reference
from hil.config import scenario
from hil.errors import UsageError
from hil.models.face import FaceDetector
from hil.vision import detection, photographs
from hil.vision.detection import Anchor, Box, iou
from hil.vision.photographs import Float32

CHECKPOINT = Path(__file__).parents[2] / "shared" / "data" / "edgeml" / "rpool_face_quant.pth"

Reals = npt.NDArray[np.float64]

ONE_CELL = detection.priors([Anchor(8, 4)], rows=8, columns=16)


def outputs_of(*cells: tuple[float, float, float, float, float, float]) -> Reals:
    """A detector's outputs from each prior's (background, face, x, y, width, height)."""
    values = np.array(cells)
    return np.concatenate([values[:, :2].reshape(-1), values[:, 2:].reshape(-1)])


@pytest.mark.parametrize(
    ("model", "count"), [("face_m4", 3_000), ("face_qvga", 3_000), ("face_quant", 25_600)]
)
def test_a_detector_has_six_outputs_for_every_prior(model: str, count: int) -> None:
    made = models.structure(model)
    assert isinstance(made.module, FaceDetector)
    priors = detection.priors(made.module.anchors, made.spec.rows, made.spec.columns)
    assert priors.shape == (count, 4)
    assert made.run(np.zeros(made.spec.shape, np.float32)).size == 6 * count


def test_priors_stand_in_the_middle_of_their_cells_row_by_row() -> None:
    assert ONE_CELL.tolist() == [[0.25, 0.5, 0.25, 0.5], [0.75, 0.5, 0.25, 0.5]]


def test_a_map_that_the_image_does_not_fill_has_its_last_row_all_the_same() -> None:
    assert len(detection.priors([Anchor(64, 256)], rows=480, columns=640)) == 8 * 10


def test_no_offset_is_the_prior_itself() -> None:
    edges, scores = detection.decode(outputs_of((0, 0, 0, 0, 0, 0), (2, 2, 0, 0, 0, 0)), ONE_CELL)
    assert edges.tolist() == [[0.125, 0.25, 0.375, 0.75], [0.625, 0.25, 0.875, 0.75]]
    assert scores.tolist() == [0.5, 0.5]


@given(
    *(st.floats(0.01, 0.99),) * 2,
    *(st.floats(0.01, 1.0),) * 2,
)
def test_a_box_that_is_encoded_comes_back(x: float, y: float, width: float, height: float) -> None:
    px, py, pw, ph = ONE_CELL[0]
    offsets = ((x - px) / pw / 0.1, (y - py) / ph / 0.1)
    sizes = (np.log(width / pw) / 0.2, np.log(height / ph) / 0.2)
    edges, _ = detection.decode(outputs_of((0, 9, *offsets, *sizes)), ONE_CELL[:1])
    expected = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    np.testing.assert_allclose(edges[0], expected, atol=1e-9)


def test_a_score_is_the_soft_max_of_the_face_however_far_the_logits() -> None:
    cells = outputs_of((1.0, 3.0, 0, 0, 0, 0), (1e4, -1e4, 0, 0, 0, 0))
    _, scores = detection.decode(cells, ONE_CELL)
    assert scores[0] == pytest.approx(np.exp(3) / (np.exp(1) + np.exp(3)))
    assert scores[1] == 0.0


def test_only_faces_above_the_score_are_found_best_first() -> None:
    found = detection.detect(outputs_of((0, 1, 0, 0, 0, 0), (0, 3, 0, 0, 0, 0)), ONE_CELL, 0.5)
    assert [round(box.left, 3) for box in found] == [0.625, 0.125]
    assert (
        detection.detect(outputs_of((0, 1, 0, 0, 0, 0), (0, 3, 0, 0, 0, 0)), ONE_CELL, 0.96) == []
    )


def test_outputs_of_another_detector_are_refused() -> None:
    with pytest.raises(UsageError, match="not those of a detector with 2 priors, 12"):
        detection.detect(np.zeros(18_000), ONE_CELL)


def boxes(draw: st.DrawFn) -> tuple[Reals, Reals]:
    share = st.integers(0, 20).map(lambda n: n / 20)
    edges = draw(st.lists(st.tuples(share, share, share, share), min_size=1, max_size=12))
    scores = draw(st.permutations(range(len(edges))))
    corners = np.array(edges)
    low, high = (
        np.minimum(corners[:, :2], corners[:, 2:]),
        np.maximum(corners[:, :2], corners[:, 2:]),
    )
    return np.concatenate([low, high], axis=1), np.array(scores, np.float64)


@given(st.composite(boxes)())
def test_kept_boxes_hardly_overlap_and_every_other_overlaps_a_better_one(
    boxes: tuple[Reals, Reals],
) -> None:
    edges, scores = boxes
    kept = detection.suppress(edges, scores, most_overlap=0.3)
    all_boxes = [Box(*map(float, (*edges[i], scores[i]))) for i in range(len(scores))]
    chosen = [all_boxes[i] for i in kept]
    assert [box.score for box in chosen] == sorted((box.score for box in chosen), reverse=True)
    for i, box in enumerate(all_boxes):
        better = [other for other in chosen if other.score > box.score]
        overlap = max((iou(box, other) for other in better), default=0.0)
        assert (overlap <= 0.3 + 1e-12) if i in kept else (overlap > 0.3 - 1e-12)


def test_separate_maps_of_the_heads_give_what_the_concatenated_outputs_give() -> None:
    anchors = [Anchor(4, 8), Anchor(8, 16)]
    priors = detection.priors(anchors, rows=8, columns=16)
    rng = np.random.default_rng(0)
    classes = [rng.normal(size=(2, 4, 2)), rng.normal(size=(1, 2, 2))]
    offsets = [rng.normal(size=(2, 4, 4)), rng.normal(size=(1, 2, 4))]
    outputs = detection.join(classes, offsets)
    edges, scores = detection.decode(outputs, priors)
    of_second = slice(8, 10)
    alone, alone_scores = detection.decode(
        detection.join(classes[1:], offsets[1:]), priors[of_second]
    )
    assert np.array_equal(edges[of_second], alone)
    assert np.array_equal(scores[of_second], alone_scores)


@pytest.fixture(scope="module")
def trained() -> models.LoadedModel:
    if not CHECKPOINT.is_file():
        pytest.skip(f"{CHECKPOINT} is not here")
    return models.load("face_quant", CHECKPOINT, order="columns_first")


@pytest.fixture(scope="module")
def astronaut(trained: models.LoadedModel) -> Float32:
    return photographs.preprocess(photographs.read("astronaut")[:384], trained.spec)


def faces(trained: models.LoadedModel, outputs: Float32) -> list[Box]:
    assert isinstance(trained.module, FaceDetector)
    spec = trained.spec
    return detection.detect(
        outputs, detection.priors(trained.module.anchors, spec.rows, spec.columns)
    )


def test_the_trained_detector_finds_the_astronauts_face_and_nothing_else(
    trained: models.LoadedModel, astronaut: Float32
) -> None:
    (face,) = faces(trained, trained.run(astronaut))
    assert face.score > 0.999
    edges = (face.left, face.right, face.top, face.bottom)
    assert edges == pytest.approx((0.347, 0.533, 0.164, 0.460), abs=0.001)


def test_in_integers_it_finds_the_same_face(
    trained: models.LoadedModel, astronaut: Float32
) -> None:
    chosen = scenario.load("face_quant")
    names = [*photographs.calibration_set()[::4], *chosen.calibration]
    calibration = [photographs.prepare(name, trained.spec) for name in names]
    program = compile_model(trained, calibration, chosen.quantise).program
    outputs = program.dequantise_output(reference.run(program, program.quantise_input(astronaut)))
    in_float = trained.run(astronaut)
    (real,), (integer,) = faces(trained, in_float), faces(trained, outputs)
    lengths = np.linalg.norm(in_float) * np.linalg.norm(outputs)
    assert float(in_float @ outputs) / lengths >= 0.998
    assert iou(real, integer) >= 0.93
    assert integer.score >= 0.995
