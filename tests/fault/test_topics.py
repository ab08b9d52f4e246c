"""``oodl topics`` against a real broker."""

from pathlib import Path

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType

from flows.tools.topics import TopicsError, topics
from tests.brokers import ApacheKafka
from tests.fault.workers import write_settings

NAMES = {"readings": "t.readings", "codes": "t.codes"} | {
    "dictionaries": "t.dictionaries",
    "dead_letters": "t.letters",
}


def test_missing_topics_are_created_and_then_found_as_they_should_be(
    apache_kafka: ApacheKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = write_settings(
        tmp_path,
        {
            "kafka": {"bootstrap": apache_kafka.address, "max_message_bytes": 2_000_000},
            "topics": {**NAMES},
        },
    )

    topics(settings=settings, partitions=3)
    created = capsys.readouterr().out
    topics(settings=settings, partitions=3)
    found = capsys.readouterr().out

    assert created.splitlines() == [f"{name}: created" for name in NAMES.values()]
    assert found.splitlines() == [f"{name}: as it should be" for name in NAMES.values()]
    assert partitions(apache_kafka) == {"t.readings": 3, "t.codes": 3}
    for role, name in NAMES.items():
        stamped = "CreateTime" if role == "readings" else "LogAppendTime"
        policy = "compact" if role == "dictionaries" else "delete"
        assert configuration(apache_kafka, name) == {
            "message.timestamp.type": stamped,
            "cleanup.policy": policy,
            "max.message.bytes": "2000000",
        }


def test_a_topic_that_differs_is_told_and_left_as_it_is(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    own = {role: f"differs.{role}" for role in NAMES}
    apache_kafka.create_topic(
        own["codes"], partitions=2, settings={"message.timestamp.type": "CreateTime"}
    )
    sections = {"kafka": {"bootstrap": apache_kafka.address}, "topics": {**own}}

    with pytest.raises(TopicsError) as told:
        topics(settings=write_settings(tmp_path, sections), partitions=4)

    problems = str(told.value).splitlines()
    assert [problem.split(";")[0] for problem in problems] == [
        "differs.codes: partitions: expected 4, got 2",
        "differs.codes: message.timestamp.type: expected LogAppendTime, got CreateTime",
    ]
    assert configuration(apache_kafka, "differs.codes")["message.timestamp.type"] == "CreateTime"


def partitions(broker: ApacheKafka) -> dict[str, int]:
    known = broker.admin().list_topics(timeout=30).topics
    return {name: len(known[name].partitions) for name in ("t.readings", "t.codes")}


def configuration(broker: ApacheKafka, topic: str) -> dict[str, str | None]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = broker.admin()
    found = admin.describe_configs([resource])[resource].result(30)
    keys = ("message.timestamp.type", "cleanup.policy", "max.message.bytes")
    return {key: found[key].value for key in keys}
