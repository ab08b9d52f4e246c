"""A topic that is read by hand, from its beginning: in no group, its position kept nowhere."""

from typing import Any

from kafka import KafkaConsumer, TopicPartition

from oodl.errors import OodlError

__all__ = ["POLL_MS", "MissingTopicError", "opened"]

POLL_MS = 200


class MissingTopicError(OodlError, LookupError):
    """A topic that should be read is not there."""


def opened(
    topic: str, options: dict[str, Any], **more: object
) -> tuple[KafkaConsumer, list[TopicPartition]]:
    """Return a consumer that has all partitions of a topic, and these, in order.

    Of transactions it reads those that are committed.

    Parameters
    ----------
    topic : str
    options : dict
        How kafka-python reaches the broker.
    **more
        Further options of the consumer.

    Raises
    ------
    MissingTopicError
        If the topic is not there.
    KafkaError
        If the broker does not answer.
    """
    consumer = KafkaConsumer(
        **options,
        enable_auto_commit=False,
        allow_auto_create_topics=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=POLL_MS // 4,
        **more,
    )
    partitions = consumer.partitions_for_topic(topic)
    if not partitions:
        consumer.close()
        msg = f"topic {topic!r}: expected to find it, got none; `oodl topics` creates it"
        raise MissingTopicError(msg)
    parts = [TopicPartition(topic, number) for number in sorted(partitions)]
    consumer.assign(parts)
    return consumer, parts
