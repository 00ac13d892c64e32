"""Average precision against the protocol written out in loops."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.vision import accuracy, average_precision
from hil.vision.average_precision import Predictions, Truth


def boxes(draw: st.DrawFn, most: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    coordinate = st.integers(0, 12)
    made = []
    for _ in range(draw(st.integers(0, most))):
        x, y = draw(coordinate), draw(coordinate)
        made.append((x, y, x + draw(st.integers(1, 8)), y + draw(st.integers(1, 8))))
    return np.array(made, np.float64).reshape(-1, 4)


@st.composite
def photographs(draw: st.DrawFn) -> tuple[Predictions, Truth]:
    edges, marked = boxes(draw, 8), boxes(draw, 5)
    # Scores in sixteenths of 1,000 steps: no threshold falls on one by rounding.
    scores = [draw(st.integers(0, 16)) / 16 for _ in edges]
    order = np.argsort(-np.array(scores), kind="stable") if scores else np.zeros(0, int)
    counts = np.array([draw(st.booleans()) for _ in marked], np.bool_)
    return Predictions(edges[order], np.array(scores, np.float64)[order]), Truth(marked, counts)


def overlap_of(a: list[float], b: list[float]) -> float:
    """Edges are pixels, the last one included."""
    across = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    down = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    areas = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return across * down / (sum(areas) - across * down)


def in_loops(seen: list[tuple[Predictions, Truth]]) -> float:
    """The protocol, box by box and threshold by threshold."""
    scores = [score for predicted, _ in seen for score in predicted.scores]
    low, high = (min(scores), max(scores)) if scores else (0, 0)
    points = []
    for t in range(1, 1001):
        threshold = 1 - t / 1000
        shown = hits = faces = 0
        for predicted, truth in seen:
            faces += sum(truth.counts)
            taken = set()
            for edges, score in zip(predicted.edges, predicted.scores, strict=True):
                normal = (score - low) / (high - low) if high > low else 0.0
                if normal < threshold:
                    continue
                overlaps = [overlap_of(list(edges), list(face)) for face in truth.edges]
                best = int(np.argmax(overlaps)) if overlaps else -1
                if best < 0 or overlaps[best] < 0.5:
                    shown += 1
                elif truth.counts[best]:
                    shown += 1
                    hits += best not in taken
                    taken.add(best)
        points.append((hits / shown if shown else 0.0, hits / max(faces, 1)))
    area, before = 0.0, 0.0
    for i, (_, recall) in enumerate(points):
        area += (recall - before) * max(p for p, _ in points[i:])
        before = recall
    return area


@settings(max_examples=15, deadline=None)
@given(st.lists(photographs(), min_size=1, max_size=4))
def test_average_precision_is_the_protocols(seen: list[tuple[Predictions, Truth]]) -> None:
    tally = average_precision.tally([p for p, _ in seen], [t for _, t in seen])
    assert tally.curve().average_precision == pytest.approx(in_loops(seen), abs=1e-12)


def face(left: float, score: float) -> Predictions:
    return Predictions(np.array([[left, 0.0, left + 10, 10.0]]), np.array([score]))


WANTED = Truth(np.array([[0.0, 0.0, 10.0, 10.0]]), np.array([True]))


def test_a_face_that_is_found_exactly_is_worth_everything() -> None:
    tally = average_precision.tally([face(0, 0.9)], [WANTED])
    assert tally.curve().average_precision == 1.0


def test_a_box_on_an_ignored_face_counts_for_nothing() -> None:
    ignored = replace(WANTED, counts=np.array([False]))
    tally = average_precision.tally([face(0, 0.2), face(0, 0.9)], [WANTED, ignored])
    assert tally.curve().average_precision == 1.0


def test_a_false_alarm_above_a_find_halves_its_precision() -> None:
    tally = average_precision.tally([face(0, 0.2), face(50, 0.9)], [WANTED, WANTED])
    assert tally.curve().average_precision == pytest.approx(0.25)


def test_what_two_equal_detectors_lose_is_nothing_without_error() -> None:
    tally = average_precision.tally([face(0, 0.2), face(50, 0.9)], [WANTED, WANTED])
    losses = average_precision.losses(tally, tally)
    assert (losses.shape, np.abs(losses).max()) == ((200,), 0.0)


def test_accuracy_counts_answers_by_label() -> None:
    labels, answers = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    found = accuracy.measure(labels, answers, 2)
    assert found.confusion.tolist() == [[1, 1], [1, 2]]
    assert found.value == pytest.approx(0.6)
    assert accuracy.drop_error(labels, answers, answers) == 0.0
