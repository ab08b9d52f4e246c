"""Progress bars: of work that takes long, on a terminal, on the error output, and nowhere else.

In a pipe or a file nothing of them is written, so that what is read there is the same each time.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = ["Tell", "progress", "untold"]

Tell = Callable[[int, int], None]
"""Called with how much is done, and how much there is."""

LOOK = 0.1  # seconds between two pictures


def untold(done: int, total: int) -> None:
    """Tell nobody."""


@contextmanager
def progress(task: str, what: str, *, beside: IO[str] | None = None) -> Iterator[Tell]:
    """Show a bar until the block ends; on what is no terminal show nothing.

    Parameters
    ----------
    task : str
        What is done, such as "reading".
    what : str
        What is counted, such as "rows".
    beside : text file, optional
        Where results go meanwhile: on a terminal they would stand where the bar is.
    """
    if not sys.stderr.isatty() or (beside is not None and beside.isatty()):
        yield untold
        return
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), _Counted(what))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        number, drawn = bar.add_task(task, total=None), 0.0

        def tell(done: int, total: int) -> None:
            nonlocal drawn
            now = time.monotonic()
            if now - drawn >= LOOK or done == total:
                drawn = now
                bar.update(number, completed=done, total=total)

        yield tell


class _Counted(ProgressColumn):
    """How many of how many."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def render(self, task: Task) -> Text:
        """Return the text of a task as it stands."""
        total = "…" if task.total is None else f"{int(task.total):,}"
        return Text(f"{int(task.completed):,} of {total} {self._what}")
