"""The groups of a partition: which there are, what their channels are, when their time is over.

Everything here follows from the readings of the partition in their order, so that a replay decides
the same. What is known goes into the source's snapshot; only what has changed is packed anew.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from flows.aging import Ages, Moment
from flows.lanes import Lane
from flows.pages import Pages
from flows.samples import Assembled
from flows.settings import Settings
from flows.state import REMEDY, StateError
from flows.wire import Reading, Readings, Sample
from oodl.channels import ChannelPlan, Refusal, Row
from oodl.rates import Rates

__all__ = ["FORMAT", "Groups"]

FORMAT = 2  # raised whenever something in the packed value is added, removed or means another thing
READABLE = 1, FORMAT  # 1 had no counters; all else is the same
ENVELOPE = 1024  # bytes of a dictionary's message beside its arrays, its channels and its group
COUNTS = 5  # numbers at the end of a plan
NAME_BYTES = 8  # a character of the group's name there, twice, escaped in the worst way
VALUE_BYTES = 50  # a channel's mean and scale, in the longest text that floats have


class _Packed(msgspec.Struct, array_like=True):
    """What crosses a snapshot; `seen` are float64, one a place in the pages."""

    format: int
    pages: list[bytes]
    seen: bytes
    moment: tuple[float, float | None, float | None, str]


_DECODER = msgspec.msgpack.Decoder(_Packed)


class Groups:
    """The groups of a partition, at most ``groups.max`` of them.

    Parameters
    ----------
    settings : Settings
    packed : bytes
        What `pack` returned, or b"" at first.
    remembered : callable
        Returns the channels of a group that is not packed, () where they are not known.

    Raises
    ------
    StateError
        If another release packed it, or it was damaged.

    Attributes
    ----------
    lanes : dict of bytes to Lane
        By key, what ordinary readings of groups that rest look like, where silence has no bound.

    Examples
    --------
    >>> groups = Groups(Settings(groups={"max": 1}))
    >>> groups.admit(Reading("press-7", 0.0, [1.0, 2.0])).channels
    ('0', '1')
    >>> groups.admit(Reading("press-8", 0.0, [1.0, 2.0])).reason
    'groups-full'
    """

    def __init__(
        self,
        settings: Settings,
        packed: bytes = b"",
        remembered: Callable[[str], tuple[str, ...]] = lambda _: (),
    ) -> None:
        self._settings, self._remembered = settings, remembered
        self._most = settings.groups.max
        self._packed = packed
        self._pages, self._places, self._seen, self._moment = _unpack(packed)
        self._ages = self._aging()
        self._plans: dict[str, ChannelPlan] = {}
        self._rates: dict[str, Rates] = {}
        self._resting: set[str] = set()
        self.lanes: dict[bytes | None, Lane] = {}
        self._changed: set[str] = set()

    def __contains__(self, group: str) -> bool:
        return group in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def expire(self, reading: Reading | Readings | Sample) -> list[str]:
        """Name and forget the groups whose time is over as this reading comes, before it counts.

        Several in one message come at the time of the first one.
        """
        if self._ages is None:
            return []
        time = reading.times[0] if isinstance(reading, Readings) else reading.time
        expired = self._ages.tick(reading.group, time)
        for group in expired:
            self._forget(group)
        return expired

    def admit(self, reading: Reading) -> Row | Refusal:
        """Lay a reading out by the channels of its group.

        A group is known from its first reading that fits; what does not fit takes no one's place.
        """
        group = reading.group
        if group in self._resting:
            plan = self._plans[group]
            row = plan.admit(reading.values)
            if isinstance(row, Refusal) or row.unknown or not row.settled:
                row = self._note(group, plan, row)
        elif self._full(group):
            return self._no_room(group)
        else:
            plan = self._plans.get(group) or self._wake(group)
            row = self._note(group, plan, plan.admit(reading.values))
        if self._ages is not None:
            self._see(group)
        if group in self._rates and isinstance(row, Row):
            [row] = self._turn(group, [row], (reading.time,))
        return row

    def admit_some(self, reading: Assembled) -> Row | Refusal:
        """Lay a reading of some of its group's channels out."""
        group = reading.group
        if self._full(group):
            return self._no_room(group)
        plan = self._plans.get(group) or self._wake(group)
        row = plan.admit_some(reading.values)
        ordinary = isinstance(row, Row) and row.settled and not row.unknown
        if not (ordinary and group in self._resting):
            row = self._note(group, plan, row)
        if self._ages is not None:
            self._see(group)
        if group in self._rates and isinstance(row, Row):
            [row] = self._turn(group, [row], (reading.time,))
        return row

    def admit_many(self, readings: Readings) -> list[Row] | Refusal:
        """Lay the readings of a message out by the channels of their group: all, or none."""
        group = readings.group
        if self._full(group):
            return self._no_room(group)
        plan = self._plans.get(group) or self._wake(group)
        rows = plan.admit_many(readings.values)
        last = rows if isinstance(rows, Refusal) else rows[-1]
        told = last
        if group not in self._resting or isinstance(last, Refusal) or last.unknown:
            told = self._note(group, plan, last)
        if self._ages is not None:
            self._see(group)
        if isinstance(rows, Refusal) or isinstance(told, Refusal):
            return told if isinstance(told, Refusal) else rows
        return self._turn(group, rows, readings.times) if group in self._rates else rows

    def pack(self) -> bytes:
        """Return everything decided so far; the same object while nothing has changed."""
        for group in self._changed:
            self._record(group)
        self._changed.clear()
        moment = self._ages.moment if self._ages is not None else Moment()
        if self._packed and not self._pages.changed and moment == self._moment:
            return self._packed
        self._moment = moment
        seen = self._seen.tobytes() if self._ages is not None else b""
        self._packed = msgspec.msgpack.encode(_Packed(FORMAT, self._pages.pack(), seen, moment))
        return self._packed

    def _turn(self, group: str, rows: list[Row], times: Sequence[float]) -> list[Row]:
        """Give rows the rates of their counters; what these had is known of the group from now."""
        self._changed.add(group)
        return self._rates[group].turn(rows, times)

    def _full(self, group: str) -> bool:
        return group not in self._places and len(self._places) >= self._most

    def _no_room(self, group: str) -> Refusal:
        told = f"expected at most groups.max = {self._most} groups a partition, got {group!r}"
        return Refusal("groups-full", told)

    def _see(self, group: str) -> None:
        if self._ages is not None and group in self._places:
            self._seen[self._places[group]] = self._ages.see(group)

    def _note(self, group: str, plan: ChannelPlan, row: Row | Refusal) -> Row | Refusal:
        """Take what a reading may have changed; refuse channels that no dictionary can be for."""
        if isinstance(row, Row) and (told := self._unsendable(group, row.channels)):
            row = Refusal("length", told)
        if group not in self._places:
            if isinstance(row, Refusal) and not self._remembered(group):
                del self._plans[group]
                self._rates.pop(group, None)
                return row
            self._enter(group, plan)
        self._wake_up(group)
        self._changed.add(group)
        if isinstance(row, Row):
            self._rest(group, plan)
        return row

    def _unsendable(self, group: str, channels: tuple[str, ...]) -> str:
        """Say why a dictionary of these channels could not be written; "" when it could."""
        own = self._settings.for_group(group)
        count, most = len(channels), self._settings.kafka.max_message_bytes
        numbers, largest = count * own.coding.window, own.channels.max_frame
        if numbers > largest:
            return f"expected at most {largest} numbers a frame, got {numbers}"
        names = len(msgspec.json.encode(channels))
        size = (
            names + 16 * numbers**2 // 3 + VALUE_BYTES * count + NAME_BYTES * len(group) + ENVELOPE
        )
        if size <= most:
            return ""
        return f"expected a dictionary of at most {most} bytes, got {size} for {count} channels"

    def _enter(self, group: str, plan: ChannelPlan) -> None:
        place = self._places[group] = self._pages.take()
        self._pages[place] = _record(group, plan, None)
        if place == len(self._seen):
            self._seen.append(0.0)

    def _forget(self, group: str) -> None:
        place = self._places.pop(group)
        self._pages.leave(place)
        self._plans.pop(group, None)
        self._rates.pop(group, None)
        self._wake_up(group)
        self._changed.discard(group)

    def _record(self, group: str) -> None:
        """Write down what is known of a group, and whether an ordinary reading leaves it so."""
        plan = self._plans[group]
        self._pages[self._places[group]] = _record(group, plan, self._rates.get(group))
        if group not in self._resting and not self._unsendable(group, plan.settled):
            self._rest(group, plan)

    def _rest(self, group: str, plan: ChannelPlan) -> None:
        """Let a group rest whose ordinary readings change nothing; it is known to be sendable."""
        counting = plan.agreeing or plan.undecided or plan.misfits or plan.growing
        if not plan.settled or counting:
            return
        self._resting.add(group)
        rates = self._rates.get(group)
        if self._ages is None and not (rates and rates.counts(plan.settled)):
            self.lanes[group.encode()] = Lane(group, plan.settled, listed=plan.listed)

    def _wake_up(self, group: str) -> None:
        self._resting.discard(group)
        self.lanes.pop(group.encode(), None)

    def _wake(self, group: str) -> ChannelPlan:
        settings = self._settings.for_group(group)
        own, most = settings.channels, settings.most_channels
        place = self._places.get(group)
        rates = Rates(own.is_counter, settings.time.max_ahead) if own.transform else None
        if place is None:
            plan = ChannelPlan(own.names, own.grow, most)
            plan.suppose(self._remembered(group))
        else:
            _, known, counted = _read(self._pages[place])
            plan = ChannelPlan.restore(known, names=own.names, grow=own.grow, max_frame=most)
            if rates is not None:
                rates.restore(counted)
        self._plans[group] = plan
        if rates is not None:
            self._rates[group] = rates
        return plan

    def _aging(self) -> Ages | None:
        """Return what tells silent groups, where there is a bound to their silence."""
        ttl = self._settings.groups.ttl
        if not ttl:
            return None
        seen = [(group, self._seen[place]) for group, place in self._places.items()]
        return Ages(ttl, self._settings.time.max_ahead, self._moment, seen)


def _record(group: str, plan: ChannelPlan, rates: Rates | None) -> bytes:
    counted = rates.snapshot() if rates is not None else ()
    return msgspec.msgpack.encode((group, *plan.snapshot(), *((counted,) if counted else ())))


def _read(record: bytes) -> tuple[str, tuple[Any, ...], tuple[Any, ...]]:
    """Read a record: the group's name, its plan, and what its counters had."""
    name, settled, listed, candidate, *rest = msgspec.msgpack.decode(record)
    counts, counted = rest[:COUNTS], rest[COUNTS:]
    return name, (tuple(settled), listed, tuple(candidate), *counts), tuple(*counted)


def _unpack(packed: bytes) -> tuple[Pages, dict[str, int], "array[float]", Moment]:
    """Return what each group has, its place there, when each was seen last, and what time it is."""
    if not packed:
        return Pages(), {}, array("d"), Moment()
    try:
        found = _DECODER.decode(packed)
        pages = Pages(found.pages)
        places = {_read(record)[0]: place for place, record in pages.items()}
        seen = array("d", found.seen or bytes(8 * len(pages)))
    except (msgspec.DecodeError, ValueError, TypeError) as problem:
        raise _unreadable(str(problem)) from problem
    if found.format not in READABLE or len(seen) != len(pages):
        got = f"format {found.format} with {len(seen)} times of {len(pages)} groups"
        raise _unreadable(got)
    return pages, places, seen, Moment(*found.moment)


def _unreadable(got: str) -> StateError:
    return StateError(f"state of the source: expected format {FORMAT}, got {got}; {REMEDY}")
