"""The samples of a partition, put together to readings of their groups.

A group's own event time closes its readings; where it falls silent, the partition's does, as it
ends groups whose time is over. Everything follows from the messages of the partition in their
order: cut anywhere into snapshots, the readings are the same. No engine, no client.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from flows.aging import Ages, Moment
from flows.samples import Assembled, Buckets, LastValues, Rule
from flows.settings import Settings
from flows.state import REMEDY, StateError
from flows.wire import Message, Rejected, Sample

__all__ = ["FORMAT", "Assembler"]

FORMAT = 1  # raised whenever something in the packed value is added, removed or means another thing
KINDS: dict[str, type[Buckets] | type[LastValues]] = {"bucket": Buckets, "last": LastValues}


class _Packed(msgspec.Struct, array_like=True):
    """What crosses a snapshot: what each group has, and by span of silence what time it is."""

    format: int
    groups: list[tuple[str, tuple[Any, ...], float, tuple[Any, ...]]]
    moments: list[tuple[float, tuple[Any, ...]]]


_DECODER = msgspec.msgpack.Decoder(_Packed)


class Assembler:
    """What waits of a partition's groups, at most ``groups.max`` of them.

    Parameters
    ----------
    settings : Settings
    topic : str
    partition : int
        What its messages come from.
    packed : bytes
        What `pack` returned, or b"" at first.

    Raises
    ------
    StateError
        If another release packed it, or it was damaged.

    Examples
    --------
    A group that falls silent is closed by the time of the others.

    >>> assembler = Assembler(Settings(sensors={"every": 1.0, "wait": 1.0}), "in", 0)
    >>> def add(group, time):
    ...     message = Message("in", 0, 0, None, b"", [], 0.0)
    ...     return assembler.add(Sample(group, time, "heat", 20.0), message)
    >>> _ = add("oven", 0.0), add("press", 0.2), add("press", 0.9)
    >>> [(reading.group, reading.time) for reading in add("press", 2.5)]
    [('oven', 0.0), ('press', 0.0)]
    """

    def __init__(self, settings: Settings, topic: str, partition: int, packed: bytes = b"") -> None:
        self._settings, self._topic, self._partition = settings, topic, partition
        self._most = settings.groups.max
        self._packed, self._changed = packed, False
        self._groups: dict[str, Buckets | LastValues] = {}
        self._seen: dict[str, float] = {}
        self._ages: dict[float, Ages] = {}
        self._old: set[str] = set()  # groups that another rule held for
        if packed:
            self._restore(packed)

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def waiting(self) -> int:
        """Samples that wait."""
        return sum(state.waiting for state in self._groups.values())

    def add(self, sample: Sample, message: Message) -> list[Assembled | Rejected]:
        """Take a sample: the readings that it closes, of any group, and whether it is refused."""
        self._changed = True
        group = sample.group
        state = self._groups.get(group) or self._begin(group)
        done: list[Assembled | Rejected] = []
        for ages in self._ages.values():
            if silent := ages.tick(group, sample.time):
                done += self._close(silent)
        if state is None:
            told = f"expected at most groups.max = {self._most} groups, got {group!r}"
            return [*done, Rejected(message, "groups-full", told)]
        if self._old and group in self._old:
            done += state.close()
            state = self._renew(group, state)
        done += state.add(sample, message)
        if state.waiting:
            self._seen[group] = self._ages[state.rule.span].see(group)
        return done

    def forget(self, group: str) -> None:
        """Let go of a group whose time is over, unless something of it waits."""
        state = self._groups.get(group)
        if state is not None and not state.waiting:
            del self._groups[group]
            self._seen.pop(group, None)
            self._old.discard(group)
            self._changed = True

    def disordered(self) -> Iterator[tuple[str, int]]:
        """Yield the groups of which samples came out of order since the last call, and how many."""
        for group, state in self._groups.items():
            if state.disordered:
                yield group, state.disordered
                state.disordered = 0

    def earliest(self) -> int | None:
        """Return the first offset that waits, None where nothing does."""
        return min(
            (offset for state in self._groups.values() for offset in state.positions()),
            default=None,
        )

    def pack(self) -> bytes:
        """Return what waits and was decided; the same object while nothing has changed."""
        if self._changed:
            groups = [
                (group, tuple(state.rule), self._seen.get(group, 0.0), state.snapshot())
                for group, state in self._groups.items()
            ]
            moments = [(span, tuple(ages.moment)) for span, ages in self._ages.items()]
            self._packed = msgspec.msgpack.encode(_Packed(FORMAT, groups, moments))
            self._changed = False
        return self._packed

    def _close(self, silent: list[str]) -> Iterator[Assembled | Rejected]:
        for group in sorted(silent):
            state = self._groups.get(group)
            if state is not None:
                yield from state.close()

    def _begin(self, group: str) -> Buckets | LastValues | None:
        """Return the state of a group of which nothing is known; None where there are too many."""
        if len(self._groups) >= self._most:
            return None
        return self._enter(group, self._rule(group))

    def _enter(self, group: str, rule: Rule) -> Buckets | LastValues:
        state = self._groups[group] = KINDS[rule.mode](group, rule)
        if rule.span not in self._ages:
            self._ages[rule.span] = Ages(rule.span, self._settings.time.max_ahead)
        return state

    def _renew(self, group: str, state: Buckets | LastValues) -> Buckets | LastValues:
        """Go on with a group under the rule that now holds for it."""
        self._old.discard(group)
        rule = self._rule(group)
        renewed = self._enter(group, rule)
        renewed.follow(state)
        return renewed

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
            for group, old, seen, snapshot in found.groups:
                rule = Rule(*old)
                state = self._enter(group, rule)
                state.restore(snapshot, self._topic, self._partition)
                self._seen[group] = seen
                if rule != self._rule(group):
                    self._old.add(group)
            for span, moment in found.moments:
                self._ages[span] = self._aging(span, Moment(*moment))
        except (msgspec.DecodeError, ValueError, TypeError, KeyError) as problem:
            raise _unreadable(str(problem)) from problem

    def _aging(self, span: float, moment: Moment) -> Ages:
        seen = [
            (group, self._seen[group])
            for group, state in self._groups.items()
            if state.waiting and state.rule.span == span
        ]
        return Ages(span, self._settings.time.max_ahead, moment, seen)


def _unreadable(got: str) -> StateError:
    return StateError(f"samples of the source: expected format {FORMAT}, got {got}; {REMEDY}")
