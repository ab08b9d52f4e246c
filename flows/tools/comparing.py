"""The topics of a broker beside what the settings need of them."""

from collections.abc import Collection, Iterable
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from flows.kafka import BrokerError
from flows.kafka.connection import Connection, options, silent
from flows.tools.topic_rules import KEYS, Difference, Found, Topic

__all__ = ["compare", "find"]

ANSWER_SECONDS = 10.0


def compare(
    expected: Iterable[Topic], there: Collection[str], connection: Connection
) -> list[Difference]:
    """List what is missing, and in what the topics that are there differ.

    Raises
    ------
    BrokerError
        When the broker does not tell.
    """
    topics = list(expected)
    found = find([topic.name for topic in topics if topic.name in there], connection)
    missing = "`oodl topics` creates it; where it is there, this client needs Describe of it"
    differences: list[Difference] = []
    for topic in topics:
        if topic.name in found:
            differences += topic.differences(found[topic.name], connection.bootstrap)
        else:
            differences.append(Difference(topic.name, "topic", "to be there", "none", missing))
    return differences


def find(topics: list[str], connection: Connection) -> dict[str, Found]:
    """Ask what topics that exist are like.

    Raises
    ------
    BrokerError
        When the broker does not tell.
    """
    if not topics:
        return {}
    admin = AdminClient(options(connection), logger=silent())
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in topics]
    patience: dict[str, Any] = {"request_timeout": ANSWER_SECONDS}
    found: dict[str, Found] = {}
    try:
        shapes = admin.describe_topics(TopicCollection(topics), **patience)
        settings = admin.describe_configs(resources, **patience)
        for resource in resources:
            parts = shapes[resource.name].result().partitions
            values = settings[resource].result()
            found[resource.name] = Found(
                len(parts),
                min(len(part.replicas) for part in parts),
                {key: str(values[key].value) for key in KEYS},
            )
    except KafkaException as problem:
        msg = (
            f"topics: expected {connection.bootstrap} to tell their settings, got "
            f"{problem.args[0].str()}; see that this client may Describe and DescribeConfigs them"
        )
        raise BrokerError(msg) from problem
    return found
