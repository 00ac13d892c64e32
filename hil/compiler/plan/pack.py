"""Offsets for buffers with lifetimes, so that none alive together overlap in a small region."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TypeAlias

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


def pack(items: Sequence[Item], patience: int = PATIENCE) -> tuple[list[int], int]:
    """Place every buffer.

    Greedy by size, or where that is not good enough first what is alive when most is; improved by
    reordering the greedy's queue. Or greedy by length of life. The same items always give the same
    offsets.

    Args:
        items: the buffers.
        patience: trials without a smaller region, until the search gives up.

    Returns:
        The offsets in bytes, in the order of `items`, and the size of the region.
    """
    key = tuple((i.bytes, i.first, i.last, tuple(i.slack.items())) for i in items)
    offsets, size = _packed(key, patience)
    return list(offsets), size


_Key: TypeAlias = tuple[tuple[int, int, int, tuple[tuple[int, int], ...]], ...]


@lru_cache(maxsize=1024)  # schedules that differ in nothing but code have the same buffers
def _packed(key: _Key, patience: int) -> tuple[tuple[int, ...], int]:
    items = [Item(size, first, last, dict(slack)) for size, first, last, slack in key]
    floor = max((i.bytes for i in items), default=0)
    if not any(item.slack for item in items):
        floor = max(floor, live_bytes(items))
    floor = _aligned(floor)
    crowd = [_crowd(items, item) for item in items]
    best, size = _improve(items, _queue(items, [0] * len(items)), floor, patience)
    if size > floor:
        others, other_size = _improve(items, _queue(items, crowd), floor, patience)
        if other_size < size:
            best, size = others, other_size
    if size > floor:
        lives = [item.last - item.first for item in items]
        others, other_size = _improve(items, _queue(items, lives), floor, patience=0)
        if other_size < size:
            best, size = others, other_size
    return tuple(best), size


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
        moved = trial.pop(old := shuffle.randrange(len(trial)))
        trial.insert(new := shuffle.randrange(len(order)), moved)
        kept = {index: best[index] for index in order[: min(old, new)]}
        offsets, trial_size = _place(items, trial, rivals, kept, limit=size)
        if trial_size < size:
            fruitless = 0
        if trial_size <= size:
            order, best, size = trial, offsets, trial_size
    return best, size


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _rivals(items: Sequence[Item], index: int) -> list[tuple[int, int, int]]:
    """The buffers alive together with one, and where it must not start because of each.

    For each (the other's index, below, above): it must not start between `below` and `above` bytes,
    both excluded, behind the other one's start.
    """
    one = items[index]
    rivals = []
    for i, other in enumerate(items):
        if i != index and other.first <= one.last and one.first <= other.last:
            below = max(-one.bytes, one.slack[i]) if i in one.slack else -one.bytes
            above = min(other.bytes, -other.slack[index]) if index in other.slack else other.bytes
            rivals.append((i, below, above))
    return rivals


def _place(
    items: Sequence[Item],
    order: Sequence[int],
    rivals: Sequence[Sequence[tuple[int, int, int]]],
    kept: Mapping[int, int] = MappingProxyType({}),
    limit: float = math.inf,
) -> tuple[list[int], int]:
    """Give each buffer in turn the lowest offset at which it clashes with none placed before it.

    The offsets of the first few may be known already (`kept`). Once the region is larger than
    `limit` the rest is not worth placing.
    """
    offsets = [kept.get(index, -1) for index in range(len(items))]
    size = max((offset + items[index].bytes for index, offset in kept.items()), default=0)
    for index in order[len(kept) :]:
        offset = 0
        taken = [
            (start + below, start + above)
            for other, below, above in rivals[index]
            if (start := offsets[other]) >= 0
        ]
        for low, high in sorted(taken):
            if low >= offset:
                break
            if offset < high:
                offset = -(-high // ALIGNMENT) * ALIGNMENT  # not called: it is the planner's time
        offsets[index] = offset
        size = max(size, offset + items[index].bytes)
        if size > limit:
            break
    return offsets, size
