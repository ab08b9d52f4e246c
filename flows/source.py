"""Readings from Kafka, as blocks of rows a group.

Guarantee
    Each message of a partition comes out once a run, as a row of a block or as a `Rejected`; one
    that is the sample of a sensor with others in a row, until then it waits, in the snapshot too.
    After a restart reading goes on behind the last message of the last complete snapshot; where
    there is none, behind what the consumer group has committed, else at the earliest message.
Ordering
    Rows of a group stand in the order of the partition. Blocks of different groups, and what is
    rejected, have no order among each other.
Batching
    One consumer a process is asked every 20 ms, every 50 ms while nothing comes; what a look brings
    of a group is one block, or more where its channels change on the way. Nothing here waits.
Counted
    Readings received, rejected by reason, and oddities (unknown channels, key and field that
    differ, headers that cannot be read); the lag of each partition once a snapshot.
Broker away
    Nothing arrives, and nothing is raised: the client goes on asking. Health tells it by silence.
Offset expired
    Said as an event; then the partition is read from the earliest message that is left, or the flow
    stops, as ``recovery.expired`` says.
Partition read by another process
    Said as an event, of any process of the same consumer group that commits as well; both go on.
Partition added
    Said as an event, then the flow ends as on SIGTERM: the next start reads the new one as well.
Clock set back
    By more than 10 s: said as an event, then the flow ends as on SIGTERM. The engine ends an epoch
    by the clock on the wall, and would take no snapshot for as long as that was set back.
SIGTERM
    The source ends at its next turn, which makes the engine take a last snapshot.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from time import time as now
from typing import cast

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE
from confluent_kafka import Message as Raw

from flows import events
from flows.assembling import Assembler
from flows.bucketing import Bucket
from flows.events import Tally
from flows.expired import ExpiredError, tell_expired
from flows.express import Express
from flows.groups import Groups
from flows.health import keeping_failures
from flows.items import Arrived, Expiry
from flows.kafka import SharedConsumer, StopFlag
from flows.pace import Pace
from flows.reading import reader
from flows.samples import Outcome, Refused, flat
from flows.settings import Settings
from flows.wire import (
    Fault,
    Headers,
    Message,
    Reading,
    Readings,
    Reason,
    Rejected,
    Sample,
    origin_of,
    original,
    record_size,
)
from oodl.channels import Refusal, Row

__all__ = ["ExpiredError", "KafkaSource", "PartitionReader", "Resume", "Shared"]

ALWAYS = datetime.fromtimestamp(0, UTC)
NO_HEADERS: Headers = []
SET_BACK = 10.0  # seconds by which a clock that is put right may be set back
# The next offset, what is known of the groups, and the samples that wait.
Resume = tuple[int | None, bytes, bytes]
Older = tuple[int | None, bytes]  # before there were samples


@dataclass(slots=True)
class Shared:
    """What the partitions of one process share.

    Parameters
    ----------
    settings : Settings
    tally : Tally
    stop : StopFlag
        Ends every partition once set.
    consumer : SharedConsumer
    partitions : int
        How many the topic has.
    begin : callable
        Where to begin in a partition without a snapshot; None: at its beginning.
    channels : callable
        The channels of a group without a snapshot, () where they are not known.
    meanwhile : callable
        Called at every turn over the partitions, data or none: for what has to be done regularly in
        this process.
    asked : callable
        Says what has asked another process of the cluster to end; "" while nothing has.
    ask : callable
        Asks the others to end, for the cause it is given.
    """

    settings: Settings
    tally: Tally
    stop: StopFlag
    consumer: SharedConsumer
    partitions: int
    begin: Callable[[int], int | None] = lambda _: None
    channels: Callable[[str], tuple[str, ...]] = lambda _: ()
    meanwhile: Callable[[], None] = lambda: None
    asked: Callable[[], str] = lambda: ""
    ask: Callable[[str], None] = lambda _: None
    told: bool = False
    _clock: float = field(default_factory=lambda: _clock())

    def __post_init__(self) -> None:
        self.tally.beats.links.append(self.consumer.health)

    def ending(self) -> bool:
        """Tell whether the process was asked to end, or has to by itself; say so once."""
        topic = self.settings.topics.source
        found = self.consumer.health.partitions.get(topic, 0)
        if found > self.partitions and not self.stop:
            events.partitions_added(self.tally, topic=topic, was=self.partitions, now=found)
            self.stop.set("a new partition")
        back = self._clock - _clock()
        if back > SET_BACK and not self.stop:
            events.oddity(self.tally, "clock_set_back", f"by {back:.0f} s; ends, start again")
            self.stop.set("a clock that was set back")
        if not self.stop and (asked := self.asked()):
            self.stop.set(asked)
        if self.stop and not self.told:
            self.told = True
            self.ask(self.stop.cause)
            events.stop_requested(self.tally, signal=self.stop.cause)
        return bool(self.stop)

    def snapped(self) -> None:
        """Note that the engine has ended an epoch: from now on it goes by what the clock says."""
        self._clock = _clock()


class KafkaSource(FixedPartitionedSource[Arrived, Resume]):
    """The topic of readings; each of its partitions is a part.

    Parameters
    ----------
    shared : Shared
    """

    def __init__(self, shared: Shared) -> None:
        self._shared, self._beats = shared, shared.tally.beats

    def list_parts(self) -> list[str]:
        """Name our partitions, zero-padded so that they sort as numbers do."""
        own = self._shared.settings.workers.own(self._shared.partitions)
        return [f"{number:05d}" for number in own]

    @keeping_failures
    def build_part(
        self,
        step_id: str,  # noqa: ARG002  (the engine passes it by name)
        for_part: str,
        resume_state: Resume | Older | None,
    ) -> "PartitionReader":
        """Open a partition where its snapshot ends; without one, where the group has committed."""
        number, settings = int(for_part), self._shared.settings
        offset, packed, *more = resume_state or (self._shared.begin(number), b"")
        groups = Groups(settings, packed, self._shared.channels)
        return PartitionReader(self._shared, number, offset, groups, *more)


class PartitionReader(StatefulSourcePartition[Arrived, Resume]):
    """One partition, from messages to blocks.

    Parameters
    ----------
    shared : Shared
    partition : int
    offset : int or None
        Where to go on; None: at the earliest message.
    groups : Groups
        What is known of its groups.
    samples : bytes
        What was packed of samples that wait for others.
    """

    def __init__(
        self,
        shared: Shared,
        partition: int,
        offset: int | None,
        groups: Groups,
        samples: bytes = b"",
    ) -> None:
        self._shared, self._partition, self._groups = shared, partition, groups
        topic = shared.settings.topics.source
        self._internal = shared.settings.topics.repartitioned is not None
        self._waiting = Assembler(shared.settings, topic, partition, samples, _parts)
        self._aging = shared.settings.groups.ttl > 0
        self._read = reader(shared.settings)
        self._express = Express(self._read, groups, self._waiting, self._assemble, self._take)
        self._queue = shared.consumer.open(partition, offset)
        self._pace = Pace()
        self._next = offset
        self._latest = 0.0
        self._beats = shared.tally.beats
        self._beats.open(partition)

    @keeping_failures
    def next_batch(self) -> list[Arrived]:
        """Return what has arrived: a block a group, and what is rejected.

        Raises
        ------
        StopIteration
            Once the process was asked to end.
        ExpiredError
            When the offset to go on from has expired, and the settings say to stop.
        """
        self._beats.go_on()
        if self._shared.ending():
            raise StopIteration
        if self._shared.consumer.leads(self._queue):
            self._shared.meanwhile()
        raws = self._queue.take(self._pace.most(monotonic()))
        self._pace.took(len(raws))
        if expired := self._queue.take_expired():
            topic = self._shared.settings.topics.source
            tell_expired(self._shared.settings, self._shared.tally, topic, expired)
        items = self._emit(raws) if raws else []
        behind = self._queue.behind(self._next)
        self._beats.turn(monotonic(), partition=self._partition, taken=len(raws), behind=behind)
        return items

    def next_awake(self) -> datetime:
        """Be due always, after a rest where nothing waits.

        The engine compares this with the clock on the wall: of a moment to come it would wait for
        as long as that clock was set back.
        """
        self._shared.consumer.rest(self._queue)
        return ALWAYS

    @keeping_failures
    def snapshot(self) -> Resume:
        """Return where to go on; the position before this one is committed, it is confirmed now.

        Committed is not beyond what waits: without this folder it is read again.
        """
        self._shared.snapped()
        earliest = self._waiting.earliest()
        self._queue.snapped(self._next if earliest is None else earliest)
        for group, count in self._waiting.disordered():
            events.oddity(self._shared.tally, "out_of_order", group, count)
        for group, count in self._waiting.relieved():
            events.oddity(self._shared.tally, "samples_closed_early", group, count)
        for other, partitions in self._shared.consumer.others().items():
            events.partitions_shared(self._shared.tally, other=other, partitions=partitions)
        self._tell_lag()
        return self._next, self._groups.pack(), self._waiting.pack()

    def _emit(self, raws: list[Raw]) -> list[Arrived]:
        """Bucket readings by group, in order."""
        bucket = Bucket(self._partition)
        self._express.take(raws, bucket)
        self._next, self._latest = (raws[-1].offset() or 0) + 1, _stamp(raws[-1])
        events.readings_received(self._shared.tally, len(raws) + bucket.more)
        if bucket.assembled:
            events.samples_assembled(self._shared.tally, bucket.assembled)
        return bucket.items()

    def _take(self, raw: Raw, bucket: Bucket) -> None:
        """Lay out what a message has; of most messages nothing but their parts is looked at."""
        headers = NO_HEADERS
        try:
            headers = cast(Headers, raw.headers() or NO_HEADERS)
        except SystemError:  # what the client ends with over a name that is no UTF-8
            events.oddity(self._shared.tally, "headers_unreadable", _place(raw))
        if self._internal and self._twice(raw, headers):
            return
        found = self._read(raw.key(), raw.value(), headers, self._time(raw, headers))
        if isinstance(found, Reading):
            self._lay(raw, headers, found, bucket)
        elif isinstance(found, Fault):
            bucket.reject(self._reject(_message(raw, headers), found.reason, found.detail))
        elif isinstance(found, Sample):
            self._assemble(raw, headers, found, bucket)
        else:
            self._lay_many(raw, headers, found, bucket)

    def _twice(self, raw: Raw, headers: Headers) -> bool:
        """Tell whether a message of the internal topic was there before, and count it."""
        origin = origin_of(headers)
        if origin is None or self._waiting.fresh(*origin):
            return False
        events.oddity(self._shared.tally, "repartitioned_twice", _place(raw))
        return True

    def _time(self, raw: Raw, headers: Headers) -> float:
        """Return a message's own time, of the internal topic that of its original."""
        if not (self._internal and headers):
            return _stamp(raw)
        return original(_message(raw, headers)).timestamp

    def _lay(self, raw: Raw, headers: Headers, reading: Reading, bucket: Bucket) -> None:
        """Lay a reading out, or reject its message."""
        for row in self._admit(raw, headers, reading, bucket):
            if self._internal:
                at = reading.time, raw.offset() or 0, _stamp(raw)
                bucket.add_assembled(reading.group, row, at, [_origin(raw)])
            else:
                bucket.add(reading.group, row, reading.time, raw.offset() or 0, _stamp(raw))

    def _lay_many(self, raw: Raw, headers: Headers, found: Readings, bucket: Bucket) -> None:
        """Lay the readings of a message out, all or none."""
        if rows := self._admit(raw, headers, found, bucket):
            origin = _origin(raw) if self._internal else None
            bucket.add_many(found.group, rows, found.times, raw.offset() or 0, _stamp(raw), origin)

    def _admit(
        self, raw: Raw, headers: Headers, found: Reading | Readings, bucket: Bucket
    ) -> list[Row]:
        """Return the rows of a message, none where it is rejected; tell what is odd about it."""
        for group in self._groups.expire(found):
            self._forget(bucket, group, raw)
        if isinstance(found, Reading):
            row = self._groups.admit(found)
            admitted = row if isinstance(row, Refusal) else [row]
        else:
            admitted = self._groups.admit_many(found)
        if isinstance(admitted, Refusal):
            reason = cast(Reason, admitted.reason)
            bucket.reject(self._reject(_message(raw, headers), reason, admitted.detail))
            return []
        if found.oddities:
            self._tell_odd(raw, found)
        if admitted[-1].unknown:
            self._tell_unknown(found.group, admitted[-1])
        return admitted

    def _assemble(self, raw: Raw, headers: Headers, sample: Sample, bucket: Bucket) -> None:
        """Take a sample, and what it completes; the position of that is this message's."""
        group, time, size = sample.group, sample.time, record_size(raw.key(), raw.value(), headers)
        self._groups.lanes.pop(raw.key(), None)  # the next ones would look for a row there
        at = raw.offset() or 0
        if done := self._waiting.add(group, time, sample.sensor, sample.value, at, raw, size):
            self._complete(done, raw, bucket)
        if self._aging:
            for each in self._groups.expire(sample):
                self._forget(bucket, each, raw)
        if sample.oddities:
            self._tell_odd(raw, sample)

    def _complete(self, done: Outcome, last: Raw, bucket: Bucket) -> None:
        """Take what a message has closed, or that it is refused."""
        for each in done:
            if isinstance(each, Refused):
                bucket.reject(self._reject(_message(each.message), each.reason, each.detail))
                continue
            row = self._groups.admit_some(each)
            if isinstance(row, Refusal):
                for raw in each.messages:
                    told = self._reject(_message(raw), cast(Reason, row.reason), row.detail)
                    told.at = self._partition, last.offset() or 0
                    bucket.reject(told)
                if each.group not in self._groups:  # it takes no one's place
                    self._waiting.forget(each.group)
                continue
            if row.unknown:
                self._tell_unknown(each.group, row)
            places: Sequence[int | tuple[int, int]] = each.offsets
            if self._internal:
                places = [_origin(raw) for raw in each.messages]
            at = each.time, last.offset() or 0, _stamp(last)
            bucket.add_assembled(each.group, row, at, places)

    def _forget(self, bucket: Bucket, group: str, by: Raw) -> None:
        bucket.expire(Expiry(group, self._partition, by.offset() or 0, _stamp(by)))
        self._waiting.forget(group)

    def _tell_odd(self, raw: Raw, found: Reading | Readings | Sample) -> None:
        """Count what is no fault, but seldom meant."""
        for kind in found.oddities:
            events.oddity(self._shared.tally, kind, f"{found.group} {_place(raw)}")

    def _tell_unknown(self, group: str, row: Row) -> None:
        detail = f"{group}: {', '.join(row.unknown)}"
        events.oddity(self._shared.tally, "unknown_channel", detail)

    def _reject(self, message: Message, reason: Reason, detail: str) -> Rejected:
        was = original(message) if self._internal else message
        position = f"{was.topic}/{was.partition}/{was.offset}"
        events.reading_rejected(self._shared.tally, reason=reason, position=position, detail=detail)
        at = None if was is message else (message.partition, message.offset)
        return Rejected(was, reason, detail, at)

    def _tell_lag(self) -> None:
        tally = self._shared.tally
        events.broker_heard(tally, silent_seconds=self._shared.consumer.health.silent_seconds)
        behind = self._queue.behind(self._next)
        if behind is not None:
            seconds = max(0.0, now() - self._latest) if behind and self._latest > 0 else 0.0
            events.lag_measured(tally, self._partition, behind, seconds)


def _clock() -> float:
    """How far the clock on the wall is ahead of one that nobody sets."""
    return now() - monotonic()


def _stamp(raw: Raw) -> float:
    """Return a message's own time in seconds, negative where it has none."""
    kind, stamp = raw.timestamp()
    return -1.0 if kind == TIMESTAMP_NOT_AVAILABLE else stamp / 1000


def _message(raw: Raw | Message, headers: Headers | None = None) -> Message:
    """Return a message with all its parts, where more than its reading is asked for."""
    if isinstance(raw, Message):
        return raw
    if headers is None:
        with suppress(SystemError):  # headers that cannot be read: said when the message came
            headers = cast(Headers, raw.headers())
    return Message(
        raw.topic() or "", raw.partition() or 0, raw.offset() or 0,
        raw.key(), raw.value(), list(headers or NO_HEADERS), _stamp(raw),
    )  # fmt: skip


def _parts(raw: Raw | Message) -> tuple[object, ...]:
    """Return what of a message crosses a snapshot, as `flat` does of a whole one."""
    if isinstance(raw, Message):
        return flat(raw)
    headers = NO_HEADERS
    with suppress(SystemError):
        headers = cast(Headers, raw.headers() or NO_HEADERS)
    return raw.offset() or 0, raw.key(), raw.value(), headers, _stamp(raw)


def _origin(raw: Raw | Message) -> tuple[int, int]:
    """Return where a message was first."""
    message = _message(raw)
    return origin_of(message.headers) or (message.partition, message.offset)


def _place(raw: Raw) -> str:
    return f"{raw.topic()}/{raw.partition()}/{raw.offset()}"
