"""What a topic has to be like, without a broker."""

from dataclasses import replace

import pytest

from flows.settings import Settings
from flows.tools.topic_rules import KEYS, Found, wanted

TOPICS = {topic.name: topic for topic in wanted(Settings(), 6)}
FINE = Found(
    partitions=6,
    copies=3,
    settings={
        "max.message.bytes": "1048576",
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "delete",
        "min.insync.replicas": "2",
        "retention.ms": "604800000",
    },
)


def changed(**changes: str) -> Found:
    values = {name.replace("_", "."): value for name, value in changes.items()}
    return replace(FINE, settings={**FINE.settings, **values})


def test_topics_as_they_should_be_differ_in_nothing() -> None:
    compacted = changed(cleanup_policy="compact")
    for name, topic in TOPICS.items():
        found = compacted if name == "sensors.dictionaries" else FINE
        assert list(topic.differences(found, "kafka:9092")) == []


@pytest.mark.parametrize(
    ("topic", "found", "what", "grave"),
    [
        ("codes", replace(FINE, partitions=3), "partitions", True),
        ("codes", replace(FINE, partitions=9), "partitions", True),
        ("codes", changed(max_message_bytes="1000"), "max.message.bytes", True),
        ("codes", changed(message_timestamp_type="CreateTime"), "message.timestamp.type", True),
        ("codes", changed(cleanup_policy="compact"), "cleanup.policy", True),
        ("dictionaries", changed(cleanup_policy="compact,delete"), "cleanup.policy", True),
        ("readings", changed(min_insync_replicas="4"), "min.insync.replicas", True),
        ("codes", changed(min_insync_replicas="1"), "min.insync.replicas", False),
        ("readings", changed(retention_ms="3600000"), "retention.ms", False),
        ("dead-letters", changed(retention_ms="3600000"), "retention.ms", False),
    ],
)
def test_each_difference_is_told_with_its_remedy(
    topic: str,
    found: Found,
    what: str,
    grave: bool,  # noqa: FBT001
) -> None:
    [difference] = TOPICS[f"sensors.{topic}"].differences(found, "kafka:9092")
    assert (difference.what, difference.grave) == (what, grave)
    assert difference.got in {*found.settings.values(), str(found.partitions)}
    assert "--bootstrap-server kafka:9092" in difference.remedy or found.partitions == 9


def test_what_does_no_harm_is_no_difference() -> None:
    codes = TOPICS["sensors.codes"]
    larger = changed(max_message_bytes="9000000", retention_ms="-1")
    single = replace(changed(min_insync_replicas="1"), copies=1)
    any_number = replace(wanted(Settings())[1], partitions=None)
    for topic, found in (
        (codes, larger),
        (codes, single),
        (any_number, replace(FINE, partitions=1)),
    ):
        assert list(topic.differences(found, "kafka:9092")) == []


def test_all_that_is_needed_is_asked_for() -> None:
    for topic in TOPICS.values():
        assert set(topic.settings) <= set(KEYS)


def test_the_internal_topic_is_one_of_them_where_there_is_one() -> None:
    names = {"repartitioned": "sensors.repartitioned"}
    assert wanted(Settings(topics=names))[0].name == "sensors.repartitioned"
