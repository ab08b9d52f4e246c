"""Counters as rates: how much a channel grew a second, in place of its value.

Decided reading by reading, before anything is coded, from the readings alone: a file and a topic,
read once or again, lead to the same rates.
"""

from collections.abc import Callable, Sequence
from math import isfinite, nan

import numpy as np
import numpy.typing as npt

from oodl.channels import Row
from oodl.clock import EventClock

__all__ = ["MAX_AHEAD", "Rates"]

Floats = npt.NDArray[np.floating]
Last = tuple[float, float]  # the time and the value that the next rate counts from

MAX_AHEAD = 3600.0
MOST = 256  # names that are remembered until channels are settled: as many as a frame may have


class Rates:
    """What the counters of one group had last, and the rates that follow from it.

    A rate is the difference to the channel's last present value, divided by the seconds of event
    time between them. It is missing for a first value, a missing one, one that is smaller than the
    last (the counter has begun again), and one whose time is not beyond that of the last; such a
    late one is not remembered. A reading more than `max_ahead` beyond all before is remembered only
    if the next one confirms it: one wrong clock does not make a counter late for ever.

    Parameters
    ----------
    is_counter : callable
        Tells by its name whether a channel is a counter.
    max_ahead : float
        Seconds, > 0.

    Examples
    --------
    The third reading is smaller: the device has started again.

    >>> rates = Rates(lambda name: name.startswith("bytes_"))
    >>> values = np.array([[100.0, 21.5], [250.0, 21.4], [30.0, 21.6], [40.0, 21.5]])
    >>> rates.turn_values(("bytes_in", "heat"), values, [0.0, 10.0, 20.0, 30.0]).tolist()
    [[nan, 21.5], [15.0, 21.4], [nan, 21.6], [1.0, 21.5]]
    """

    def __init__(self, is_counter: Callable[[str], bool], max_ahead: float = MAX_AHEAD) -> None:
        self._is_counter, self._max_ahead = is_counter, max_ahead
        self._channels: tuple[str, ...] = ()
        self._counters: list[tuple[int, str]] = []
        self._own: set[str] = set()
        self._listed = False
        self._width = 0  # of readings that are lists
        self._clock = EventClock()
        self._last: dict[str, Last] = {}
        self._before: dict[str, Last | None] = {}  # what a reading far ahead has replaced

    def counts(self, channels: tuple[str, ...]) -> bool:
        """Tell whether any of these channels is a counter."""
        if channels != self._channels:
            self._channels = channels
            self._counters = [
                (place, name) for place, name in enumerate(channels) if self._is_counter(name)
            ]
            self._own = {name for _, name in self._counters}
            self._listed = channels == tuple(map(str, range(len(channels))))
        return bool(self._counters)

    def turn(self, rows: list[Row], times: Sequence[float]) -> list[Row]:
        """Return the rows of consecutive readings with rates, as float64; others as they are.

        Parameters
        ----------
        rows : list of Row
            Of one reading or more each.
        times : sequence of float
            Seconds, one a reading.
        """
        turned, first = [], 0
        for row in rows:
            last = first + row.count if len(rows) > 1 else len(times)
            if not self.counts(row.channels):
                turned.append(row)
            else:
                values = np.frombuffer(row.packed, row.kind).reshape(last - first, -1)
                own = times[first:last]
                rated = self.turn_values(row.channels, values, own, settled=row.settled)
                turned.append(Row(row.channels, rated.tobytes(), row.unknown, settled=row.settled))
            first = last
        return turned

    def turn_values(
        self,
        channels: tuple[str, ...],
        values: Floats,
        times: Sequence[float],
        *,
        settled: bool = True,
    ) -> npt.NDArray[np.float64]:
        """Return the values of consecutive readings with rates.

        Parameters
        ----------
        channels : tuple of str
            The names, one a column.
        values : ndarray, (readings, channels)
        times : sequence of float
            Seconds, one a reading.
        settled : bool
            Whether others than these channels are no longer expected, and can be forgotten.
        """
        rated = values.astype(np.float64, order="C")
        if not self.counts(channels):
            return rated
        self._follow(channels, settled=settled)
        for row, time in zip(rated, times, strict=True):
            self._tick(time)
            for place, name in self._counters:
                row[place] = self._rate(name, float(row[place]), time)
        return rated

    def snapshot(self) -> tuple[object, ...]:
        """Everything remembered, as plain values; () where that is nothing."""
        if not self._last and self._clock == EventClock():
            return ()
        return self._width, tuple(self._clock), dict(self._last), dict(self._before)

    def restore(self, snapshot: tuple[object, ...]) -> None:
        """Go on from a snapshot; what stood in it as a tuple may come back as a list."""
        if snapshot:
            width, clock, last, before = snapshot
            self._width, self._clock = width, EventClock(*clock)  # type: ignore[assignment,misc]
            self._last = {name: (time, value) for name, (time, value) in last.items()}  # type: ignore[attr-defined]
            self._before = {name: was and (was[0], was[1]) for name, was in before.items()}  # type: ignore[attr-defined]

    def _follow(self, channels: tuple[str, ...], *, settled: bool) -> None:
        """Forget what will not come again.

        Lists of another length forget all: nothing says that their numbers are the same ones.
        """
        width, own = len(channels), self._own
        if self._listed and width != self._width:
            if self._width:
                self._last, self._before = {}, {}
            self._width = width
        if not self._last.keys() <= own and (settled or len(self._last.keys() | own) > MOST):
            self._last = {name: last for name, last in self._last.items() if name in own}
            self._before = {name: was for name, was in self._before.items() if name in own}

    def _tick(self, time: float) -> None:
        """Take the time of a reading; take back the one before it if that was not confirmed."""
        ticks = self._clock.advance((time,), max_ahead=self._max_ahead)
        self._clock = ticks.clock
        if ticks.ahead:
            for name, was in self._before.items():
                if was is None:
                    del self._last[name]
                else:
                    self._last[name] = was
        self._before = {}

    def _rate(self, name: str, value: float, time: float) -> float:
        last = self._last.get(name)
        if not isfinite(value) or (last is not None and time <= last[0]):
            return nan
        if self._clock.claim is not None:
            self._before[name] = last
        self._last[name] = time, value
        if last is None or value < last[1]:
            return nan
        return (value - last[1]) / (time - last[0])
