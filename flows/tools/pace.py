"""Recorded messages, each when its time has come."""

import time
from collections.abc import Callable, Iterable, Iterator

from flows.tools.recorded import Recorded

__all__ = ["paced"]

LOOK = 0.2  # seconds between two looks at whether to end


def paced(
    recording: Iterable[Recorded],
    speed: float,
    ending: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[float, Recorded]]:
    """Yield each message when it is due, and how many seconds after the first one that is.

    Parameters
    ----------
    recording : iterable of Recorded
    speed : float
        How many times faster than they were; infinite: none is waited for.
    ending : callable
        Says whether to end; that is looked at five times a second.
    clock, sleep : callable
        Of seconds.

    Examples
    --------
    >>> was = [Recorded(at, "", None, b"", []) for at in (100.0, 100.02, 100.04)]
    >>> [round(due, 3) for due, _ in paced(was, 2.0, lambda: False)]
    [0.0, 0.01, 0.02]
    """
    begun, first = clock(), None
    for message in recording:
        first = message.time if first is None else first
        due = (message.time - first) / speed
        while not ending() and (left := begun + due - clock()) > 0:
            sleep(min(left, LOOK))
        if ending():
            return
        yield due, message
