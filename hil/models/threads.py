"""PyTorch on one thread, or on a number of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute on one thread while the block runs.

    The networks are small: a second thread gains nothing on a free machine, and on a busy one the
    threads' waiting for each other made compilation ten times slower.
    """
    with of(1):
        yield


@contextmanager
def of(count: int) -> Iterator[None]:
    """Let PyTorch compute on so many threads while the block runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
