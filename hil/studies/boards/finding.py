"""What one look at a physical board found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What one look found.

    Attributes:
        name: of the look.
        good: whether all is as it should be; None where it cannot be told here.
        detail: for a person.
        value: the figure, where there is one; `unit` says of what.
        modelled: the same figure on an emulated board of the same kind.
    """

    name: str
    good: bool | None
    detail: str
    value: float | None = None
    modelled: float | None = None
    unit: str = ""

    @property
    def difference(self) -> float | None:
        """The board's figure less the model's; None where one of them lacks."""
        if self.value is None or self.modelled is None:
            return None
        return self.value - self.modelled
