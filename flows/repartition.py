"""Messages to the internal topic, keyed by their group: for topics that are keyed by sensor.

Guarantee
    Each message is written to the internal topic as it came, with where it was in headers.
    At least once: committed only when the broker has confirmed what was written; the pipeline
    tells repeats by where they come from. Exactly once: a transaction an epoch, with the offsets
    in it.
Ordering
    Messages of a group and a partition keep their order.
What is too large
    With its headers: a dead letter, as the pipeline would write.
Offset expired
    Said as an event; then what is left is read, or it stops, as ``recovery.expired`` says.
Partition added
    Said as an event, then it ends as on SIGTERM: the next start reads the new one as well.
Counted
    Messages received, and those repartitioned and dead letters when the broker has confirmed them;
    the lag of each partition once an epoch. Its health is told by the same signs as the flow's.
Broker away
    What is written waits for ``kafka.delivery_seconds``; then it ends, with an open transaction
    aborted, so that who reads the internal topic need not wait for it.
SIGTERM
    What was read is confirmed and committed, then it ends.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from time import monotonic
from time import time as now
from typing import Protocol, cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE
from confluent_kafka import Message as Raw

from flows import access, events
from flows.events import Tally
from flows.expired import tell_expired
from flows.health import HANGING
from flows.kafka import (
    Cluster,
    ConfirmedProducer,
    DeliveryError,
    Limits,
    Output,
    PartitionQueue,
    Refused,
    SharedConsumer,
    StopFlag,
    Together,
    Transactional,
    TransactionalProducer,
    committed,
)
from flows.outbox import letter_of
from flows.reading import reader
from flows.settings import Settings
from flows.transactions import LONGEST
from flows.wire import Headers, Message, Rejected, origin_headers, record_size
from oodl.errors import ValueFault

__all__ = ["Repartition"]

MOST = 500  # messages a turn of a partition: those of a backlog stay close together in time


class Repartition:
    """Reads the topic of readings and writes the internal one, until it is asked to end.

    Parameters
    ----------
    settings : Settings
        Its ``topics.repartitioned`` names the internal topic.
    tally : Tally
    stop : StopFlag
    cluster : Cluster
        What the broker has.

    Raises
    ------
    DeliveryError, FencedError
        When the broker does not let it write.
    ExpiredError
        When the offset to go on from has expired, and the settings say to stop.
    ValueFault
        When there is no partition for this worker.
    """

    def __init__(self, settings: Settings, tally: Tally, stop: StopFlag, cluster: Cluster) -> None:
        self._settings, self._tally, self._stop = settings, tally, stop
        topic, count = settings.topics.readings, cluster.partitions[settings.topics.readings]
        exactly = settings.recovery.delivery == "exactly-once"
        self._partitions = count
        if settings.workers.count > count:
            msg = (
                f"workers.count: expected at most the {count} partitions of {topic}, got "
                f"{settings.workers.count}; start fewer"
            )
            raise ValueFault(msg)
        self._confirmed: Counter[str] = Counter()  # messages by topic
        way = _InTransactions if exactly else _Confirmed
        self._way: _Way = way(settings, stop, count, self._count)
        self._consumer = SharedConsumer(
            settings.kafka, topic=topic, group=access.group_of_repartition(settings)
        )
        begin = self._way.begin()
        self._queues = {
            number: self._consumer.open(number, begin.get(number))
            for number in settings.workers.own(count)
        }
        self._read = reader(settings)
        self._reached: dict[int, int] = {}
        self._next, self._latest = dict(begin), dict[int, float]()
        self._beats = tally.beats
        self._beats.links.append(self._consumer.health)
        self._beats.patience = settings.kafka.delivery_seconds + HANGING
        for number in self._queues:
            self._beats.open(number)

    def run(self) -> None:
        """Read and write, until the process is asked to end; then what is open is closed.

        Raises
        ------
        DeliveryError, FencedError
            When something was not confirmed.
        ExpiredError
            When an offset has expired, and the settings say to stop.
        """
        try:
            self._work()
            events.stop_requested(self._tally, signal=self._stop.cause)
            self._commit()
        finally:
            self._way.close()
            self._tell_confirmed()
        self._consumer.close()

    def _work(self) -> None:
        due = monotonic()
        while not self._ending():
            for number, queue in self._queues.items():
                self._turn(number, queue)
            self._way.hear()
            if monotonic() >= due:
                self._commit()
                self._tell_lag()
                due = monotonic() + self._settings.recovery.epoch_seconds
            self._consumer.rest(next(iter(self._queues.values())))

    def _turn(self, number: int, queue: PartitionQueue) -> None:
        """Move what has come of a partition."""
        raws = queue.take(MOST)
        if expired := queue.take_expired():
            tell_expired(self._settings, self._tally, self._settings.topics.readings, expired)
        self._move(raws)
        behind = queue.behind(self._next.get(number))
        self._beats.turn(monotonic(), partition=number, taken=len(raws), behind=behind)

    def _ending(self) -> bool:
        """Tell whether the process was asked to end, or has to for a new partition."""
        topic = self._settings.topics.readings
        found = self._consumer.health.partitions.get(topic, 0)
        if found > self._partitions and not self._stop:
            events.partitions_added(self._tally, topic=topic, was=self._partitions, now=found)
            self._stop.set("a new partition")
        return bool(self._stop)

    def _move(self, raws: list[Raw]) -> None:
        if not raws:
            return
        messages = [_message(raw) for raw in raws]
        with self._beats.in_sink():
            for message in messages:
                self._way.write(self._output(message))
                self._reached[message.partition] = message.offset + 1
        last = messages[-1]
        self._next[last.partition], self._latest[last.partition] = last.offset + 1, last.timestamp
        events.readings_received(self._tally, len(raws))

    def _output(self, message: Message) -> Output:
        """Return what is written in a message's place."""
        settings = self._settings
        output = Output(
            settings.topics.source,
            self._group(message),
            message.value,
            origin_headers(message),
            partition=message.partition,
            first=message.offset,
            last=message.offset,
        )
        most = settings.kafka.max_message_bytes
        if (size := record_size(output.key, output.value, output.headers)) <= most:
            return output
        detail = f"expected at most {most} bytes with headers, got {size}"
        events.reading_rejected(
            self._tally,
            reason="size",
            position=f"{message.topic}/{message.partition}/{message.offset}",
            detail=detail,
        )
        return letter_of(settings, Rejected(message, "size", detail))

    def _group(self, message: Message) -> bytes | None:
        """Name the group: its field where there is one, since the key may be the sensor's."""
        group = self._read.field(message)
        # what has no UTF-8 is a dead letter of the pipeline's
        return message.key if group is None else group.encode(errors="surrogatepass")

    def _commit(self) -> None:
        """Have everything confirmed, and with it how far it reaches."""
        if not self._reached:
            return
        with self._beats.in_sink(snapshot=True):
            refused = self._way.commit(self._reached)
        self._tell_confirmed()
        if refused:
            msg = (
                f"{refused[0].output.topic}: the broker refuses a message ({refused[0].detail}); "
                "raise the topic's max.message.bytes to kafka.max_message_bytes"
            )
            raise DeliveryError(msg)
        for partition, offset in self._reached.items():
            self._consumer.commit(partition, offset)
        self._reached.clear()

    def _count(self, output: Output) -> None:
        self._confirmed[output.topic] += 1

    def _tell_confirmed(self) -> None:
        confirmed, self._confirmed = self._confirmed.copy(), Counter()
        if moved := confirmed[self._settings.topics.source]:
            events.messages_repartitioned(self._tally, moved)
        if letters := confirmed[self._settings.topics.dead_letters]:
            events.dead_letters_sent(self._tally, letters)

    def _tell_lag(self) -> None:
        tally = self._tally
        events.broker_heard(tally, silent_seconds=self._consumer.health.silent_seconds)
        for number, queue in self._queues.items():
            behind, latest = queue.behind(self._next.get(number)), self._latest.get(number, -1.0)
            if behind is not None:
                seconds = max(0.0, now() - latest) if behind and latest > 0 else 0.0
                events.lag_measured(tally, number, behind, seconds)


class _Way(Protocol):
    """A way of delivery."""

    def begin(self) -> dict[int, int]: ...
    def write(self, output: Output) -> None: ...
    def hear(self) -> None: ...
    def commit(self, reached: Mapping[int, int]) -> list[Refused]: ...
    def close(self) -> None: ...


class _Confirmed:
    """At least once: what is confirmed is committed afterwards."""

    def __init__(
        self,
        settings: Settings,
        stop: StopFlag,
        partitions: int,
        confirmed: Callable[[Output], None],
    ) -> None:
        self._settings, self._partitions = settings, partitions
        self._together = Together(stop, settings.kafka.delivery_seconds)
        self._producer = ConfirmedProducer(
            settings.kafka,
            together=self._together,
            confirmed=confirmed,
            limits=_limits(settings),
        )

    def begin(self) -> dict[int, int]:
        settings = self._settings
        group = access.group_of_repartition(settings)
        return committed(settings.kafka, group, settings.topics.readings, self._partitions)

    def write(self, output: Output) -> None:
        self._producer.write(output)

    def hear(self) -> None:
        self._together.serve()

    def commit(self, reached: Mapping[int, int]) -> list[Refused]:  # noqa: ARG002
        return self._producer.flush()

    def close(self) -> None:
        """Nothing is held."""


class _InTransactions:
    """Exactly once: how far the messages reach is committed with them."""

    def __init__(
        self,
        settings: Settings,
        stop: StopFlag,
        partitions: int,
        confirmed: Callable[[Output], None],
    ) -> None:
        kafka, self._confirmed = settings.kafka, confirmed
        self._together = Together(stop, kafka.delivery_seconds)
        self._producer = TransactionalProducer(
            kafka,
            transactional=Transactional(
                access.transactions_of_repartition(settings),
                access.group_of_repartition(settings) + ".reached",
                settings.topics.readings,
                partitions,
                min(LONGEST, settings.recovery.epoch_seconds + kafka.delivery_seconds),
            ),
            together=self._together,
            limits=_limits(settings),
        )

    def begin(self) -> dict[int, int]:
        return self._producer.open()

    def write(self, output: Output) -> None:
        self._producer.write(output)

    def hear(self) -> None:
        self._together.serve()

    def commit(self, reached: Mapping[int, int]) -> list[Refused]:
        committed, refused = self._producer.commit(reached)
        for output in committed:
            self._confirmed(output)
        return refused

    def close(self) -> None:
        self._producer.close()


def _limits(settings: Settings) -> Limits:
    return Limits(settings.kafka.max_message_bytes, settings.kafka.delivery_seconds)


def _message(raw: Raw) -> Message:
    kind, stamp = raw.timestamp()
    try:
        headers = cast(Headers, raw.headers() or [])
    except SystemError:  # a name that is no UTF-8
        headers = []
    return Message(
        raw.topic() or "", raw.partition() or 0, raw.offset() or 0, raw.key(), raw.value(),
        headers, -1.0 if kind == TIMESTAMP_NOT_AVAILABLE else stamp / 1000,
    )  # fmt: skip
