"""`hil train`: losses, matching, and a run that is broken off and ends as an unbroken one."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from hil import cli, models
from hil.config import scenario as scenarios
from hil.errors import UsageError
from hil.models.face import FaceDetector
from hil.studies.train import curves, run
from hil.studies.train.augment import augmented
from hil.studies.train.batches import Feed, Target
from hil.studies.train.fake_quantise import FakeQuantiser
from hil.studies.train.losses import CrossEntropy, MultiBox
from hil.studies.train.matching import match, overlaps
from hil.studies.train.recipe import CLASSIFIER, DETECTOR, Recipe
from hil.studies.train.trainer import STATE, WEIGHTS, Epoch, Trainer
from hil.vision import datasets, detection
from hil.vision.datasets import Dataset, Example, Marked
from hil.vision.photographs import InputSpec

FACES = Path("lfw_subset:held_back")  # 25 faces and 25 photographs without
RECIPE = Recipe(epochs=2, batch=8, learning_rate=0.02, seed=3)
QVGA_ANCHORS = (detection.Anchor(8, 16), detection.Anchor(16, 32))
SPEC = InputSpec(rows=48, columns=64, channels=1)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    from hil.models.threads import one_thread

    with one_thread():
        yield


def made(folder: Path, recipe: Recipe = RECIPE, **variant: str) -> Trainer:
    chosen = scenarios.Scenario("face_or_not", "face_or_not", variant={**variant})
    dataset = datasets.open_dataset(FACES)
    parts = run.split(dataset, 0.2, recipe.seed)
    return run.trainer(chosen, dataset, parts, recipe, folder=folder)


def trained(trainer: Trainer, steps: int | None = None) -> list[Epoch]:
    going = trainer.run()
    for count, _ in enumerate(going, 1):
        if count == steps:
            going.close()  # as Ctrl-C does
    return trainer.history


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / WEIGHTS, weights_only=True)
    return state


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize(  # an epoch is five steps and its end
    ("broken_after", "quantise_aware"), [(2, False), (5, False), (8, True)]
)
def test_a_run_that_is_broken_off_ends_as_an_unbroken_one(
    tmp_path: Path, broken_after: int, quantise_aware: bool
) -> None:
    recipe = Recipe(epochs=2, batch=8, learning_rate=0.02, seed=3, quantise_aware=quantise_aware)
    whole = trained(made(tmp_path / "whole", recipe))
    trained(made(tmp_path / "broken", recipe), broken_after)
    assert not (tmp_path / "broken" / WEIGHTS).exists()
    again = made(tmp_path / "broken", recipe)
    again.resume()
    assert 0 < again.done_steps < again.total_steps
    assert trained(again) == whole
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "broken"))


def test_what_is_kept_fits_the_network_and_tells_faces(tmp_path: Path) -> None:
    recipe = Recipe(epochs=10, batch=8, learning_rate=0.05, seed=1)
    history = trained(made(tmp_path, recipe))
    assert history[-1].loss < 0.8 * history[0].loss
    loaded = models.load("face_or_not", checkpoint=tmp_path / WEIGHTS)
    assert loaded.weights == str(tmp_path / WEIGHTS)


def test_a_run_of_another_network_is_not_resumed(tmp_path: Path) -> None:
    trained(made(tmp_path), 1)
    with pytest.raises(UsageError, match="is of another run: variant was"):
        made(tmp_path, pooling="strided").resume()
    with pytest.raises(UsageError, match=r"learning_rate was '0\.02'"):
        made(tmp_path, Recipe(epochs=2, batch=8, learning_rate=0.03, seed=3)).resume()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}q\x00."])
def test_a_damaged_state_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STATE).write_bytes(content)
    with pytest.raises(UsageError, match=r"training\.pt cannot be read"):
        made(tmp_path).resume()


def test_nothing_to_resume_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no run to resume"):
        made(tmp_path).resume()


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_what_was_good(tmp_path: Path) -> None:
    trainer = made(tmp_path)
    trained(trainer, 2)
    before = (tmp_path / STATE).read_bytes()
    going = trainer.run()
    with torch.no_grad():
        next(iter(trainer.module.parameters())).fill_(math.nan)
    with pytest.raises(UsageError, match="epoch 1, step 3: the loss is nan"):
        next(going)
    assert (tmp_path / STATE).read_bytes() == before
    assert not (tmp_path / WEIGHTS).exists()


def test_sparse_cells_stay_sparse(tmp_path: Path) -> None:
    marked = (Marked(10, 10, 60, 70),)
    for index in range(4):
        Image.new("RGB", (320, 240), (40 * index, 90, 120)).save(tmp_path / f"{index}.png")
    examples = tuple(Example(f"{i}.png", tmp_path / f"{i}.png", marked) for i in range(4))
    chosen = scenarios.Scenario("face_m4", "face_m4")
    recipe = Recipe(epochs=1, batch=4, learning_rate=0.001)
    dataset = Dataset(tmp_path, "made", examples)
    trainer = run.trainer(
        chosen, dataset, run.split(dataset, 0.0, 0), recipe, folder=tmp_path / "out"
    )
    history = trained(trainer)
    assert history[0].loss > 0
    assert math.isnan(history[0].accuracy)
    assert isinstance(trainer.module, FaceDetector)
    kept = weights(tmp_path / "out")["pool.row.W"]
    assert float((kept != 0).float().mean()) <= trainer.module.pool.row.density[0] + 1e-6


def test_the_paper_s_choices_are_the_usual_ones() -> None:
    assert run.usual_recipe(scenarios.load("face_m4")) == DETECTOR
    assert run.usual_recipe(scenarios.load("vww_rnnpool")) == CLASSIFIER
    rates = [DETECTOR.rate_at(epoch) for epoch in (0, 2.5, 5, 152.5, 300)]
    assert rates == pytest.approx([0.0, 0.005, 0.01, 0.005, 0.0])


def test_cross_entropy_is_small_where_the_right_logit_is_largest() -> None:
    targets = [Target(0, np.zeros((0, 4))), Target(1, np.zeros((0, 4)))]
    right, wrong = torch.tensor([[9.0, 0.0], [0.0, 9.0]]), torch.tensor([[0.0, 9.0], [9.0, 0.0]])
    loss = CrossEntropy()
    assert float(loss(right, targets)) < 0.01 < float(loss(wrong, targets))
    assert (loss.right(right, targets), loss.right(wrong, targets)) == (2, 0)


def test_overlaps_are_those_of_boxes() -> None:
    faces = np.array([[0.2, 0.3, 0.5, 0.8]])
    prior = np.array([[0.35, 0.55, 0.3, 0.5], [0.5, 0.55, 0.3, 0.5], [0.9, 0.9, 0.1, 0.1]])
    assert overlaps(faces, prior) == pytest.approx(np.array([[1.0, 1 / 3, 0.0]]))


def test_every_face_has_a_prior_that_answers_for_it_and_decoding_undoes_matching() -> None:
    priors = detection.priors(QVGA_ANCHORS, SPEC.rows, SPEC.columns)
    faces = np.array([[0.1, 0.1, 0.35, 0.5], [0.6, 0.5, 0.61, 0.52]])  # the second is tiny
    matched = match(faces, priors)
    logits = np.stack([~matched.is_face, matched.is_face], axis=1) * 20.0
    outputs = np.concatenate([logits.reshape(-1), matched.offsets.reshape(-1)])
    found = detection.detect(outputs, priors)
    edges = np.array([[b.left, b.top, b.right, b.bottom] for b in found])
    for face in faces:
        assert np.abs(edges - face).max(axis=1).min() < 1e-6


def test_a_photograph_without_faces_trains_the_background() -> None:
    priors = detection.priors(QVGA_ANCHORS, SPEC.rows, SPEC.columns)
    assert not match(np.zeros((0, 4)), priors).is_face.any()
    outputs = torch.zeros(1, 6 * len(priors), requires_grad=True)
    loss = MultiBox(priors)(outputs, [Target(-1, np.zeros((0, 4)))])
    loss.backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    touched = outputs.grad[0, : 2 * len(priors)].reshape(-1, 2).abs().sum(dim=1) > 0
    assert int(touched.sum()) == 3  # the hardest ones alone


def test_a_detector_s_loss_counts_three_negatives_for_each_positive() -> None:
    priors = detection.priors(QVGA_ANCHORS, SPEC.rows, SPEC.columns)
    faces = np.array([[0.1, 0.1, 0.35, 0.5]])
    positives = int(match(faces, priors).is_face.sum())
    outputs = torch.zeros(1, 6 * len(priors), requires_grad=True)
    MultiBox(priors)(outputs, [Target(-1, faces)]).backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    touched = outputs.grad[0, : 2 * len(priors)].reshape(-1, 2).abs().sum(dim=1) > 0
    assert int(touched.sum()) == 4 * positives


def test_faces_move_with_the_photograph() -> None:
    """A bright square on black stays where its box is, whatever is cut, margined or flipped."""
    rgb = np.zeros((96, 128, 3), np.uint8)
    rgb[30:60, 40:80] = 255
    faces = np.array([[40 / 128, 30 / 96, 80 / 128, 60 / 96]])
    seen = 0
    for seed in range(40):
        image, moved = augmented(rgb, faces, SPEC, np.random.default_rng(seed))
        for left, top, right, bottom in moved:
            middle = image[
                int((top + bottom) / 2 * SPEC.rows), int((left + right) / 2 * SPEC.columns), 0
            ]
            assert middle > image.min() + 20, seed
            seen += 1
    assert seen > 30


def test_batches_of_an_epoch_are_the_same_again_and_others_in_the_next() -> None:
    dataset = datasets.open_dataset(FACES)
    spec = models.structure("face_or_not").spec
    feed = Feed(dataset.examples, spec, size=8, seed=5)
    first = [batch.images for batch in feed.epoch(0)]
    assert len(first) == feed.steps
    again = [batch.images for batch in feed.epoch(0, first=2)]
    assert all(torch.equal(a, b) for a, b in zip(first[2:], again, strict=True))
    assert not torch.equal(first[0], next(iter(feed.epoch(1))).images)
    labels = [target.label for batch in feed.plain() for target in batch.targets]
    assert labels == [0] * 25 + [1] * 25


def test_quantise_aware_training_feels_rounded_weights_and_keeps_exact_ones() -> None:
    layer = nn.Sequential(nn.Conv2d(1, 2, 1))
    conv = layer[0]
    assert isinstance(conv, nn.Conv2d)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([1.0, 0.013]).reshape(2, 1, 1, 1))
    exact = conv.weight.detach().clone()
    quantiser = FakeQuantiser(layer)
    with quantiser.rounded_weights():
        inside = conv.weight.detach().clone()
    assert torch.equal(conv.weight, exact)
    steps = inside / (exact.abs() / 127)
    assert torch.allclose(steps, steps.round(), atol=1e-4)


def write_classes(folder: Path, counts: dict[str, int]) -> Path:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for index in range(count):
            Image.new("L", (25, 25), 10 * index).save(folder / name / f"{index}.png")
    return folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["face_m4", "--data", "lfw_subset"], "face_m4 finds faces, lfw_subset has classes"),
        (["mnv2_rnnpool_w90", "--data", "lfw_subset"], "tells 10 classes apart, lfw_subset has 2"),
        (["face_or_not", "--data", "lfw_subset:nose"], "known: held_back, train"),
        (["face_or_not", "--data", "nowhere"], "there is no dataset nowhere"),
        (["face_or_not", "--data", "lfw_subset", "--epochs", "0"], "epochs: 0 is less than 1"),
        (["face_or_not", "--data", "lfw_subset", "--batch", "1"], "batch: 1 is less than 2"),
        (["face_or_not", "--data", "lfw_subset", "--held-back", "1"], "is no share"),
        (["face_or_not", "--data", "lfw_subset", "--learning-rate", "nan"], "no learning rate"),
        (["face_or_not", "--data", "lfw_subset", "--device", "tpu9"], "cannot be used"),
        (["face_or_not", "--data", "lfw_subset", "--variant", "x"], "is not NAME=VALUE"),
        (["face_or_not", "--data", "lfw_subset", "--variant", "x=1"], "known: pooling"),
        (["face_or_not", "--data", "lfw_subset", "--beside", "no"], "holds no losses"),
    ],
)
def test_wrong_usage_is_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    out = tmp_path / "out"
    assert cli.main(["train", *arguments, "--out", str(out)]) == 2
    told = capsys.readouterr().err
    assert said in " ".join(told.split())
    assert not out.exists()


def test_a_class_without_photographs_to_train_on_is_told(tmp_path: Path) -> None:
    folder = write_classes(tmp_path, {"cat": 6, "dog": 1})
    (folder / "dog/0.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"the class dog .* has 0 photographs that can be read"):
        run.split(datasets.open_dataset(folder), 0.2, 0)


def test_a_dataset_of_one_class_teaches_nothing(tmp_path: Path) -> None:
    folder = write_classes(tmp_path, {"cat": 6})
    dataset = Dataset(folder, "classes", datasets.open_dataset(FACES).examples, ("cat",))
    with pytest.raises(UsageError, match="has one class, cat: nothing to learn"):
        run.loss_of(models.load("face_or_not"), dataset)


def test_the_command_trains_tests_draws_and_is_not_run_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    asked = ["train", "face_or_not", "--data", str(FACES), "--from-scratch", "--epochs", "1"]
    assert cli.main([*asked, "--out", str(out)]) == 0
    assert "epoch 1: loss" in capsys.readouterr().out
    assert len(curves.read(out / "losses.csv")) == 1
    assert (out / "losses.svg").read_text(encoding="utf-8").startswith("<svg")
    assert cli.main([*asked, "--out", str(out)]) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert cli.main([*asked, "--out", str(out), "--resume", "--seed", "2"]) == 2
    assert "is of another run" in capsys.readouterr().err
    assert cli.main([*asked, "--out", str(out), "--resume"]) == 0


@pytest.mark.parametrize(
    ("held_back", "panels"), [(0.5, {"in training", "held back"}), (math.nan, {"in training"})]
)
def test_losses_are_drawn_in_a_panel_each_for_light_and_for_dark_pages(
    held_back: float, panels: set[str]
) -> None:
    history = [Epoch(number, 1.0 / number, held_back, math.nan) for number in (1, 2, 3)]
    drawn = curves.draw({"a": history, "b": history}, "losses")
    words = {tag.text for tag in ET.fromstring(drawn).iter() if tag.text}  # noqa: S314
    assert words & {"in training", "held back"} == panels
    assert {"losses", "a", "b"} <= words
    assert "prefers-color-scheme: dark" in drawn
