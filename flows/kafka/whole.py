"""What Kafka holds beside the flow: a whole topic, and how far a group has come in one."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as Raw

from flows.kafka.connection import BrokerError, Connection, options, silent

__all__ = ["committed", "unread", "whole_topic"]

PATIENCE = 30.0  # seconds without an answer
BATCH = 1000


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
