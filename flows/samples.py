"""Samples of one group's sensors, put together to readings by their own time.

Two ways: what falls into the same stretch of time is one reading (`Buckets`), or every sample is
one, with what the other sensors gave last (`LastValues`). Both go by the group's event time and by
counts, so that a replay decides the same. Each sample is in exactly one reading, or refused.
"""

from collections.abc import Sequence
from math import ceil, inf
from typing import Any, Literal, NamedTuple

import msgspec

from flows.wire import Message, Rejected, Sample
from oodl.clock import EventClock

__all__ = ["NOTHING", "Assembled", "Buckets", "LastValues", "Rule"]

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
    messages: list[Message]


Outcome = Sequence[Assembled | Rejected]
NOTHING: Outcome = ()


class _Bucket(msgspec.Struct, array_like=True):
    """What has come of a stretch of time: by sensor the latest time and its value."""

    held: dict[str, tuple[float, float | None]]
    messages: list[Message]


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
    ...     message = Message("in", 0, 0, None, b"", [], 0.0)
    ...     return buckets.add(Sample("oven", time, sensor, 20.0), message)
    >>> [len(add("heat", 0.1)), len(add("flow", 0.3)), len(add("heat", 1.4))]
    [0, 0, 0]
    >>> [reading] = add("flow", 1.5)
    >>> reading.time, reading.values
    (0.0, {'heat': 20.0, 'flow': 20.0})
    >>> add("heat", 0.9)[0].reason
    'late'
    """

    __slots__ = ("_claim", "_first", "_floor", "_group", "_newest", "_now", "_open", "disordered",
                 "rule", "waiting")  # fmt: skip

    def __init__(self, group: str, rule: Rule) -> None:
        self.rule = rule
        self.waiting = self.disordered = 0
        self._group = group
        self._now: float | None = None
        self._claim: float | None = None
        self._floor = -inf  # buckets below are closed
        self._first = inf  # the first one that is open
        self._newest = -inf  # the one that the group's time is in
        self._open: dict[float, _Bucket] = {}

    def add(self, sample: Sample, message: Message) -> Outcome:
        """Take a sample: what it closes, and whether it is refused."""
        rule, time, now = self.rule, sample.time, self._now
        outcome = NOTHING
        if now is None or self._claim is not None or time > now + rule.max_ahead:
            outcome = self._weigh(time)
        elif time > now:
            outcome = self._advance(time)
        number = time // rule.every
        if number < self._floor:
            return [*outcome, self._late(sample, message)]
        if number < self._newest:
            self.disordered += 1
        bucket = self._open.get(number)
        if bucket is None:
            bucket = self._open[number] = _Bucket({}, [])
            self._first = min(self._first, number)
        held = bucket.held.get(sample.sensor)
        if held is None or time >= held[0]:
            bucket.held[sample.sensor] = time, sample.value
        bucket.messages.append(message)
        self.waiting += 1
        if self.waiting > rule.max_open:
            outcome = [*outcome, *self._close_below(self._first + 1)]
        return outcome

    def close(self) -> Outcome:
        """Close all that is open: the group has been silent for too long."""
        if self._claim is None:
            return self._close_below(inf)
        outcome = [*self._close_below(self._newest + 1)]
        return outcome + [self._take(number) for number in sorted(self._open)]

    def positions(self) -> list[int]:
        """Offsets of the samples that wait."""
        return [each.offset for bucket in self._open.values() for each in bucket.messages]

    def follow(self, other: "Buckets | LastValues") -> None:
        """Go on behind another rule's state, of which nothing waits any more."""
        rule = self.rule
        self._now = other._now
        if self._now is not None:
            self._newest = self._now // rule.every
            self._floor = (self._now - rule.wait) // rule.every
        if isinstance(other, Buckets) and other._floor > -inf:
            self._floor = max(self._floor, ceil(other._floor * other.rule.every / rule.every))

    def snapshot(self) -> tuple[Any, ...]:
        """Return all of it as plain values."""
        opened = [
            (number, bucket.held, [_flat(each) for each in bucket.messages])
            for number, bucket in self._open.items()
        ]
        return self._now, self._claim, _finite(self._floor), opened

    def restore(self, snapshot: tuple[Any, ...], topic: str, partition: int) -> None:
        """Go on from what `snapshot` returned, of samples of that partition."""
        self._now, self._claim, floor, opened = snapshot
        self._floor = -inf if floor is None else floor
        self._newest = -inf if self._now is None else self._now // self.rule.every
        for number, held, messages in opened:
            values = {name: (at, value) for name, (at, value) in held.items()}
            whole = [_message(topic, partition, *each) for each in messages]
            self._open[number] = _Bucket(values, whole)
            self.waiting += len(whole)
        self._first = min(self._open, default=inf)

    def _weigh(self, time: float) -> Outcome:
        """Take a stamp that is far ahead, or the first one after such a stamp."""
        claim = self._claim
        ticks = EventClock(self._now, claim).advance([time], max_ahead=self.rule.max_ahead)
        outcome: Outcome = NOTHING
        if ticks.ahead and claim is not None and (number := claim // self.rule.every) in self._open:
            outcome = [self._take(number)]
        self._claim, now = ticks.clock.claim, ticks.clock.now
        if now is not None and now != self._now:
            outcome = [*outcome, *self._advance(now)]
        return outcome

    def _advance(self, now: float) -> Outcome:
        """Move the group's time, and close what it leaves behind."""
        every = self.rule.every
        self._now, self._newest = now, now // every
        floor = (now - self.rule.wait) // every
        if floor <= self._floor:
            return NOTHING
        self._floor = floor
        return NOTHING if self._first >= floor else self._close_below(floor)

    def _close_below(self, number: float) -> Outcome:
        numbers = sorted(each for each in self._open if each < number)
        outcome = [self._take(each) for each in numbers]
        if numbers:
            self._floor = max(self._floor, numbers[-1] + 1)
        return outcome

    def _take(self, number: float) -> Assembled:
        bucket = self._open.pop(number)
        self._first = min(self._open, default=inf)
        self.waiting -= len(bucket.messages)
        values = {name: value for name, (_, value) in bucket.held.items()}
        return Assembled(self._group, number * self.rule.every, values, bucket.messages)

    def _late(self, sample: Sample, message: Message) -> Rejected:
        least = self._floor * self.rule.every
        return Rejected(message, "late", f"expected `ts` from {least} on, got {sample.time}")


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
    ...     message = Message("in", 0, 0, None, b"", [], 0.0)
    ...     return values.add(Sample("oven", time, sensor, value), message)[0]
    >>> _ = add("heat", 0.0, 20.0)
    >>> add("flow", 1.0, 3.0).values, add("flow", 61.0, 4.0).values
    ({'heat': 20.0, 'flow': 3.0}, {'flow': 4.0})
    >>> add("flow", 60.5, 5.0).reason
    'late'
    """

    __slots__ = ("_ahead", "_group", "_last", "_now", "disordered", "rule")
    waiting = 0

    def __init__(self, group: str, rule: Rule) -> None:
        self.rule = rule
        self.disordered = 0
        self._group = group
        self._now: float | None = None
        self._ahead: tuple[str, float, float | None] | None = None
        self._last: dict[str, tuple[float, float | None]] = {}

    def add(self, sample: Sample, message: Message) -> Outcome:
        """Take a sample: the reading that it makes, or why it makes none."""
        name, time, value = sample.sensor, sample.time, sample.value
        if self._weigh(sample):
            return [Assembled(self._group, time, {name: value}, [message])]
        now = time if self._now is None else self._now
        self.disordered += time < now
        least = max(now - self.rule.hold, self._last.get(name, (-inf, None))[0])
        if time < least:
            detail = f"expected `ts` from {least} on, got {time}"
            return [Rejected(message, "late", detail)]
        self._keep(name, time, value)
        since = time - self.rule.hold
        values = {each: held for each, (at, held) in self._last.items() if at >= since}
        return [Assembled(self._group, time, values, [message])]

    def close(self) -> Outcome:
        """Nothing is open."""
        return NOTHING

    def positions(self) -> list[int]:
        """Nothing waits."""
        return []

    def follow(self, other: "Buckets | LastValues") -> None:
        """Go on behind another rule's state."""
        self._now = other._now
        if isinstance(other, LastValues):
            self._ahead, self._last = other._ahead, other._last

    def snapshot(self) -> tuple[Any, ...]:
        """Return all of it as plain values."""
        return self._now, self._ahead, self._last

    def restore(self, snapshot: tuple[Any, ...], topic: str, partition: int) -> None:  # noqa: ARG002
        """Go on from what `snapshot` returned."""
        self._now, ahead, last = snapshot
        self._ahead = None if ahead is None else tuple(ahead)
        self._last = {name: (at, value) for name, (at, value) in last.items()}

    def _weigh(self, sample: Sample) -> bool:
        """Move the group's time; tell whether this stamp is one that must be confirmed."""
        ahead, most = self._ahead, self.rule.max_ahead
        clock = EventClock(self._now, None if ahead is None else ahead[1])
        ticks = clock.advance([sample.time], max_ahead=most)
        if ahead is not None and not ticks.ahead:
            self._keep(*ahead)
        self._now = ticks.clock.now
        claims = ticks.clock.claim is not None
        self._ahead = (sample.sensor, sample.time, sample.value) if claims else None
        return claims

    def _keep(self, name: str, time: float, value: float | None) -> None:
        self._last[name] = time, value
        if len(self._last) > self.rule.max_open:
            del self._last[min(self._last, key=lambda each: self._last[each][0])]


def _flat(message: Message) -> tuple[Any, ...]:
    """A message less what all of its partition have."""
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
