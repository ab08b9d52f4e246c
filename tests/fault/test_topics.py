"""``oodl topics`` against a real broker."""

import shlex
from pathlib import Path

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from flows.tools.topics import TopicsError, topics
from tests.brokers import ApacheKafka
from tests.fault.workers import write_settings

pytestmark = pytest.mark.operation

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


def test_comparing_shows_what_is_missing_or_differs_with_the_command_that_mends_it(
    apache_kafka: ApacheKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given three of the four topics, with settings that do harm and one that could
    own = {role: f"compared.{role}" for role in NAMES}
    for role, changes in {
        "codes": {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"},
        "dictionaries": {"message.timestamp.type": "LogAppendTime"},
        "dead_letters": {"message.timestamp.type": "LogAppendTime", "retention.ms": "60000"},
    }.items():
        apache_kafka.create_topic(own[role], partitions=2, settings=changes)
    sections = {"kafka": {"bootstrap": apache_kafka.address}, "topics": {**own}}
    file = write_settings(tmp_path, sections)
    # when they are compared
    assert topics(settings=file, compare=True) == 1
    told = capsys.readouterr().out
    # then each difference is told, and nothing was created
    rows = [line.split() for line in told.splitlines()]
    assert ["1", own["readings"], "topic", "to", "be", "there", "none"] in rows
    assert ["2", own["codes"], "cleanup.policy", "delete", "compact"] in rows
    assert ["3", own["dictionaries"], "cleanup.policy", "compact", "delete"] in rows
    assert ["4", own["dead_letters"], "retention.ms", "(advice)"] == rows[-5][:4]
    assert own["readings"] not in apache_kafka.admin().list_topics(timeout=30).topics
    # and the commands do what they say: nothing but advice is left after them
    commands = [line.split("  ", 1)[1] for line in told.splitlines() if "kafka-configs" in line]
    for command in commands[:-1]:
        alter(apache_kafka, command)
    topics(settings=file)
    capsys.readouterr()
    assert topics(settings=file, compare=True) == 0
    assert own["dead_letters"] in capsys.readouterr().out
    # and none once that is followed as well
    alter(apache_kafka, commands[-1])
    assert topics(settings=file, compare=True) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{name}: as it should be" for name in own.values()
    ]


def alter(broker: ApacheKafka, command: str) -> None:
    """Do what a kafka-configs command does; the program itself is not among the broker's jars."""
    words = shlex.split(command)

    def given(option: str) -> str:
        return words[words.index(option) + 1]

    assert (words[0], given("--entity-type")) == ("kafka-configs", "topics")
    assert given("--bootstrap-server") == broker.address
    key, _, value = given("--add-config").partition("=")
    entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(
        ResourceType.TOPIC, given("--entity-name"), incremental_configs=[entry]
    )
    admin = broker.admin()
    admin.incremental_alter_configs([resource])[resource].result(30)


def partitions(broker: ApacheKafka) -> dict[str, int]:
    known = broker.admin().list_topics(timeout=30).topics
    return {name: len(known[name].partitions) for name in ("t.readings", "t.codes")}


def configuration(broker: ApacheKafka, topic: str) -> dict[str, str | None]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = broker.admin()
    found = admin.describe_configs([resource])[resource].result(30)
    keys = ("message.timestamp.type", "cleanup.policy", "max.message.bytes")
    return {key: found[key].value for key in keys}
