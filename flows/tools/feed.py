"""Feeds: where readings come from, paced by a monotonic clock.

Ticks are counted from the start, so a late one is made up for and the rate never drifts.
"""

import time
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

__all__ = ["Feed", "Sent", "Stop", "Values", "ticks"]

Values = list[float] | dict[str, float]


class Sent(msgspec.Struct, frozen=True):
    """A reading as it was sent, with the partition and offset that the broker confirmed.

    `row` is which reading of its message it is; of the only one 0.
    """

    group: str
    ts: float
    values: Values
    partition: int
    offset: int
    row: int = 0


class Stop(Protocol):
    """Whether to end: an event of `threading`, or the `StopFlag` of a command."""

    def wait(self, seconds: float, /) -> bool:
        """Wait so long or until it is set; tell whether it is."""
        ...


class Feed(Protocol):
    """Where readings come from: the host's sensors, or a simulated fleet."""

    def readings(self) -> Iterator[tuple[str, Values]]:
        """Yield the readings of one tick, each with its group."""
        ...


def ticks(
    rate: float,
    stop: Stop,
    seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[int]:
    """Yield 0, 1, 2, ... `rate` times a second, until `stop` is set or `seconds` are over.

    Parameters
    ----------
    rate : float
        Ticks a second, > 0.
    stop : Stop
        Ends the ticks, also in the middle of a wait.
    seconds : float, optional
        How long; for ever by default.
    clock : callable
        Monotonic seconds.

    Examples
    --------
    >>> from threading import Event
    >>> list(ticks(1000.0, Event(), seconds=0.003))
    [0, 1, 2]
    """
    start = clock()
    tick = 0
    while seconds is None or tick < seconds * rate:
        if stop.wait(max(0.0, start + tick / rate - clock())):
            return
        yield tick
        tick += 1
