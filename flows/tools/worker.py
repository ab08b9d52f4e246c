"""A thread whose failure is not lost: it is kept, and raised where the thread is awaited."""

import threading
from collections.abc import Callable

__all__ = ["Worker"]


class Worker(threading.Thread):
    """Does one piece of work.

    Parameters
    ----------
    name : str
        For people.
    work : callable
        Called once, in the thread.

    Attributes
    ----------
    failure : Exception or None
        What ended the work early.

    Examples
    --------
    >>> worker = Worker("divider", lambda: 1 / 0)
    >>> worker.start()
    >>> worker.finish()
    Traceback (most recent call last):
    ZeroDivisionError: division by zero
    """

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        super().__init__(name=name, daemon=True)
        self.failure: Exception | None = None
        self._work = work

    def run(self) -> None:
        """Work; called by `start`."""
        try:
            self._work()
        except Exception as problem:  # noqa: BLE001  (`finish` raises it)
            self.failure = problem

    def finish(self) -> None:
        """Wait for the end of the work, and raise what ended it early."""
        self.join()
        if self.failure is not None:
            raise self.failure
