"""Offsets for buffers with lifetimes, so that none alive together overlap in a small region."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

ALIGNMENT = 16
PATIENCE = 120  # trials without a smaller region, until the search gives up


@dataclass(frozen=True)
class Item:
    """A buffer to place.

    Attributes:
        first, last: the steps between which it is alive, both included.
        slack: for another buffer by index: this one may lie over it although both are alive if it
            starts at most so many bytes after it, because the step that writes this one reads that
            one in the same order.
    """

    bytes: int
    first: int
    last: int
    slack: dict[int, int] = field(default_factory=dict)


def live_bytes(items: Sequence[Item]) -> int:
    """The most bytes alive at one step: what a packing without slack needs at least."""
    steps = {item.first for item in items}
    return max((sum(i.bytes for i in items if i.first <= s <= i.last) for s in steps), default=0)


def clash(items: Sequence[Item], offsets: Sequence[int], a: int, b: int) -> bool:
    """Whether two placed buffers overlap while both are alive, other than as their slack allows."""
    one, two = items[a], items[b]
    if one.last < two.first or two.last < one.first:
        return False
    if offsets[a] + one.bytes <= offsets[b] or offsets[b] + two.bytes <= offsets[a]:
        return False
    if b in one.slack and offsets[a] <= offsets[b] + one.slack[b]:
        return False
    return not (a in two.slack and offsets[b] <= offsets[a] + two.slack[a])


def pack(items: Sequence[Item], patience: int = PATIENCE) -> tuple[list[int], int]:
    """Place every buffer.

    Greedy by size, or where that is not good enough first what is alive when most is; improved by
    reordering the greedy's queue. The same items always give the same offsets.

    Args:
        items: the buffers.
        patience: trials without a smaller region, until the search gives up.

    Returns:
        The offsets in bytes, in the order of `items`, and the size of the region.
    """
    floor = max((i.bytes for i in items), default=0)
    if not any(item.slack for item in items):
        floor = max(floor, live_bytes(items))
    floor = _aligned(floor)
    crowd = [_crowd(items, item) for item in items]
    best, size = _improve(items, _queue(items, [0] * len(items)), floor, patience)
    if size > floor:
        others, other_size = _improve(items, _queue(items, crowd), floor, patience)
        if other_size < size:
            return others, other_size
    return best, size


def _queue(items: Sequence[Item], rank: Sequence[int]) -> list[int]:
    """Highest rank first, then by size."""
    return sorted(range(len(items)), key=lambda i: (-rank[i], -items[i].bytes, items[i].first, i))


def _crowd(items: Sequence[Item], item: Item) -> int:
    """The most bytes alive while an item is."""
    steps = {item.first, *(i.first for i in items if item.first <= i.first <= item.last)}
    return max(sum(i.bytes for i in items if i.first <= s <= i.last) for s in steps)


def _improve(
    items: Sequence[Item], order: list[int], floor: int, patience: int
) -> tuple[list[int], int]:
    """Reorder the queue as long as the region shrinks now and then."""
    rivals = [_rivals(items, index) for index in range(len(items))]
    best, size = _place(items, order, rivals)
    shuffle = random.Random(0)  # noqa: S311
    fruitless = 0
    while len(items) > 1 and fruitless < patience and size > floor:
        fruitless += 1
        trial = order.copy()
        moved = trial.pop(shuffle.randrange(len(trial)))
        trial.insert(shuffle.randrange(len(order)), moved)
        offsets, trial_size = _place(items, trial, rivals)
        if trial_size < size:
            fruitless = 0
        if trial_size <= size:
            order, best, size = trial, offsets, trial_size
    return best, size


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _rivals(items: Sequence[Item], index: int) -> set[int]:
    """The buffers that are alive together with one."""
    item = items[index]
    return {
        i
        for i, other in enumerate(items)
        if i != index and other.first <= item.last and item.first <= other.last
    }


def _place(
    items: Sequence[Item], order: Sequence[int], rivals: Sequence[set[int]]
) -> tuple[list[int], int]:
    """Give each buffer in turn the lowest offset at which it clashes with none placed before it."""
    offsets = [0] * len(items)
    placed: list[int] = []
    for index in order:
        near = [other for other in placed if other in rivals[index]]
        for candidate in _candidates(items, offsets, near, index):
            offsets[index] = candidate
            if not any(clash(items, offsets, index, other) for other in near):
                break
        placed.append(index)
    size = max((offsets[i] + items[i].bytes for i in placed), default=0)
    return offsets, size


def _candidates(
    items: Sequence[Item], offsets: Sequence[int], near: Sequence[int], index: int
) -> list[int]:
    """Offsets worth trying, lowest first: 0, others' ends, and where slack lets two overlap."""
    starts = {0}
    for other in near:
        starts.add(_aligned(offsets[other] + items[other].bytes))
        if index in items[other].slack:  # the other one may start this much after us
            starts.add(_aligned(offsets[other] - items[other].slack[index]))
    return sorted(start for start in starts if start >= 0)
