"""The training loop: what it keeps on disk, how it goes on, and what it says of each epoch."""

import io
import math
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hil import files
from hil.errors import UsageError
from hil.models.blocks import vector_of
from hil.models.checkpoint import MAX_BYTES
from hil.models.fastgrnn import FastGRNN
from hil.studies.train.batches import Batch, Feed
from hil.studies.train.fake_quantise import FakeQuantiser
from hil.studies.train.losses import Loss
from hil.studies.train.recipe import Recipe

STATE, WEIGHTS = "training.pt", "weights.pth"
_FORMAT = 1
_SAVE_EVERY_S = 60.0
_MOST_GRADIENT = 10.0  # length; recurrent cells can throw a longer one


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to.

    Attributes:
        number: from 1.
        loss: mean over its steps.
        held_back_loss: over the photographs that were held back; NaN where none were.
        accuracy: share of them told rightly; NaN for a detector.
    """

    number: int
    loss: float
    held_back_loss: float
    accuracy: float


class Trainer:
    """A network, its optimiser, and how far both are.

    Args:
        module: trained in place.
        loss: what is made small.
        recipe: choices.
        feed: photographs to train on.
        held_back: photographs to test on after each epoch; None for none.
        task: what is trained on what, by name; a run is only resumed with the same.
        folder: for the state, and for the weights at the end.
        device: of torch.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        recipe: Recipe,
        *,
        feed: Feed,
        held_back: Feed | None,
        task: Mapping[str, str],
        folder: Path,
        device: str = "cpu",
    ) -> None:
        self.module = module.to(device)
        self.history: list[Epoch] = []
        self._loss, self._feed, self._held_back = loss, feed, held_back
        self._recipe, self._folder, self._device = recipe, folder, device
        self._task = {**task, **{name: str(value) for name, value in recipe.facts().items()}}
        self._sparse = [
            cell
            for cell in module.modules()
            if isinstance(cell, FastGRNN) and min(cell.density) < 1.0
        ]
        self._quantiser = FakeQuantiser(module) if recipe.quantise_aware else None
        self._optimiser = torch.optim.SGD(
            module.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        self._step = 0  # of the epoch that is under way
        self._sum = 0.0  # of its losses
        self._saved_s = time.monotonic()

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self._recipe.epochs * self._feed.steps

    @property
    def done_steps(self) -> int:
        """Steps so far."""
        return len(self.history) * self._feed.steps + self._step

    def run(self) -> Generator[Epoch | None, None, None]:
        """Train to the end; yield None after a step, and an epoch once it is kept on disk.

        A run that is broken off, by Ctrl-C say, is kept up to its last whole step.

        Raises:
            UsageError: the loss is no number any more; the disk keeps the state from before.
        """
        while len(self.history) < self._recipe.epochs:
            yield from self._epoch()
        files.replace(self._folder / WEIGHTS, _packed(_on_cpu(self.module.state_dict())))

    def _epoch(self) -> Iterator[Epoch | None]:
        self.module.train()
        try:
            for batch in self._feed.epoch(len(self.history), first=self._step):
                self._sum += self._learn(batch)
                self._step += 1
                if time.monotonic() - self._saved_s > _SAVE_EVERY_S:
                    self.save()
                yield None
        except (KeyboardInterrupt, GeneratorExit):
            self.save()
            raise
        self.history.append(self._ended())
        self._step, self._sum = 0, 0.0
        self.save()
        yield self.history[-1]

    def _learn(self, batch: Batch) -> float:
        """Take one step; return the loss before it."""
        moment = len(self.history) + (self._step + 1) / self._feed.steps
        for group in self._optimiser.param_groups:
            group["lr"] = self._recipe.rate_at(moment)
        self._optimiser.zero_grad()
        with self._quantiser.rounded_weights() if self._quantiser else nullcontext():
            loss = self._loss(self._outputs(batch), batch.targets)
            loss.backward()  # type: ignore[no-untyped-call]
        value = float(loss.detach())
        if not math.isfinite(value):
            raise UsageError(
                f"epoch {len(self.history) + 1}, step {self._step + 1}: the loss is {value}",
                hint=f"a smaller --learning-rate than {self._recipe.learning_rate:g}, or a longer "
                "--warm-up",
            )
        nn.utils.clip_grad_norm_(self.module.parameters(), _MOST_GRADIENT)
        self._optimiser.step()
        for cell in self._sparse:
            cell.sparsify()
        return value

    def _outputs(self, batch: Batch) -> Tensor:
        return vector_of(self.module(batch.images.to(self._device)))

    def _ended(self) -> Epoch:
        """Sum an epoch up."""
        loss = self._sum / self._feed.steps
        tested = self.tested(self._held_back) if self._held_back else (math.nan, math.nan)
        return Epoch(len(self.history) + 1, loss, *tested)

    def tested(self, feed: Feed) -> tuple[float, float]:
        """Return mean loss, and the share told rightly, of unchanged photographs.

        The share is NaN for a detector.
        """
        self.module.eval()
        total, right, count = 0.0, 0, 0
        with torch.inference_mode():
            for batch in feed.plain():
                outputs = self._outputs(batch)
                total += float(self._loss(outputs, batch.targets)) * len(batch.targets)
                found = self._loss.right(outputs, batch.targets)
                right = -1 if found is None else right + found
                count += len(batch.targets)
        return total / count, math.nan if right < 0 else right / count

    def save(self) -> None:
        """Keep everything that the run goes on from."""
        content = {
            "format": _FORMAT,
            "task": self._task,
            "module": _on_cpu(self.module.state_dict()),
            "optimiser": self._optimiser.state_dict(),
            "ranges": self._quantiser.ranges if self._quantiser else {},
            "random": torch.get_rng_state(),
            "history": [asdict(one) for one in self.history],
            "step": self._step,
            "sum": self._sum,
        }
        files.replace(self._folder / STATE, _packed(content))
        self._saved_s = time.monotonic()

    def resume(self) -> None:
        """Go on from what `save` kept.

        Raises:
            UsageError: there is nothing, it cannot be read, or another run kept it.
        """
        path = self._folder / STATE
        content = _read(path)
        theirs = content["task"]
        for name, value in self._task.items():
            if theirs.get(name) != value:
                raise UsageError(
                    f"{path} is of another run: {name} was {theirs.get(name)!r}, is {value!r}",
                    hint="take the same options, or another --out",
                )
        self.module.load_state_dict(content["module"])
        self._optimiser.load_state_dict(content["optimiser"])
        if self._quantiser:
            self._quantiser.ranges = content["ranges"]
        torch.set_rng_state(content["random"])
        self.history = [Epoch(**one) for one in content["history"]]
        self._step, self._sum = content["step"], content["sum"]


def _on_cpu(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tensor.detach().cpu() for name, tensor in state.items()}


def _packed(content: object) -> bytes:
    memory = io.BytesIO()
    torch.save(content, memory)
    return memory.getvalue()


def _read(path: Path) -> dict[str, Any]:
    """Read a state; nothing in it is run."""
    if not path.is_file():
        raise UsageError(f"there is no run to resume: {path}", hint="leave --resume out")
    if path.stat().st_size > 4 * MAX_BYTES:
        raise UsageError(f"{path} has {path.stat().st_size:,} B: no state of a training run")
    anew = "begin anew, with another --out"
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        known = state["format"] == _FORMAT
    except Exception as error:  # torch.load raises many kinds on damaged files
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{path} cannot be read: {said}", hint=anew) from error
    if not known:
        raise UsageError(
            f"{path} has the format {state['format']!r}, known is {_FORMAT}", hint=anew
        )
    return state
