"""A plant that sends readings without end, and what can go wrong in it.

Machines and single sensors are those of `oodl simulate`. Beside them stands a line whose channels
all follow three causes, as those of one machine mostly do: of its channels each can be told from
the others, so that one that is stuck shows.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from itertools import cycle

import numpy as np
import numpy.typing as npt

from flows.tools.feed import Values
from flows.tools.fleet import Fleet, Source
from oodl.synthetic import random_orthogonal
from tests.fault.feed import Feed
from tests.fault.readings import POISON
from tests.traffic import Record

__all__ = ["LINE", "Change", "Plant", "silent", "stuck", "turned"]

Floats = npt.NDArray[np.float64]
Change = Callable[[Values], Values | None]

LINE = "line-1"
LINE_CHANNELS, CAUSES, NOISE = 12, 3, 0.05
SMALL = [value for value in POISON if len(value) < 1000]


class Plant(threading.Thread):
    """Sends a reading of every group `rate` times a second, until it is closed.

    Parameters
    ----------
    bootstrap, topic : str
    partitions : int
        How many the topic has.
    rate : float
        Readings a second of each group.
    machines, sensors : int
        Of the simulated fleet.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        partitions: int,
        *,
        rate: float = 20.0,
        machines: int = 3,
        sensors: int = 2,
    ) -> None:
        super().__init__(name="plant", daemon=True)
        self.fleet = Fleet(machines=machines, sensors=sensors, seed=0)
        self.sent = 0
        self.failure: Exception | None = None
        self._changes: dict[str, Change] = {}
        self._poison, self._share = cycle(SMALL), 0.0
        self._pause, self._closing = 1 / rate, threading.Event()
        self._place = bootstrap, topic, partitions
        self._rng = np.random.default_rng(1)
        self._mixing = self._rng.standard_normal((LINE_CHANNELS, CAUSES))

    @property
    def groups(self) -> list[str]:
        """Who sends."""
        return [*self.fleet.sources, LINE]

    def change(self, group: str, how: Change) -> None:
        """From now on a group's readings are what this makes of them."""
        self._changes[group] = how

    def poison(self, share: float) -> None:
        """From now on so many messages a reading come besides that are none."""
        self._share = share

    def heal(self) -> None:
        """All is well again."""
        self._changes, self._share = {}, 0.0

    def close(self) -> None:
        """Stop sending.

        Raises
        ------
        Exception
            What has ended the plant before.
        """
        self._closing.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def run(self) -> None:
        """Send tick by tick; one that comes late is not made up for."""
        feed = Feed(*self._place)
        due = 0.0
        try:
            while not self._closing.wait(self._pause):
                records = list(self._records(time.time()))
                due += self._share * len(records)
                while due >= 1:
                    due -= 1
                    records.append(Record(LINE.encode(), next(self._poison)))
                self.sent += len(feed.send(records))
        except Exception as problem:  # noqa: BLE001  (raised by close)
            self.failure = problem
        finally:
            feed.close()

    def _records(self, now: float) -> Iterator[Record]:
        for group, values in [*self.fleet.readings(), (LINE, self._line())]:
            changed = self._changes.get(group, _same)(values)
            if changed is not None:
                body = {"ts": now, "values": changed}
                yield Record(group.encode(), json.dumps(body).encode())

    def _line(self) -> Values:
        moved = self._mixing @ self._rng.standard_normal(CAUSES)
        noise = NOISE * self._rng.standard_normal(LINE_CHANNELS)
        values: list[float] = (50 + moved + noise).round(4).tolist()
        return values


def turned(source: Source, seed: int = 2) -> Change:
    """Another planted dictionary: the same means and gains, the channels move otherwise."""
    n = len(source.sensors.mean)
    turn = random_orthogonal(n, np.random.default_rng(seed))
    mean, gain = source.sensors.mean, source.sensors.gain

    def change(values: Values) -> Values:
        told = np.array(list(values.values()) if isinstance(values, dict) else values)
        changed = (mean + gain * (turn @ ((told - mean) / gain))).round(4).tolist()
        return dict(zip(values, changed, strict=True)) if isinstance(values, dict) else changed

    return change


def stuck(channel: int) -> Change:
    """One channel says for ever what it says first."""
    held: list[float] = []

    def change(values: Values) -> Values:
        told = list(values.values()) if isinstance(values, dict) else [*values]
        held[:] = held or [told[channel]]
        told[channel] = held[0]
        return dict(zip(values, told, strict=True)) if isinstance(values, dict) else told

    return change


def silent(_values: Values) -> None:
    """Nothing comes."""


def _same(values: Values) -> Values:
    return values
