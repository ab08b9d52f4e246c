"""One consumer for all partitions of a process.

What it hears is kept as a value: a partition's queue, an expired offset, an error it recovers from.
"""

import threading
from collections import deque
from dataclasses import dataclass
from os import getpid
from secrets import token_hex
from socket import gethostname
from time import monotonic

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Raw

from flows.kafka.connection import BrokerError, Connection, Health, librdkafka, options
from flows.kafka.rights import AccessError, Right

__all__ = ["OffsetExpired", "PartitionQueue", "SharedConsumer"]

LINGER = 0.02  # seconds between two looks at the broker: blocks of a few rows cost 10 us a row more
QUIET = 1.0  # seconds without a message after which looks are fewer
QUIET_LINGER = 0.05  # seconds between two looks then: 50 a second cost .5 % of a core more
BATCH = 5000  # messages taken from librdkafka at a time
FETCH_WAIT_MS = 50  # the embedded broker answers a fetch after that long, data or none
ANSWER_MS = 10_000  # after which a request has failed; a frozen broker holds up our end that long
QUEUE_LIMIT = 20_000  # messages a partition's queue holds before the partition is paused
STATISTICS_MS = 1000  # librdkafka's figures, the only place where a frozen broker shows
RECOMMIT_SECONDS = 3600.0  # brokers forget offsets that are not committed again (7 days by default)
OTHERS_SECONDS = 10.0  # between two looks at who else commits: each takes 5 ms
ANSWER_SECONDS = 0.5  # for that look, which holds up the flow
CLOSE_PATIENCE = 2.0  # seconds for the last commit to be confirmed
HOPELESS = frozenset({
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class OffsetExpired:
    """The offset to go on from is no longer there; the partition is read from its earliest one."""

    partition: int
    offset: int
    detail: str


class PartitionQueue:
    """What has arrived of one partition and waits to be taken."""

    def __init__(self, consumer: "SharedConsumer", partition: int) -> None:
        self._consumer = consumer
        self._snapped: int | None = None
        self._committed = (-1, 0.0)
        self.partition = partition
        self.messages: deque[Raw] = deque()
        self.expired: OffsetExpired | None = None
        self.paused = False
        self.at_end = False

    def take(self, most: int) -> list[Raw]:
        """Return up to `most` messages in order; never waits."""
        self._consumer.poll()
        if len(self.messages) <= most:
            ready = list(self.messages)
            self.messages.clear()
        else:
            ready = [self.messages.popleft() for _ in range(most)]
        if self.paused and len(self.messages) < QUEUE_LIMIT // 2:
            self._consumer.resume(self)
        return ready

    def take_expired(self) -> OffsetExpired | None:
        """Say once that the offset to go on from had expired."""
        expired, self.expired = self.expired, None
        return expired

    def snapped(self, offset: int | None) -> None:
        """Note where a snapshot goes on, and commit the one before: that is confirmed by now.

        A snapshot of the source is taken before its last batch has been processed and written.
        """
        self.commit()
        self._snapped = offset

    def commit(self) -> None:
        """Commit the last snapshot's position; one that has not moved only now and then."""
        known, since = self._committed
        moved = self._snapped != known or monotonic() - since > RECOMMIT_SECONDS
        if self._snapped is not None and moved:
            self._committed = self._snapped, monotonic()
            self._consumer.commit(self.partition, self._snapped)

    def lag(self, offset: int) -> int | None:
        """Messages between `offset` and the end as last heard; None before the first answer."""
        return self._consumer.lag(self.partition, offset)

    def behind(self, offset: int | None) -> int | None:
        """Messages from `offset` on that can be read; None before the first answer.

        Markers of transactions take offsets and are never read, so the end's offset does not tell.
        """
        if self.at_end and not self.messages:
            return 0
        lag = None if offset is None else self.lag(offset)
        return len(self.messages) or None if lag is None else lag


class SharedConsumer:
    """One consumer for all partitions of this process, each with a queue of its own.

    Partitions are assigned, not subscribed: the engine decides who reads what. The group id is
    real, so that Kafka's tools see the positions committed.

    Parameters
    ----------
    connection : Connection
    topic, group : str
        What is read, and in whose name.
    """

    def __init__(self, connection: Connection, *, topic: str, group: str) -> None:
        self.health = Health()
        self._topic, self._group = topic, group
        self._denied = ""
        self._queues: dict[int | None, PartitionQueue] = {}  # keys as the client types them
        self._first: dict[int, PartitionQueue] = {}  # of each thread
        self._nothing = threading.Event()  # that is waited for; sleep goes wrong under faketime
        self._polling = threading.Lock()
        self._due, self._came = 0.0, monotonic()
        self._unconfirmed = 0
        self._process = f"{gethostname()}:{getpid()}:{token_hex(4)}"
        self._own: set[int] = set()  # partitions whose position this process has committed
        self._ask_next = 0.0
        self._consumer = Consumer(
            {
                **options(connection),
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": FETCH_WAIT_MS,
                "socket.timeout.ms": ANSWER_MS,
                "statistics.interval.ms": STATISTICS_MS,
                "stats_cb": self.health.measured,
                "error_cb": self.health.failed,
                "on_commit": self._committed,
            },
            logger=librdkafka,
        )

    def open(self, partition: int, offset: int | None) -> PartitionQueue:
        """Read a partition from `offset` on; None: from the earliest that the broker has."""
        start = OFFSET_BEGINNING if offset is None else offset
        queue = self._queues[partition] = PartitionQueue(self, partition)
        self._first.setdefault(threading.get_ident(), queue)
        self._consumer.incremental_assign([TopicPartition(self._topic, partition, start)])
        return queue

    def poll(self) -> None:
        """Bring what has arrived to the queues, now and then; never waits."""
        if monotonic() < self._due or not self._polling.acquire(blocking=False):
            return
        try:
            raws = self._consumer.consume(BATCH, 0)
            if self._denied:
                raise AccessError(self._denied)
            self._due = self._next_look(len(raws))
            queues = self._queues
            for raw in raws:
                error = raw.error()
                if error is None:
                    queue = queues[raw.partition()]
                    queue.at_end = False
                    queue.messages.append(raw)
                else:
                    self._note(raw, error)
            for queue in self._queues.values():
                if len(queue.messages) > QUEUE_LIMIT and not queue.paused:
                    self._pause(queue)
        finally:
            self._polling.release()

    def leads(self, queue: PartitionQueue) -> bool:
        """Whether a partition is the first of its thread: what is to be done once falls to it."""
        return queue is self._first[threading.get_ident()]

    def rest(self, queue: PartitionQueue) -> None:
        """Wait until polling again is of use, unless something waits to be taken.

        Of the partitions that a thread serves the first one waits, for all of them.
        """
        if self.leads(queue) and not self._waiting():
            self._nothing.wait(min(QUIET_LINGER, max(0.0, self._due - monotonic())))

    def resume(self, queue: PartitionQueue) -> None:
        """Let a paused partition flow again."""
        self._consumer.resume([TopicPartition(self._topic, queue.partition)])
        queue.paused = False

    def commit(self, partition: int, offset: int) -> None:
        """Commit that everything below `offset` is done, without waiting for the answer."""
        self._unconfirmed += 1
        part = TopicPartition(self._topic, partition, offset, self._process)
        try:
            self._consumer.commit(offsets=[part], asynchronous=True)
        except KafkaException as problem:
            self._committed(problem.args[0], [part])

    def others(self) -> dict[str, list[int]]:
        """Ask who else commits positions of our partitions: by process, with the partitions.

        Nothing fences a consumer that assigns itself its partitions: two processes of one group
        read the same without a word. Asked once in `OTHERS_SECONDS`, while the broker answers.
        """
        found: dict[str, list[int]] = {}
        if not self._own or monotonic() < self._ask_next or self.health.silent_seconds > 1:
            return found
        self._ask_next = monotonic() + OTHERS_SECONDS
        asked = [TopicPartition(self._topic, number) for number in self._own]
        try:
            answered = self._consumer.committed(asked, timeout=ANSWER_SECONDS)
        except KafkaException as problem:
            self.health.failed(problem.args[0])
            return found
        for part in answered:
            if part.metadata and part.metadata != self._process:
                found.setdefault(part.metadata, []).append(part.partition)
        return found

    def lag(self, partition: int, offset: int) -> int | None:
        """Messages between `offset` and the end as last heard."""
        _, high = self._consumer.get_watermark_offsets(
            TopicPartition(self._topic, partition), cached=True
        )
        return None if high < 0 else max(0, high - offset)

    def close(self) -> None:
        """Commit the last snapshots, then let go: for when all that they cover is confirmed."""
        for queue in self._queues.values():
            queue.commit()
        patience = monotonic() + CLOSE_PATIENCE
        while self._unconfirmed and monotonic() < patience:
            self._consumer.poll(0.05)
        if not self._unconfirmed:  # else this waits for the answer, and so does the process's end
            self._consumer.close()

    def _next_look(self, came: int) -> float:
        """Say when to look at the broker again."""
        if came == BATCH:
            return 0.0
        now = monotonic()
        if came:
            self._came = now
        return now + (LINGER if now - self._came < QUIET else QUIET_LINGER)

    def _waiting(self) -> bool:
        return any(queue.messages for queue in tuple(self._queues.values()))

    def _note(self, raw: Raw, error: KafkaError) -> None:
        """Take what is no message: the end of a partition, or what has gone wrong."""
        if error.code() == KafkaError._PARTITION_EOF:
            self._queues[raw.partition()].at_end = True
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._from_earliest(raw, error)
        elif error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            self._denied = Right("Read", "topic", self._topic, "topics.readings").denied()
        elif error.fatal() or error.code() in HOPELESS:
            msg = (
                f"topics.readings: {raw.topic()!r} cannot be read ({error.str()}); "
                "see that it exists, then start again"
            )
            raise BrokerError(msg)
        else:
            self.health.failed(error)

    def _from_earliest(self, raw: Raw, error: KafkaError) -> None:
        queue = self._queues[raw.partition()]
        queue.expired = OffsetExpired(queue.partition, raw.offset() or 0, error.str())
        self._consumer.incremental_unassign([TopicPartition(self._topic, queue.partition)])
        self._consumer.incremental_assign(
            [TopicPartition(self._topic, queue.partition, OFFSET_BEGINNING)]
        )

    def _pause(self, queue: PartitionQueue) -> None:
        self._consumer.pause([TopicPartition(self._topic, queue.partition)])
        queue.paused = True

    def _committed(self, error: KafkaError | None, parts: list[TopicPartition]) -> None:
        self._unconfirmed -= 1
        if error is None:
            self._own.update(part.partition for part in parts)
        if error is not None:
            self.health.failed(error)
            if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                self._denied = Right("Read", "group", self._group, "kafka.group").denied()
