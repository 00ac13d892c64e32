"""What a network says of one photograph, as float and as integers."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, TypeAlias

Said: TypeAlias = tuple[tuple[float, ...], ...]
"""A detector's boxes, best first: left, top, right, bottom in pixels, score; or one of logits."""


@dataclass(frozen=True)
class Answer:
    """What float and integers say of a photograph, or why there is no answer.

    Attributes:
        example: the photograph's name in its dataset.
        of_float, of_integers: what they say.
        on_board: whether a board computed the integers, rather than the reference.
        mismatches: outputs of the board that differ from the reference.
        cycles: of the board's inference.
        sqnr_db: of the outputs, signal to quantisation noise.
        clipped: share of the outputs that are the least or the greatest of their integers.
        seconds: of the host.
        error: why there is no answer, empty where there is.
    """

    example: str
    of_float: Said = ()
    of_integers: Said = ()
    on_board: bool = False
    mismatches: int = 0
    cycles: int | None = None
    sqnr_db: float = 0.0
    clipped: float = 0.0
    seconds: float = 0.0
    error: str = ""

    @classmethod
    def from_json(cls, entries: Mapping[str, Any]) -> Self:
        """Take an answer from a line of a file.

        Raises:
            TypeError, ValueError: it is none.
        """
        if entries.keys() != {field.name for field in fields(cls)}:
            raise ValueError("its entries are not those of an answer")
        if not isinstance(entries["example"], str) or not isinstance(entries["error"], str):
            raise TypeError("its example and its error are texts")
        said = {
            key: tuple(tuple(float(v) for v in line) for line in entries[key])
            for key in ("of_float", "of_integers")
        }
        return cls(**{**entries, **said})
