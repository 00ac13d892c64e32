"""The rows of the paper's table 2: which pooling stands early in a network, and which last."""

from typing import Literal, TypeAlias

Pooling: TypeAlias = Literal["none", "average", "max", "strided", "renet", "rnnpool"]
Last: TypeAlias = Literal["average", "rnnpool"]

VARIANTS: dict[str, tuple[Pooling, Last]] = {
    "base": ("none", "average"),
    "last_rnnpool": ("none", "rnnpool"),
    "avgpool": ("average", "average"),
    "maxpool": ("max", "average"),
    "strided": ("strided", "average"),
    "renet": ("renet", "average"),
    "rnnpool": ("rnnpool", "average"),
    "rnnpool_last": ("rnnpool", "rnnpool"),
}
