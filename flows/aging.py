"""How long each group of a partition has been silent, by the partition's own event time.

That time is the largest time stamp of the partition's readings, where one far ahead counts only
when another group confirms it: one device with a wrong clock moves nothing. Silence is measured in
steps of `max_ahead` at most. So a plant that stands still for two weeks does not lose what its
other groups have learned when the first one is back. No wall clock is asked: a replay decides
the same.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from oodl.clock import EventClock

__all__ = ["Ages", "Moment"]


class Moment(NamedTuple):
    """Where a partition's time stands.

    Parameters
    ----------
    elapsed : float
        Seconds of event time that have passed, steps beyond `max_ahead` cut.
    now, claim : float or None
        As `EventClock` has them.
    claimant : str
        The group that claims.
    """

    elapsed: float = 0.0
    now: float | None = None
    claim: float | None = None
    claimant: str = ""


class Ages:
    """When each group was seen last, and which of them have been silent for too long.

    Parameters
    ----------
    ttl, max_ahead : float
        Seconds, > 0.
    moment : Moment
        Where the time stands.
    seen : iterable of (str, float)
        The groups, and what had elapsed when each was seen last.

    Examples
    --------
    >>> ages = Ages(ttl=60.0, max_ahead=3600.0)
    >>> for group, time in [("oven", 0.0), ("press", 0.0), ("press", 59.0)]:
    ...     assert ages.tick(group, time) == []
    ...     _ = ages.see(group)
    >>> ages.tick("press", 61.0)
    ['oven']
    """

    def __init__(
        self,
        ttl: float,
        max_ahead: float,
        moment: Moment | None = None,
        seen: Iterable[tuple[str, float]] = (),
    ) -> None:
        self._ttl, self._max_ahead = ttl, max_ahead
        self._elapsed, self._now, self._claim, self._claimant = moment or Moment()
        self._seen = OrderedDict(sorted(seen, key=lambda each: each[1]))

    @property
    def moment(self) -> Moment:
        """Where the time stands."""
        return Moment(self._elapsed, self._now, self._claim, self._claimant)

    def tick(self, group: str, time: float) -> list[str]:
        """Take the time of a group's reading; name and forget the groups whose time is over."""
        now = self._now
        if now is None or self._claim is not None or time > now + self._max_ahead:
            self._weigh(group, time)
        elif time > now:
            self._elapsed += time - now
            self._now = time
        expired: list[str] = []
        first = self._elapsed - self._ttl
        while self._seen and (oldest := next(iter(self._seen.items())))[1] < first:
            del self._seen[oldest[0]]
            expired.append(oldest[0])
        return expired

    def see(self, group: str) -> float:
        """Note that a group had a reading; what has elapsed by now."""
        self._seen[group] = self._elapsed
        self._seen.move_to_end(group)
        return self._elapsed

    def _weigh(self, group: str, time: float) -> None:
        """Take a time that is far ahead, or the first one after such a time."""
        now = self._now
        far = now is None or time > now + self._max_ahead
        if self._claim is not None and far and group == self._claimant:
            return  # no group confirms itself
        clock = EventClock(now, self._claim).advance([time], max_ahead=self._max_ahead).clock
        if now is not None and clock.now is not None:
            self._elapsed += min(clock.now - now, self._max_ahead)
        self._now, self._claim = clock.now, clock.claim
        self._claimant = group if clock.claim is not None else ""
