"""What cycles went to, where a target can say."""

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Spent:
    """Cycles by cause.

    Attributes:
        issue: instructions. load_store: waiting for data. branch: refilling the pipeline.
        flash_code, flash_data: flash wait states that the caches did not hide.
        other: division, floating point and what fits none.
    """

    issue: int
    load_store: int
    branch: int
    flash_code: int
    flash_data: int
    other: int

    def __sub__(self, earlier: "Spent") -> "Spent":
        mine, theirs = asdict(self), asdict(earlier)
        return Spent(**{name: mine[name] - theirs[name] for name in mine})

    def __add__(self, more: "Spent") -> "Spent":
        mine, theirs = asdict(self), asdict(more)
        return Spent(**{name: mine[name] + theirs[name] for name in mine})


@dataclass(frozen=True)
class Moment:
    """A read of the cycle counter, as the board itself counts.

    Attributes:
        cycles: so far. spent: on what; None where only cycles were asked for.
    """

    cycles: int
    spent: Spent | None = None


NOTHING = Spent(0, 0, 0, 0, 0, 0)
CAUSES = tuple(field.name for field in fields(Spent))
