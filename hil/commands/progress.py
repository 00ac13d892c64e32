"""A progress bar over things that take a while, on stderr, so that stdout stays the result's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class Bar:
    """Tells what is being done, and how many things are behind it."""

    def __init__(self, progress: "Progress", total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total)
        self._begun = 0

    def tell(self, stage: str) -> None:
        """Show what is being done."""
        self._progress.update(self._task, description=stage)

    def begin(self, thing: str) -> None:
        """Go on to the next thing."""
        self._progress.update(self._task, description=thing, completed=self._begun)
        self._begun += 1

    def finish(self, thing: str) -> None:
        """Tell what was the last thing to be done."""
        self._begun += 1
        self._progress.update(self._task, description=thing, completed=self._begun)

    def end(self) -> None:
        """Fill the bar."""
        self._progress.update(self._task, description="done", completed=self._begun)


@contextmanager
def over(total: int) -> Iterator[Bar]:
    """Show a bar while the block runs."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        bar = Bar(progress, total)
        yield bar
        bar.end()
