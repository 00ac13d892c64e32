"""Whose the time between two reads of the cycle counter is: a layer's, or that of a wait."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from hil.errors import MismatchError
from hil.link.frames import DATA_BYTES

if TYPE_CHECKING:
    from hil.compiler.plan import Plan
    from hil.compiler.program import Tensor

T = TypeVar("T")


def by_layer(owners: Sequence[int | None], moments: Sequence[T]) -> list[list[tuple[T, T]]]:
    """Sort what lies between the reads of one run.

    Args:
        owners: of the firmware that ran, as `owners` gives them.
        moments: something noted at every read, in order.

    Returns:
        For each layer the pairs of moments between which it was computed.

    Raises:
        MismatchError: the firmware read the counter another number of times.
    """
    if len(moments) != len(owners) + 1:
        raise MismatchError(
            f"the firmware read the cycle counter {len(moments)} times, not {len(owners) + 1} as "
            "its plan has it",
            hint="does it count every layer with cycles_now? See firmware/runtime/serve.c",
            stage="figures",
        )
    count = 1 + max(owner for owner in owners if owner is not None)
    layers: list[list[tuple[T, T]]] = [[] for _ in range(count)]
    for owner, pair in zip(owners, pairwise(moments), strict=True):
        if owner is not None:
            layers[owner].append(pair)
    return layers


def owners(plan: "Plan") -> Iterator[int | None]:
    """Yield the layer of each interval, None of a wait; as runtime/serve.c and stream.c read.

    A wait is read before and after; what comes before it belongs to the layer that laps next.
    """
    waits = 0
    for event in _events(plan):
        if event is None:
            waits += 1
            continue
        yield from [event, None] * waits
        yield event
        waits = 0


def _events(plan: "Plan") -> Iterator[int | None]:
    """Every lap, as its layer's index, and every wait, as None."""
    streamed = plan.choices.streamed
    for stage, maps in plan.stream_order:
        yield from _waits([m for m in maps if stage is None or m[0].name in plan.results])
        if stage is not None:
            yield stage
    if streamed:
        yield streamed - 1
    for index, step in enumerate(plan.steps[streamed:], start=streamed):
        results = [tensor for tensor in step.outputs if tensor.name in plan.results]
        yield from _waits([(tensor, tensor.shape[0]) for tensor in results if streamed])
        yield index


def _waits(rows: "Sequence[tuple[Tensor, int]]") -> Iterator[None]:
    for tensor, count in rows:
        yield from [None] * -(-count * tensor.bytes // tensor.shape[0] // DATA_BYTES)
