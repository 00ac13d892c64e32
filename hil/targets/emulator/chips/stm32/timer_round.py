"""A timer's round, from one overflow to the next: its counts by their place in it.

Source: RM0090 sections 17.3.2, 18.3.2 and 20.3.2.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Round:
    """What a round looks like.

    A place says how many counts the round is old. The count goes up with it, down from the reload
    value, or, where it is centred, up and down again.

    Attributes:
        reload: the reload value.
        most: the highest count that the counter can hold.
        centred: whether it counts both ways.
        down: whether it counts down, where it is not centred.
    """

    reload: int
    most: int
    centred: bool = False
    down: bool = False

    def length(self, at: int) -> int:
        """Return how many counts a round has for one who stands at a place."""
        if self.centred:
            return 2 * self.reload
        return self.most + 1 if at > self.reload else self.reload + 1

    def goes_down(self, at: int) -> bool:
        """Whether it counts down at a place."""
        return at >= self.reload if self.centred else self.down

    def count(self, at: int) -> int:
        """Return the count at a place."""
        if self.centred:
            return at if at <= self.reload else 2 * self.reload - at
        return self.reload - at if self.down else at

    def place(self, count: int) -> int:
        """Return the first place that has a count."""
        if self.centred:
            return self.turned(count, down=False)
        return max(self.reload - count, 0) if self.down else count

    def turned(self, count: int, *, down: bool) -> int:
        """Return the place of a count on the way up or down of a centred round.

        Args:
            count: beyond the reload value it is taken as that.
            down: which way it goes.
        """
        count = min(count, self.reload)
        return (2 * self.reload - count) % max(2 * self.reload, 1) if down else count

    def turns(self) -> tuple[int, ...]:
        """Return the places at which it overflows or underflows."""
        return (0, self.reload) if self.centred else (0,)

    def meets(self, value: int) -> tuple[int, ...]:
        """Return the places at which the count is a channel's value."""
        if value > self.reload:
            return ()
        if self.centred:
            return tuple({value, (2 * self.reload - value) % (2 * self.reload)})
        return (self.reload - value if self.down else value,)

    def distance(self, at: int, place: int) -> int:
        """Return the counts from one place to another, at least one.

        Args:
            at: where it stands.
            place: where it comes to.
        """
        return (place - at - 1) % self.length(at) + 1

    def hits(self, at: int, place: int, counts: int) -> int:
        """Return how often it comes to a place in so many counts.

        Args:
            at: where it stands.
            place: where it comes to.
            counts: how far it goes.
        """
        distance = self.distance(at, place)
        return 0 if counts < distance else (counts - distance) // self.length(at) + 1
