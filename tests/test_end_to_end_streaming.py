"""Models whose image comes in while they run, on the emulated board."""

from pathlib import Path

import numpy as np
import pytest
from test_detect import CHECKPOINT, has_colour, save, written
from test_end_to_end import measure, open_session, verdicts

from hil import cli
from hil.config.scenario import load
from hil.run.measurement import Measurement, Prepared
from hil.run.session import Session
from hil.studies.detect.report import BOARD_COLOUR
from hil.studies.profile import layers as profile

_SCENARIO = """
model = "rnnpool_layer"
iterations = 2
stream = true

[variant]
rows = 90
columns = 60
channels = 3
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    path = tmp_path_factory.mktemp("streaming") / "layer.toml"
    path.write_text(_SCENARIO, encoding="utf-8")
    session = open_session(path.parent)
    session.scenarios = [load(str(path))]
    return session


@pytest.fixture(scope="module")
def prepared(session: Session) -> Prepared:
    return session.prepare(session.scenarios[0])


@pytest.fixture(scope="module")
def good(session: Session, prepared: Prepared) -> Measurement:
    return measure(session, prepared)


def test_a_streamed_model_answers_as_the_integer_reference(good: Measurement) -> None:
    assert good.prepared.compiled.plan.streams
    assert np.array_equal(good.outputs, good.prepared.expected)
    assert verdicts(good) == set()


def test_the_hosts_pauses_do_not_show_in_the_cycles(
    session: Session, prepared: Prepared, good: Measurement
) -> None:
    """That the two iterations agree, measuring has checked; a second board agrees with both."""
    again = measure(session, prepared)
    assert (again.cycles, again.layers) == (good.cycles, good.layers)
    assert good.waiting_cycles > 0
    assert sum(layer.cycles for layer in good.layers) == good.cycles


def test_only_a_few_rows_of_the_image_are_in_memory(prepared: Prepared) -> None:
    plan = prepared.compiled.plan
    assert plan.strips["input"] < 10
    assert plan.buffers["input"].bytes == plan.strips["input"] * 60 * 3


def test_a_profile_tells_the_layers_of_a_streamed_run_apart(
    session: Session, prepared: Prepared, good: Measurement
) -> None:
    found = profile.of_image(
        "layer", prepared.image, prepared.compiled.plan, session.board, prepared.input.tobytes()
    )
    assert [(layer.name, layer.cycles) for layer in found.layers] == [
        (layer.name, layer.cycles) for layer in good.layers
    ]
    for layer in found.layers:
        spent = layer.spent
        causes = spent.issue + spent.load_store + spent.branch + spent.flash_code
        assert causes + spent.flash_data + spent.other == pytest.approx(layer.cycles, rel=0.01)


@pytest.mark.slow
def test_the_trained_detector_finds_the_astronauts_face_on_the_board(tmp_path: Path) -> None:
    if not CHECKPOINT.is_file():
        pytest.skip(f"{CHECKPOINT} is not here")
    photograph, out = save(tmp_path / "astronaut.png"), tmp_path / "out"
    arguments = ["detect", str(photograph), "--scenario=face_quant", f"--checkpoint={CHECKPOINT}"]

    assert cli.main([*arguments, f"--out={out}"]) == 0

    (entry,) = written(out)["images"]
    (in_float,), (on_board,) = entry["float"], entry["board"]
    assert in_float["score"] > 0.99
    assert on_board["score"] >= 0.9
    assert on_board["iou_with_float"] >= 0.8
    assert entry["cosine"] >= 0.99
    assert entry["mismatches"] == 0
    assert has_colour(out / entry["picture"], BOARD_COLOUR)
