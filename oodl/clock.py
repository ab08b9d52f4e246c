"""A group's event time: the largest time stamp its readings agree on.

A clock that runs ahead by mistake must not move a group into the future, so a stamp far beyond
all before it counts only when the next reading confirms it. No wall clock is asked: a replay
decides the same.
"""

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["EventClock", "Ticks"]


class EventClock(NamedTuple):
    """The event time of one group, in seconds.

    Parameters
    ----------
    now : float or None
        The largest confirmed time stamp; None before two readings agree.
    claim : float or None
        A stamp that waits for the next reading to confirm it.

    Examples
    --------
    A stamp of the year 2099 moves nothing, since no second reading confirms it.

    >>> ticks = EventClock().advance([10.0, 11.0, 4.0e9, 12.0], max_ahead=3600.0)
    >>> ticks.clock.now, ticks.ahead
    (12.0, 1)
    """

    now: float | None = None
    claim: float | None = None

    def advance(self, times: Iterable[float], *, max_ahead: float) -> "Ticks":
        """Read the time stamps of consecutive readings.

        Parameters
        ----------
        times : iterable of float
            Seconds, in the order of the readings.
        max_ahead : float
            How far beyond the clock a stamp is believed at once, in seconds.
        """
        now, claim = self
        ahead = late = 0
        nows = []
        for time in times:
            if claim is not None:
                if time >= claim - max_ahead:
                    now = claim if now is None else max(now, claim)
                else:
                    ahead += 1
                claim = None
            if now is None or time > now + max_ahead:
                claim = time
            elif time > now:
                now = time
            else:
                late += time < now - max_ahead
            nows.append(now)
        return Ticks(EventClock(now, claim), nows, ahead, late)


class Ticks(NamedTuple):
    """What time stamps did to a clock.

    Parameters
    ----------
    clock : EventClock
        As it stands after the last one.
    nows : list of float or None
        What it showed after each one.
    ahead : int
        Stamps more than `max_ahead` beyond it that the next reading did not confirm.
    late : int
        Stamps more than `max_ahead` behind it.
    """

    clock: EventClock
    nows: list[float | None]
    ahead: int
    late: int
