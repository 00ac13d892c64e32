"""How far a command is with things that take a while, on stderr: stdout stays the result's.

A terminal shows a bar. A file or a CI log gets a line for each thing when it begins.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


_MOST_LINES = 100  # of a command, as far as its things are counted


class Bar:
    """Tells what is being done, and how many things are behind it."""

    def __init__(self, progress: "Progress", total: int, lines: "Console | None") -> None:
        self._progress = progress
        self._total = total
        self._task = progress.add_task("", total=total)
        self._begun = 0
        self._lines = lines

    def tell(self, stage: str) -> None:
        """Show what is being done."""
        self._progress.update(self._task, description=stage)
        self._say(f"  {stage}")

    def begin(self, thing: str) -> None:
        """Go on to the next thing."""
        self._progress.update(self._task, description=thing, completed=self._begun)
        self._begun += 1
        self._count(thing)

    def finish(self, thing: str) -> None:
        """Tell what was the last thing to be done."""
        self._begun += 1
        self._progress.update(self._task, description=thing, completed=self._begun)
        self._count(thing)

    def end(self) -> None:
        """Fill the bar."""
        self._progress.update(self._task, description="done", completed=self._begun)

    def _count(self, thing: str) -> None:
        if self._begun % max(1, self._total // _MOST_LINES) == 0:
            self._say(f"[{self._begun}/{self._total}] {thing}")

    def _say(self, line: str) -> None:
        if self._lines is not None:
            self._lines.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def over(total: int) -> Iterator[Bar]:
    """Show how far it is while the block runs.

    Args:
        total: things that there are.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = Bar(progress, total, None if console.is_terminal else console)
        yield bar
        bar.end()
