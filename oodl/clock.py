"""A group's event time: the largest time stamp its readings agree on.

A clock that runs ahead by mistake must not move a group into the future, so a stamp far beyond
all before it counts only when the next reading confirms it. No wall clock is asked: a replay
decides the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["EventClock"]


@dataclass(frozen=True, slots=True)
class EventClock:
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

    >>> clock, ahead, late = EventClock().advance([10.0, 11.0, 4.0e9, 12.0], max_ahead=3600.0)
    >>> clock.now, ahead
    (12.0, 1)
    """

    now: float | None = None
    claim: float | None = None

    def advance(self, times: Iterable[float], *, max_ahead: float) -> tuple["EventClock", int, int]:
        """Read the time stamps of consecutive readings.

        Parameters
        ----------
        times : iterable of float
            Seconds, in the order of the readings.
        max_ahead : float
            How far beyond the clock a stamp is believed at once, in seconds.

        Returns
        -------
        clock : EventClock
        ahead, late : int
            How many stamps lay more than `max_ahead` beyond the clock, and behind it.
        """
        now, claim = self.now, self.claim
        ahead = late = 0
        for time in times:
            if now is not None and time <= now + max_ahead:
                late += time < now - max_ahead
                now, claim = max(now, time), None
            elif claim is not None and abs(time - claim) <= max_ahead:
                now, claim = max(claim, time), None
            else:
                ahead += now is not None
                claim = time
        return EventClock(now, claim), ahead, late
