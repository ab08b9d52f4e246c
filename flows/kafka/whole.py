"""What Kafka holds now: a whole topic or its newest messages, and how far a group has come."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Raw

from flows.kafka.connection import BrokerError, Connection, options, silent

__all__ = ["Newest", "committed", "extents", "unread", "whole_topic"]

PATIENCE = 30.0  # seconds without an answer
BATCH = 1000
NO_GROUP = KafkaError.GROUP_AUTHORIZATION_FAILED  # of a client that needs none, and joins none
ANYONE = "oodl.inspect"  # the client asks for a name; nothing is kept under it


def committed(connection: Connection, group: str, topic: str, partitions: int) -> dict[int, int]:
    """Ask what a group has committed: the next offset by partition, where there is one.

    Raises
    ------
    BrokerError
        When the broker does not tell.
    """
    wanted = f"the offsets of group {group}"
    asked = [TopicPartition(topic, number) for number in range(partitions)]
    with _consumer(connection, group) as consumer:
        try:
            found = consumer.committed(asked, timeout=PATIENCE)
        except KafkaException as problem:
            raise _unanswered(wanted, problem.args[0]) from problem
    for part in found:
        if part.error is not None:
            raise _unanswered(wanted, part.error)
    return {part.partition: part.offset for part in found if part.offset >= 0}


def unread(connection: Connection, group: str, topic: str) -> tuple[int, int]:
    """Ask how far a group has come in a topic, and how many messages wait for it.

    Returns
    -------
    done, waiting : int
        Over all partitions, by offsets.

    Raises
    ------
    BrokerError
        When the broker does not tell.
    """
    wanted, done, waiting = f"how far group {group} is in {topic}", 0, 0
    with _consumer(connection, group) as consumer:
        try:
            known = consumer.list_topics(topic, timeout=PATIENCE).topics[topic]
            if known.error is not None:
                raise _unanswered(wanted, known.error)
            parts = [TopicPartition(topic, number) for number in known.partitions]
            for part in consumer.committed(parts, timeout=PATIENCE):
                if part.error is not None:
                    raise _unanswered(wanted, part.error)
                first, end = consumer.get_watermark_offsets(part, timeout=PATIENCE)
                reached = max(part.offset, first)
                done, waiting = done + reached, waiting + end - reached
        except KafkaException as problem:
            raise _unanswered(wanted, problem.args[0]) from problem
    return done, waiting


def whole_topic(connection: Connection, group: str, topic: str, partitions: int) -> Iterator[Raw]:
    """Yield every message of a topic up to where it ends now, partition by partition in order.

    Raises
    ------
    BrokerError
        When the broker does not give them.
    """
    wanted = f"all of {topic}"
    left = set(range(partitions))
    with _consumer(connection, group) as consumer:
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in left])
        heard = monotonic()
        while left:
            for raw in consumer.consume(BATCH, 0.1):
                heard, error = monotonic(), raw.error()
                if error is None:
                    yield raw
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(raw.partition() or 0)
                else:
                    raise _unanswered(wanted, error)
            if monotonic() - heard > PATIENCE:
                raise _unanswered(wanted, "nothing more")


def extents(connection: Connection, topic: str, partitions: int) -> dict[int, tuple[int, int]]:
    """Ask where each partition of a topic begins and ends now.

    Raises
    ------
    BrokerError
        When the broker does not tell.
    """
    with _consumer(connection, ANYONE) as consumer:
        return _extents(consumer, topic, partitions)


class Newest:
    """The newest messages of a topic, partition by partition in order, up to where it ends now.

    Parameters
    ----------
    connection : Connection
    topic : str
    partitions : int
    most : int or None
        How many offsets to go back, shared out evenly: a partition that has fewer leaves the rest
        to nobody. None: to the beginning.

    Raises
    ------
    BrokerError
        When the broker does not give them.
    """

    def __init__(
        self, connection: Connection, topic: str, partitions: int, most: int | None = None
    ) -> None:
        self._connection, self._topic = connection, topic
        self._wanted = f"the newest of {topic}"
        share = None if most is None else -(-most // partitions)
        self._extents = {
            part: (begin if share is None else max(begin, end - share), end)
            for part, (begin, end) in extents(connection, topic, partitions).items()
        }

    def __len__(self) -> int:
        """Count the messages by their offsets: those that are not there any more are counted."""
        return sum(end - begin for begin, end in self._extents.values())

    def __iter__(self) -> Iterator[Raw]:
        left = {part: ends for part, ends in self._extents.items() if ends[0] < ends[1]}
        with _consumer(self._connection, ANYONE) as consumer:
            consumer.assign(
                [TopicPartition(self._topic, part, begin) for part, (begin, _) in left.items()]
            )
            heard = monotonic()
            while left:
                for raw in consumer.consume(BATCH, 0.1):
                    error = raw.error()
                    if error is not None and error.code() == NO_GROUP:
                        continue
                    heard, part = monotonic(), raw.partition() or 0
                    if not self._ended(raw):
                        yield raw
                    if part in left and self._reached(raw, left[part][1]):
                        del left[part]
                        consumer.incremental_unassign([TopicPartition(self._topic, part)])
                if monotonic() - heard > PATIENCE:
                    raise _unanswered(self._wanted, "nothing more")

    def _ended(self, raw: Raw) -> bool:
        """Whether this tells of a partition's end, or lies behind what was the end."""
        error = raw.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise _unanswered(self._wanted, error)
        return error is not None or (raw.offset() or 0) >= self._extents[raw.partition() or 0][1]

    def _reached(self, raw: Raw, end: int) -> bool:
        """Whether a partition has no more; while messages come it tells of no end by itself."""
        return raw.error() is not None or (raw.offset() or 0) >= end - 1


def _extents(consumer: Consumer, topic: str, partitions: int) -> dict[int, tuple[int, int]]:
    found, wanted = {}, f"the ends of {topic}"
    for number in range(partitions):
        try:
            ends = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=PATIENCE)
        except KafkaException as problem:
            raise _unanswered(wanted, problem.args[0]) from problem
        if ends is None:
            raise _unanswered(wanted, "nothing")
        found[number] = (ends[0], ends[1])
    return found


@contextmanager
def _consumer(connection: Connection, group: str) -> Iterator[Consumer]:
    named = {"group.id": group, "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer({**options(connection), **named}, logger=silent())
    try:
        yield consumer
    finally:
        consumer.close()


def _unanswered(wanted: str, got: KafkaError | str) -> BrokerError:
    told = got if isinstance(got, str) else got.str()
    return BrokerError(f"kafka.bootstrap: expected {wanted}, got {told}; start again")
