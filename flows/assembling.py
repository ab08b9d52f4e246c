"""The samples of a partition, put together to readings of their groups.

A group's own event time closes its readings; where it falls silent, the partition's does, as it
ends groups whose time is over. Everything follows from the messages of the partition in their
order: cut anywhere into snapshots, the readings are the same. No engine, no client.
"""

from collections.abc import Iterable, Iterator
from math import inf
from typing import Any

import msgspec

from flows.aging import Ages, Moment
from flows.samples import (
    NOTHING,
    Assembled,
    Buckets,
    LastValues,
    Outcome,
    Parts,
    Refused,
    Rule,
    flat,
)
from flows.settings import Settings
from flows.state import REMEDY, StateError

__all__ = ["FORMAT", "Assembler"]

FORMAT = 1  # raised whenever something in the packed value is added, removed or means another thing
STEPS = 8  # of a span; silence is known to one of them
KINDS: dict[str, type[Buckets] | type[LastValues]] = {"bucket": Buckets, "last": LastValues}


class _Packed(msgspec.Struct, array_like=True):
    """What crosses a snapshot: what each group has, and by span of silence what time it is."""

    format: int
    groups: list[tuple[str, tuple[Any, ...], float, tuple[Any, ...]]]
    moments: list[tuple[float, float | None, tuple[Any, ...]]]
    taken: dict[int, int] = {}


_DECODER = msgspec.msgpack.Decoder(_Packed)


class Silence:
    """How long the groups of one span have been silent, heard in eighths of it."""

    __slots__ = ("_step", "ages", "due", "elapsed")

    def __init__(
        self,
        span: float,
        max_ahead: float,
        due: float | None = None,
        moment: Moment | None = None,
        seen: Iterable[tuple[str, float]] = (),
    ) -> None:
        self._step, self.due = span / STEPS, due
        self.ages = Ages(span + self._step, max_ahead, moment, seen)
        self.elapsed = self.ages.moment.elapsed

    def hear(self, group: str, time: float) -> list[str]:
        """Take the time of a group's sample; name the groups that have been silent for too long."""
        silent = self.ages.tick(group, time)
        self.elapsed, now, claim, _ = self.ages.moment
        self.due = now + self._step if now is not None and claim is None else None
        return silent


Lane = tuple[Buckets, Silence]


class Assembler:
    """What waits of a partition's groups, at most ``groups.max`` of them.

    Where more than ``groups.max_waiting_bytes`` wait, the group with most of them is closed.

    Parameters
    ----------
    settings : Settings
    topic : str
    partition : int
        What its messages come from.
    packed : bytes
        What `pack` returned, or b"" at first.
    parts : callable
        Returns what has to be kept of what `add` is given for a message; by default that is one.

    Raises
    ------
    StateError
        If another release packed it, or it was damaged.

    Attributes
    ----------
    lanes : dict of bytes to (Buckets, Silence)
        By key, of which groups samples are taken by `Buckets.take` where that does, before `due`
        and up to `most_bytes`; and what is to hear of them where that has gone on.
    due : float
        When the first of the silences is to hear the time.
    bytes, most_bytes : int
        Of the messages that wait, whoever took them, and how many may.

    Examples
    --------
    A group that falls silent is closed by the time of the others.

    >>> from flows.wire import Message
    >>> assembler = Assembler(Settings(sensors={"every": 1.0, "wait": 1.0}), "in", 0)
    >>> def add(group, time):
    ...     message = Message("in", 0, 0, None, b"", [], 0.0)
    ...     return assembler.add(group, time, "heat", 20.0, 0, message)
    >>> _ = add("oven", 0.0), add("press", 0.2), add("press", 0.9)
    >>> [(reading.group, reading.time) for reading in add("press", 2.7)]
    [('oven', 0.0), ('press', 0.0)]
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        partition: int,
        packed: bytes = b"",
        parts: Parts = flat,
    ) -> None:
        self._settings, self._topic, self._partition = settings, topic, partition
        self._most, self._parts = settings.groups.max, parts
        self._packed, self._changed = packed, False
        self._groups: dict[str, Buckets | LastValues] = {}
        self._silences: dict[float, Silence] = {}
        # neither where groups expire nor of the internal topic: there each message is looked at
        self._laned = not settings.groups.ttl and settings.topics.repartitioned is None
        self.lanes: dict[bytes | None, Lane] = {}
        self.due = inf
        self._taken: dict[int, int] = {}  # the last offset of each partition of origin
        self._old: set[str] = set()  # groups that another rule held for
        self._untold: dict[str, int] = {}  # samples out of order, of groups that are forgotten
        self.bytes = 0
        self.most_bytes = settings.groups.max_waiting_bytes
        self._relieved: dict[str, int] = {}  # groups that were closed for it, and how often
        if packed:
            self._restore(packed)

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def waiting(self) -> int:
        """Samples that wait."""
        return sum(state.waiting for state in self._groups.values())

    def add(
        self,
        group: str,
        time: float,
        sensor: str,
        value: float | None,
        offset: int,
        message: Any,
        size: int = 0,
    ) -> Outcome:
        """Take a sample of so many bytes: the readings that it closes, and whether it is refused.

        It may close readings of any group.
        """
        self._changed = True
        state = self._groups.get(group) or self._begin(group)
        done = self._tick(group, time) if time >= self.due else NOTHING
        if state is None:
            told = f"expected at most groups.max = {self._most} groups, got {group!r}"
            return [*done, Refused(message, "groups-full", told)]
        if self._old and group in self._old:
            done = [*done, *self._close(state)]
            state = self._renew(group, state)
        before = state.bytes
        outcome = state.add(time, sensor, value, offset, message, size)
        self.bytes += state.bytes - before
        silence = self._silences[state.rule.span]
        if self._laned and isinstance(state, Buckets):
            self.lanes[group.encode()] = state, silence
        if state.seen != silence.elapsed or state.waiting == 1:
            state.seen = silence.ages.see(group)
        if self.bytes > self.most_bytes:
            outcome = [*outcome, *self._relieve()]
        return [*done, *outcome] if done else outcome

    def fresh(self, partition: int, offset: int) -> bool:
        """Tell whether a message from there is new, and take note of it.

        Each partition of origin comes in order, and whoever writes anew begins at or below what was
        confirmed: so what is not above the last offset was there before.
        """
        if offset <= self._taken.get(partition, -1):
            return False
        self._taken[partition] = offset
        self._changed = True
        return True

    def forget(self, group: str) -> None:
        """Let go of a group whose time is over, unless something of it waits."""
        state = self._groups.get(group)
        if state is not None and not state.waiting:
            self._note_disordered(group, state)
            del self._groups[group]
            self.lanes.pop(group.encode(), None)
            self._old.discard(group)
            self._changed = True

    def disordered(self) -> Iterator[tuple[str, int]]:
        """Yield the groups of which samples came out of order since the last call, and how many."""
        for group, state in self._groups.items():
            self._note_disordered(group, state)
        untold, self._untold = self._untold, {}
        yield from untold.items()

    def relieved(self) -> Iterator[tuple[str, int]]:
        """Yield the groups that were closed since the last call as too much waited; how often."""
        relieved, self._relieved = self._relieved, {}
        yield from relieved.items()

    def earliest(self) -> int | None:
        """Return the first offset that waits, None where nothing does."""
        known = (state.earliest() for state in self._groups.values())
        return min((offset for offset in known if offset is not None), default=None)

    def touch(self) -> None:
        """Note that a lane has taken something."""
        self._changed = True

    def pack(self) -> bytes:
        """Return what waits and was decided; the same object while nothing has changed."""
        if self._changed:
            groups = [
                (group, tuple(state.rule), state.seen, state.snapshot(self._parts))
                for group, state in self._groups.items()
            ]
            moments = [
                (span, each.due, tuple(each.ages.moment)) for span, each in self._silences.items()
            ]
            self._packed = msgspec.msgpack.encode(_Packed(FORMAT, groups, moments, self._taken))
            self._changed = False
        return self._packed

    def _tick(self, group: str, time: float) -> list[Assembled | Refused]:
        """Let the partition's time be heard, and close what has been silent for too long."""
        done: list[Assembled | Refused] = []
        for silence in self._silences.values():
            if silence.due is None or time >= silence.due:
                for name in sorted(silence.hear(group, time)):
                    state = self._groups.get(name)
                    if state is not None:
                        done += self._close(state)
        self._schedule()
        return done

    def _close(self, state: Buckets | LastValues) -> Outcome:
        self.bytes -= state.bytes
        return state.close()

    def _relieve(self) -> Outcome:
        """Close the group of which most waits: no other one makes as much room."""
        group = max(self._groups, key=lambda name: (self._groups[name].bytes, name))
        self._relieved[group] = self._relieved.get(group, 0) + 1
        return self._close(self._groups[group])

    def _schedule(self) -> None:
        dues = [silence.due for silence in self._silences.values()]
        self.due = min((-inf if due is None else due for due in dues), default=inf)

    def _begin(self, group: str) -> Buckets | LastValues | None:
        """Return the state of a group of which nothing is known; None where there are too many."""
        if len(self._groups) >= self._most:
            return None
        return self._enter(group, self._rule(group))

    def _enter(self, group: str, rule: Rule) -> Buckets | LastValues:
        state = self._groups[group] = KINDS[rule.mode](group, rule)
        if rule.span not in self._silences:
            self._silences[rule.span] = Silence(rule.span, self._settings.time.max_ahead)
            self._schedule()
        return state

    def _renew(self, group: str, state: Buckets | LastValues) -> Buckets | LastValues:
        """Go on with a group under the rule that now holds for it."""
        self._old.discard(group)
        self._note_disordered(group, state)
        rule = self._rule(group)
        renewed = self._enter(group, rule)
        renewed.follow(state)
        return renewed

    def _note_disordered(self, group: str, state: Buckets | LastValues) -> None:
        if state.disordered:
            self._untold[group] = self._untold.get(group, 0) + state.disordered
            state.disordered = 0

    def _rule(self, group: str) -> Rule:
        own = self._settings.for_group(group)
        found = own.sensors
        return Rule(
            found.mode, found.every, found.wait, found.hold, found.max_open, own.time.max_ahead
        )

    def _restore(self, packed: bytes) -> None:
        try:
            found = _DECODER.decode(packed)
            if found.format != FORMAT:
                got = f"format {found.format}"
                raise _unreadable(got)
            self._taken = found.taken
            for group, old, seen, snapshot in found.groups:
                rule = Rule(*old)
                state = self._enter(group, rule)
                state.restore(snapshot, self._topic, self._partition)
                self.bytes += state.bytes
                state.seen = seen
                if rule != self._rule(group):
                    self._old.add(group)
            for span, due, moment in found.moments:
                self._silences[span] = Silence(
                    span, self._settings.time.max_ahead, due, Moment(*moment), self._of_span(span)
                )
            self._schedule()
        except (msgspec.DecodeError, ValueError, TypeError, KeyError) as problem:
            raise _unreadable(str(problem)) from problem

    def _of_span(self, span: float) -> list[tuple[str, float]]:
        return [
            (group, state.seen)
            for group, state in self._groups.items()
            if state.waiting and state.rule.span == span
        ]


def _unreadable(got: str) -> StateError:
    return StateError(f"samples of the source: expected format {FORMAT}, got {got}; {REMEDY}")
