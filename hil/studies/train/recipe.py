"""How a network is trained: the paper's choices, and the learning rate at each step."""

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Recipe:
    """The choices of a training run.

    Attributes:
        epochs: passes over the photographs.
        batch: photographs a step.
        learning_rate: the greatest; it falls to 0 along half a cosine.
        warm_up_epochs: in which it rises from 0 first.
        momentum, weight_decay: of stochastic gradient descent.
        seed: of the first weights, of the order of photographs and of their augmentation.
        quantise_aware: round weights and maps in training as the quantiser will.

    Source: RNNPool paper, appendix G.
    """

    epochs: int
    batch: int
    learning_rate: float
    warm_up_epochs: int = 0
    momentum: float = 0.9
    weight_decay: float = 4e-5
    seed: int = 0
    quantise_aware: bool = False

    def rate_at(self, epoch: float) -> float:
        """Return the learning rate at a moment, in epochs from the start."""
        if epoch < self.warm_up_epochs:
            return self.learning_rate * epoch / self.warm_up_epochs
        share = (epoch - self.warm_up_epochs) / max(1, self.epochs - self.warm_up_epochs)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))

    def facts(self) -> dict[str, int | float | bool]:
        """Return every choice by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


CLASSIFIER = Recipe(epochs=150, batch=256, learning_rate=0.05)
"""Of the paper's Visual Wake Words and ImageNet-1K networks; ImageNet-10 takes 300 epochs."""

DETECTOR = Recipe(epochs=300, batch=32, learning_rate=0.01, warm_up_epochs=5)
"""Of the paper's face detectors."""
