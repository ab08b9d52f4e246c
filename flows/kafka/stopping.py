"""Whether the process was asked to end."""

import os
import signal
import sys
from collections.abc import Callable
from threading import Thread
from time import monotonic, sleep
from types import FrameType
from typing import Self

__all__ = ["StopFlag"]

LOOK = 0.1  # seconds between two looks while it is waited for: no lock, a handler may come between


class StopFlag:
    """Whether the process was asked to end: at once while it starts, by the flow once it runs.

    Examples
    --------
    >>> stop = StopFlag()
    >>> bool(stop), stop.seconds
    (False, 0.0)
    >>> stop.set()
    >>> bool(stop)
    True
    """

    def __init__(self) -> None:
        self.cause = ""
        self._since: float | None = None
        self._deferred = False

    def install(self) -> Self:
        """Listen to SIGTERM and SIGINT; until `defer` is called they end the process with 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)
        return self

    def defer(self) -> None:
        """From now on only set the flag: the flow reads it, takes its snapshot and ends."""
        self._deferred = True

    def listen(self, heard: Callable[[], None]) -> None:
        """Call a function in a thread of its own at each signal from now on.

        Also while this thread is in a library that lets no handler run.
        """
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        Thread(target=_hear, args=(reading, heard), name="signals", daemon=True).start()
        if self:  # asked to end before anyone listened
            os.write(writing, b"\0")

    def set(self, cause: str = "a call") -> None:
        """Ask the flow to end."""
        if self._since is None:
            self._since, self.cause = monotonic(), cause

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until it is set; tell whether it is."""
        due = monotonic() + seconds
        while not self and (left := due - monotonic()) > 0:
            sleep(min(LOOK, left))
        return bool(self)

    @property
    def seconds(self) -> float:
        """How long ago the process was asked to end; 0 when it was not."""
        return 0.0 if self._since is None else monotonic() - self._since

    def __bool__(self) -> bool:
        return self._since is not None

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        self.set(signal.Signals(number).name)
        if not self._deferred:
            sys.exit(0)


def _hear(reading: int, heard: Callable[[], None]) -> None:
    while os.read(reading, 1):
        heard()
