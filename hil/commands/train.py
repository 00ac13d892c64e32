"""`hil train`: a network of a scenario learns a dataset."""

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hil import numbers
from hil.commands.options import Commands, checkpoint_option, command, folder

if TYPE_CHECKING:
    from hil.studies.train.recipe import Recipe
    from hil.studies.train.run import Split
    from hil.studies.train.trainer import Epoch, Trainer
    from hil.vision.datasets import Dataset

LOSSES = "losses.csv"
_SMALL_PARAMETERS = 100_000
_LEAST = {"epochs": 1, "batch": 2, "warm_up_epochs": 0, "seed": 0, "threads": 1}
_EXAMPLES = """examples:
  hil train face_or_not --data lfw_subset:train --from-scratch --epochs 60 --batch 16
  hil train vww_rnnpool --data people/ --out build/hil/vww
  hil train face_m4 --data scut/ --checkpoint face_m4.pth --epochs 50 --quantise-aware
  hil train face_m4 --data scut/ --out build/hil/face --resume

--data takes every form of dataset that `hil evaluate` does. Left alone, epochs, batch, learning
rate and warm-up are those of the paper's appendix G. Ctrl-C keeps the state; --resume goes on from
it, and ends as an unbroken run would have. Then: hil evaluate --checkpoint OUT/weights.pth.

exit status: 0 trained, 2 wrong usage, 130 broken off
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    summary = "train a scenario's network on photographs, or fine-tune its checkpoint"
    parser = command(commands, "train", _run, summary, epilog=_EXAMPLES)
    parser.add_argument("scenario", help="a file of scenarios/, or the path of one")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="the dataset's folder, or lfw_subset:train for the faces that scikit-image carries",
    )
    parser.add_argument("--form", help="of the dataset (default: found out)")
    parser.add_argument(
        "--test-data", type=Path, metavar="DIR", help="test on these instead of holding some back"
    )
    parser.add_argument(
        "--held-back",
        type=numbers.share,
        default=0.2,
        metavar="SHARE",
        help="of each class, to test on after every epoch (default: %(default)s)",
    )
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value in the scenario's [variant], such as pooling=strided; repeats",
    )
    checkpoint_option(parser)
    parser.add_argument(
        "--from-scratch", action="store_true", help="take no checkpoint, the scenario's neither"
    )
    parser.add_argument("--epochs", type=int, metavar="N")
    parser.add_argument("--batch", type=int, metavar="N", help="photographs a step")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", help="the greatest")
    parser.add_argument("--warm-up", type=int, metavar="N", help="epochs of a rising rate")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument(
        "--quantise-aware",
        action="store_true",
        help="round weights and maps in training as the quantiser will",
    )
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda or auto, which takes a GPU where there is one"
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="of the CPU (default: all, 1 for a small network)"
    )
    parser.add_argument(
        "--out",
        type=folder,
        default=Path("build/hil/train"),
        metavar="DIR",
        help="for state, weights, losses and their picture (default: %(default)s)",
    )
    parser.add_argument(
        "--beside",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="draw the losses of another run's --out too; repeats",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run of --out")


def _run(options: argparse.Namespace) -> int:
    from hil import files
    from hil.config import scenario
    from hil.models import threads
    from hil.studies.train import curves, run
    from hil.studies.train.trainer import WEIGHTS
    from hil.vision import datasets

    chosen = scenario.load(options.scenario).override(checkpoint=options.checkpoint)
    chosen = replace(chosen, variant={**chosen.variant, **_variant(options.variant)})
    if options.from_scratch:
        chosen = replace(chosen, checkpoint=None)
    beside = {folder.name: curves.read(folder / LOSSES) for folder in options.beside}
    dataset = datasets.open_dataset(options.data, options.form)
    parts = _parts(options, dataset)
    recipe = _recipe(options, run.usual_recipe(chosen), len(parts.train))
    device = _device(options.device)
    made = run.trainer(chosen, dataset, parts, recipe, folder=options.out, device=device)
    if options.resume:
        made.resume()
    else:
        _refuse_to_overwrite(options.out)
    steps = made.total_steps // recipe.epochs
    print(
        f"{chosen.name}: {len(parts.train):,} photographs to train on, {len(parts.held_back):,} "
        f"held back; {recipe.epochs} epochs of {steps} steps on {device}"
    )
    with threads.of(options.threads or _useful_threads(made)):
        _train(made, options.out)
    drawn = curves.draw({**beside, options.out.name: made.history}, f"{chosen.name}, loss")
    files.replace(options.out / "losses.svg", drawn)
    print(f"weights: {options.out / WEIGHTS}")
    return 0


def _variant(given: list[str]) -> dict[str, int | float | str]:
    """Read values as TOML would, and words without quotes as words."""
    import tomllib

    from hil.errors import UsageError

    values = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise UsageError(f"--variant={one} is not NAME=VALUE")
        try:
            values[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[name] = value
    return values


def _parts(options: argparse.Namespace, dataset: "Dataset") -> "Split":
    from hil.errors import UsageError
    from hil.studies.train import run
    from hil.vision import datasets

    if not 0.0 <= options.held_back < 1.0:
        raise UsageError(f"--held-back={options.held_back} is no share: 0 or more, less than 1")
    share = 0.0 if options.test_data else options.held_back
    parts = run.split(dataset, share, options.seed)
    if options.test_data:
        tested = datasets.open_dataset(options.test_data, options.form)
        if tested.classes != dataset.classes:
            raise UsageError(
                f"{options.test_data} has the classes {', '.join(tested.classes)}; "
                f"{options.data} has {', '.join(dataset.classes)}"
            )
        of_test = run.split(tested, 0.0, options.seed)
        left_out = (*parts.unreadable, *of_test.unreadable)
        parts = replace(parts, held_back=of_test.train, unreadable=left_out)
    for what in parts.unreadable:
        print(f"left out: {what}")
    return parts


def _recipe(options: argparse.Namespace, usual: "Recipe", photographs: int) -> "Recipe":
    from hil.errors import UsageError

    given = {
        "epochs": options.epochs,
        "batch": options.batch,
        "learning_rate": options.learning_rate,
        "warm_up_epochs": options.warm_up,
    }
    for name, least in _LEAST.items():
        value = {**given, "seed": options.seed, "threads": options.threads}[name]
        if value is not None and value < least:
            raise UsageError(f"{name.replace('_', ' ')}: {value} is less than {least}")
    rate = options.learning_rate
    if rate is not None and not 0.0 < rate < float("inf"):
        raise UsageError(f"--learning-rate={rate} is no learning rate: above 0")
    chosen = replace(
        usual,
        seed=options.seed,
        quantise_aware=options.quantise_aware,
        **{name: value for name, value in given.items() if value is not None},
    )
    if options.batch is None and chosen.batch > photographs // 4:
        # A batch of everything would be a step an epoch.
        chosen = replace(chosen, batch=max(2, photographs // 8))
    if chosen.warm_up_epochs >= chosen.epochs:
        chosen = replace(chosen, warm_up_epochs=0)
    return chosen


def _device(name: str) -> str:
    import torch

    from hil.errors import UsageError

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(f"--device={name} cannot be used: {first}", hint="cpu can") from error
    return name


def _useful_threads(made: "Trainer") -> int:
    """Threads that shorten a step: those of a small network wait for each other."""
    import os

    parameters = sum(one.numel() for one in made.module.parameters())
    return (os.cpu_count() or 1) if parameters > _SMALL_PARAMETERS else 1


def _refuse_to_overwrite(folder: Path) -> None:
    from hil.errors import UsageError
    from hil.studies.train.trainer import STATE

    if (folder / STATE).exists():
        raise UsageError(
            f"{folder} holds a run already",
            hint="--resume goes on with it; another --out begins anew",
        )


def _train(made: "Trainer", folder: Path) -> None:
    from hil import files
    from hil.commands import progress
    from hil.studies.train import curves

    with progress.over(made.total_steps) as bar:
        for _ in range(made.done_steps):
            bar.begin("resumed")
        bar.tell("first epoch")
        for epoch in made.run():
            if epoch is None:
                bar.begin(_words(made.history[-1]) if made.history else "first epoch")
            else:
                files.replace(folder / LOSSES, curves.table(made.history))
    print(_words(made.history[-1]))


def _words(epoch: "Epoch") -> str:
    words = f"epoch {epoch.number}: loss {epoch.loss:.4f}"
    if not math.isnan(epoch.held_back_loss):
        words += f", held back {epoch.held_back_loss:.4f}"
    if not math.isnan(epoch.accuracy):
        words += f", {epoch.accuracy:.1%} right"
    return words
