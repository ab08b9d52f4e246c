"""Samples of one group's sensors, put together to readings by their own time.

Two ways: what falls into the same stretch of time is one reading (`Buckets`), or every sample is
one, with what the other sensors gave last (`LastValues`). Both go by the group's event time and by
counts, so that a replay decides the same. Each sample is in exactly one reading, or refused.
"""

from collections.abc import Callable, Sequence
from math import ceil, inf
from typing import Any, Literal, NamedTuple

import msgspec

from flows.wire import Message, Reason, record_size
from oodl.clock import EventClock

__all__ = ["NOTHING", "Assembled", "Buckets", "LastValues", "Parts", "Refused", "Rule", "flat"]

Mode = Literal["bucket", "last"]


class Rule(NamedTuple):
    """How samples of a group are put together.

    Parameters
    ----------
    mode : {"bucket", "last"}
    every : float
        Seconds of a bucket.
    wait : float
        Seconds of the group's time for which a bucket stays open beyond its end.
    hold : float
        Seconds for which a sensor's last value holds.
    max_open : int
        Samples of a group that may wait; for the mode ``last`` sensors that are remembered.
    max_ahead : float
        Seconds that a time stamp may be ahead before another must confirm it.
    """

    mode: Mode = "bucket"
    every: float = 1.0
    wait: float = 1.0
    hold: float = 60.0
    max_open: int = 10_000
    max_ahead: float = 3600.0

    @property
    def span(self) -> float:
        """Seconds of silence after which what waits is closed."""
        return self.every + self.wait


class Assembled(msgspec.Struct):
    """A reading, and the messages that it is made of, in the order in which they came."""

    group: str
    time: float
    values: dict[str, float | None]
    offsets: list[int]
    messages: list[Any]


class Refused(msgspec.Struct):
    """A message that is in no reading: why, and what exactly."""

    message: Any
    reason: Reason
    detail: str


Outcome = Sequence[Assembled | Refused]
Parts = Callable[[Any], tuple[Any, ...]]  # what of a message crosses a snapshot
NOTHING: Outcome = ()


class _Bucket:
    """What has come of a stretch of time: by sensor the latest time and its value."""

    __slots__ = ("bytes", "held", "messages", "offsets")

    def __init__(self) -> None:
        self.bytes = 0
        self.held: dict[str, tuple[float, float | None]] = {}
        self.offsets: list[int] = []
        self.messages: list[Any] = []


class Buckets:
    """The buckets of one group that are open.

    A bucket is `every` seconds from a whole multiple of it on. It is closed once the group's event
    time is `wait` seconds beyond its end; a sample that comes later is refused. Of several samples
    of a sensor the latest one counts. A stamp far ahead that the group's next sample does not
    confirm is a reading of its own and closes nothing.

    Parameters
    ----------
    group : str
    rule : Rule

    Examples
    --------
    >>> buckets = Buckets("oven", Rule(every=1.0, wait=0.5))
    >>> def add(sensor, time):
    ...     return buckets.add(time, sensor, 20.0, 0, None)
    >>> _ = add("heat", 0.1), add("flow", 0.3), add("heat", 1.4)
    >>> [reading] = add("flow", 1.5)
    >>> reading.time, reading.values
    (0.0, {'heat': 20.0, 'flow': 20.0})
    >>> add("heat", 0.9)[0].reason
    'late'
    """

    __slots__ = ("_calm", "_claim", "_edge", "_every", "_first", "_floor", "_most", "_newest",
                 "_now", "_open", "disordered", "group", "rule", "seen", "waiting")  # fmt: skip

    def __init__(self, group: str, rule: Rule) -> None:
        self.rule = rule
        self.seen = 0.0  # by the partition's time, when a sample came last
        self.waiting = self.disordered = 0
        self.group, self._every, self._most = group, rule.every, rule.max_open
        self._now: float | None = None
        self._claim: float | None = None
        self._floor = -inf  # buckets below are closed
        self._first = inf  # the first one that is open
        self._newest = -inf  # the last one that samples came of
        self._open: dict[float, _Bucket] = {}
        self._calm = self._edge = -inf  # between these a sample only moves the time

    @property
    def bytes(self) -> int:
        """Bytes of all messages in them."""
        return sum(bucket.bytes for bucket in self._open.values())

    def take(
        self,
        time: float,
        sensor: str,
        value: float | None,
        offset: int,
        message: Any,
        size: int = 0,
    ) -> bool:
        """Take a sample that opens and closes nothing; of any other nothing is taken, False."""
        number = time // self._every
        bucket = self._open.get(number)
        if bucket is None or time >= self._edge or self.waiting >= self._most:
            return False
        if time > self._calm:
            self._now = self._calm = time
        if number < self._newest:
            self.disordered += 1
        held = bucket.held.get(sensor)
        if held is None or time >= held[0]:
            bucket.held[sensor] = time, value
        bucket.offsets.append(offset)
        bucket.messages.append(message)
        bucket.bytes += size
        self.waiting += 1
        return True

    def add(
        self,
        time: float,
        sensor: str,
        value: float | None,
        offset: int,
        message: Any,
        size: int = 0,
    ) -> Outcome:
        """Take a sample of so many bytes: what it closes, and whether it is refused."""
        if self.take(time, sensor, value, offset, message, size):
            return NOTHING
        outcome = NOTHING
        if time > self._calm:
            if time < self._edge:
                self._now = self._calm = time
            else:
                outcome = self._move(time)
        number = time // self._every
        bucket = self._open.get(number)
        if bucket is None:
            if number < self._floor:
                return [*outcome, self._late(time, message)]
            bucket = self._begin(number)
        if number < self._newest:
            self.disordered += 1
        held = bucket.held.get(sensor)
        if held is None or time >= held[0]:
            bucket.held[sensor] = time, value
        bucket.offsets.append(offset)
        bucket.messages.append(message)
        bucket.bytes += size
        self.waiting += 1
        return outcome if self.waiting <= self.rule.max_open else self._relieve(outcome)

    def close(self) -> Outcome:
        """Close all that is open: the group has been silent for too long."""
        if self._claim is None:
            return self._close_below(inf)
        outcome = [] if self._now is None else self._close_below(self._now // self._every + 1)
        return outcome + [self._take(number) for number in sorted(self._open)]

    def earliest(self) -> int | None:
        """Return the first offset that waits, None where nothing does."""
        return min((bucket.offsets[0] for bucket in self._open.values()), default=None)

    def follow(self, other: "Buckets | LastValues") -> None:
        """Go on behind another rule's state, of which nothing waits any more."""
        rule = self.rule
        self._now = other._now
        if self._now is not None:
            self._newest = self._now // rule.every
            self._floor = (self._now - rule.wait) // rule.every
        if isinstance(other, Buckets) and other._floor > -inf:
            self._floor = max(self._floor, ceil(other._floor * other.rule.every / rule.every))
        self._settle()

    def snapshot(self, parts: Parts) -> tuple[Any, ...]:
        """Return all of it as plain values."""
        opened = [
            (number, bucket.held, [parts(each) for each in bucket.messages])
            for number, bucket in self._open.items()
        ]
        return self._now, self._claim, _finite(self._floor), _finite(self._newest), opened

    def restore(self, snapshot: tuple[Any, ...], topic: str, partition: int) -> None:
        """Go on from what `snapshot` returned, of samples of that partition."""
        self._now, self._claim, floor, newest, opened = snapshot
        self._floor = -inf if floor is None else floor
        self._newest = -inf if newest is None else newest
        for number, held, messages in opened:
            bucket = self._open[number] = _Bucket()
            bucket.held = {name: (at, value) for name, (at, value) in held.items()}
            bucket.messages = [_message(topic, partition, *each) for each in messages]
            bucket.offsets = [each.offset for each in bucket.messages]
            bucket.bytes = sum(
                record_size(each.key, each.value, each.headers) for each in bucket.messages
            )
            self.waiting += len(messages)
        self._first = min(self._open, default=inf)
        self._settle()

    def _begin(self, number: float) -> _Bucket:
        bucket = self._open[number] = _Bucket()
        self._first = min(self._first, number)
        if self._claim is None:
            self._newest = max(self._newest, number)
        return bucket

    def _relieve(self, outcome: Outcome) -> Outcome:
        """Close the first bucket: too much waits."""
        return [*outcome, *self._close_below(self._first + 1)]

    def _settle(self) -> None:
        """Work out up to when a sample only moves the time, and from when on it does."""
        self._calm = self._edge = -inf
        if self._now is not None and self._claim is None:
            self._calm, ahead = self._now, self._now + self.rule.max_ahead
            self._edge = min(ahead, (self._floor + 1) * self._every + self.rule.wait)

    def _move(self, time: float) -> Outcome:
        """Take a stamp that may close something, or that may be far ahead."""
        rule, outcome = self.rule, NOTHING
        if self._claim is None and self._now is not None and time <= self._now + rule.max_ahead:
            self._now = max(self._now, time)
        else:
            outcome = self._weigh(time)
        if self._now is not None:
            floor = (self._now - rule.wait) // self._every
            if floor > self._floor:
                self._floor = floor
                if self._first < floor:
                    outcome = [*outcome, *self._close_below(floor)]
        self._settle()
        return outcome

    def _weigh(self, time: float) -> Outcome:
        """Take a stamp that is far ahead, or the first one after such a stamp."""
        claim, outcome = self._claim, NOTHING
        ticks = EventClock(self._now, claim).advance([time], max_ahead=self.rule.max_ahead)
        if ticks.ahead and claim is not None and claim // self._every in self._open:
            outcome = [self._take(claim // self._every)]
        self._claim, self._now = ticks.clock.claim, ticks.clock.now
        return outcome

    def _close_below(self, number: float) -> list[Assembled | Refused]:
        numbers = sorted([each for each in self._open if each < number])
        outcome: list[Assembled | Refused] = [self._take(each) for each in numbers]
        if numbers and numbers[-1] >= self._floor:
            self._floor = numbers[-1] + 1
            self._settle()
        return outcome

    def _take(self, number: float) -> Assembled:
        bucket = self._open.pop(number)
        self._first = min(self._open, default=inf)
        self.waiting -= len(bucket.offsets)
        values = {name: value for name, (_, value) in bucket.held.items()}
        at = number * self._every
        return Assembled(self.group, at, values, bucket.offsets, bucket.messages)

    def _late(self, time: float, message: Any) -> Refused:
        least = self._floor * self._every
        return Refused(message, "late", f"expected `ts` from {least} on, got {time}")


class LastValues:
    """What the sensors of one group gave last.

    Every sample is a reading: with it stand the last values of the other sensors that are not older
    than `hold` seconds. One that is older than its sensor's last, or `hold` behind the group's
    time, is refused. A value whose stamp is far ahead counts as its sensor's last only once the
    next sample confirms it.

    Parameters
    ----------
    group : str
    rule : Rule

    Examples
    --------
    >>> values = LastValues("oven", Rule("last", hold=60.0))
    >>> def add(sensor, time, value):
    ...     return values.add(time, sensor, value, 0, None)[0]
    >>> _ = add("heat", 0.0, 20.0)
    >>> add("flow", 1.0, 3.0).values, add("flow", 61.0, 4.0).values
    ({'heat': 20.0, 'flow': 3.0}, {'flow': 4.0})
    >>> add("flow", 60.5, 5.0).reason
    'late'
    """

    __slots__ = ("_ahead", "_group", "_last", "_now", "disordered", "rule", "seen")
    waiting = bytes = 0

    def __init__(self, group: str, rule: Rule) -> None:
        self.rule = rule
        self.seen = 0.0
        self.disordered = 0
        self._group = group
        self._now: float | None = None
        self._ahead: tuple[str, float, float | None] | None = None
        self._last: dict[str, tuple[float, float | None]] = {}

    def add(
        self,
        time: float,
        sensor: str,
        value: float | None,
        offset: int,
        message: Any,
        size: int = 0,  # noqa: ARG002  (nothing waits)
    ) -> Outcome:
        """Take a sample: the reading that it makes, or why it makes none."""
        if self._weigh(sensor, time, value):
            return [Assembled(self._group, time, {sensor: value}, [offset], [message])]
        now = time if self._now is None else self._now
        self.disordered += time < now
        least = max(now - self.rule.hold, self._last.get(sensor, (-inf, None))[0])
        if time < least:
            return [Refused(message, "late", f"expected `ts` from {least} on, got {time}")]
        self._keep(sensor, time, value)
        since = time - self.rule.hold
        values = {each: held for each, (at, held) in self._last.items() if at >= since}
        return [Assembled(self._group, time, values, [offset], [message])]

    def close(self) -> Outcome:
        """Nothing is open."""
        return NOTHING

    def earliest(self) -> None:
        """Nothing waits."""

    def follow(self, other: "Buckets | LastValues") -> None:
        """Go on behind another rule's state."""
        self._now = other._now
        if isinstance(other, LastValues):
            self._ahead, self._last = other._ahead, other._last

    def snapshot(self, parts: Parts) -> tuple[Any, ...]:  # noqa: ARG002
        """Return all of it as plain values."""
        return self._now, self._ahead, self._last

    def restore(self, snapshot: tuple[Any, ...], topic: str, partition: int) -> None:  # noqa: ARG002
        """Go on from what `snapshot` returned."""
        self._now, ahead, last = snapshot
        self._ahead = None if ahead is None else tuple(ahead)
        self._last = {name: (at, value) for name, (at, value) in last.items()}

    def _weigh(self, sensor: str, time: float, value: float | None) -> bool:
        """Move the group's time; tell whether this stamp is one that must be confirmed."""
        ahead, most = self._ahead, self.rule.max_ahead
        clock = EventClock(self._now, None if ahead is None else ahead[1])
        ticks = clock.advance([time], max_ahead=most)
        if ahead is not None and not ticks.ahead:
            self._keep(*ahead)
        self._now = ticks.clock.now
        claims = ticks.clock.claim is not None
        self._ahead = (sensor, time, value) if claims else None
        return claims

    def _keep(self, name: str, time: float, value: float | None) -> None:
        self._last[name] = time, value
        if len(self._last) > self.rule.max_open:
            del self._last[min(self._last, key=lambda each: self._last[each][0])]


def flat(message: Message) -> tuple[Any, ...]:
    """Return a message less what all of its partition have."""
    return msgspec.structs.astuple(message)[2:]


def _message(
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    headers: list[list[Any]],
    timestamp: float,
) -> Message:
    said = [(name, content) for name, content in headers]
    return Message(topic, partition, offset, key, value, said, timestamp)


def _finite(number: float) -> float | None:
    return None if number == -inf else number
