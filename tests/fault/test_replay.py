"""Replays on Apache Kafka: what was counted is what is there, also after Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from tests.brokers import ApacheKafka
from tests.fault.workers import PATIENCE, wait_until, write_settings

pytestmark = pytest.mark.operation

ROOT = Path(__file__).parents[2]
PUMPS = ROOT / "docs" / "examples" / "pumps.csv"
HOUR = 1_772_438_400_000  # 2026-03-02T08:00, in ms


@pytest.fixture
def settings(apache_kafka: ApacheKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Settings whose readings go to a topic of the test's own."""
    topic = re.sub(r"\W", ".", request.node.name)
    apache_kafka.create_topic(topic, partitions=3)
    sections = {"kafka": {"bootstrap": apache_kafka.address}, "topics": {"readings": topic}}
    return write_settings(tmp_path, sections)


def topic_of(settings: Path) -> str:
    found = re.search(r'readings = "(.+)"', settings.read_text())
    assert found
    return found[1]


def replaying(*words: str | Path, settings: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flows", "replay", *words, "--settings", settings]
    return subprocess.Popen(
        list(map(str, command)), cwd=ROOT, stderr=subprocess.PIPE, text=True, env=os.environ
    )


def replayed(*words: str | Path, settings: Path) -> tuple[int, str]:
    process = replaying(*words, settings=settings)
    _, told = process.communicate(timeout=PATIENCE)
    return process.returncode, told


def messages(broker: ApacheKafka, topic: str, partitions: int = 3) -> list[Message]:
    """All that the topic holds now; more may come meanwhile."""
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "test"})
    parts = [TopicPartition(topic, part, OFFSET_BEGINNING) for part in range(partitions)]
    there = sum(consumer.get_watermark_offsets(part)[1] for part in parts)
    consumer.assign(parts)
    found = consumer.consume(there, timeout=20) if there else []
    consumer.close()
    assert len(found) == there
    return found


def marks(broker: ApacheKafka, settings: Path) -> list[str]:
    """Where all that was replayed had been."""
    found = messages(broker, topic_of(settings))
    said = [dict(one.headers() or [])["oodl-replayed"] for one in found]
    return [mark.decode() for mark in said if isinstance(mark, bytes)]


def test_ctrl_c_ends_a_replay_with_what_was_sent_and_where_to_go_on(
    apache_kafka: ApacheKafka, settings: Path
) -> None:
    # given a replay that would take two minutes
    with replaying(PUMPS, "--group-column", "pump", "--speed", "32", settings=settings) as process:
        try:
            wait_until(lambda: bool(marks(apache_kafka, settings)))
        finally:  # when it is interrupted
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=PATIENCE)
    # then its count is that of the broker
    assert process.returncode == 130, told
    first = marks(apache_kafka, settings)
    assert f"{len(first)} of 800 messages sent" in told
    assert 0 < len(first) < 800
    # and from where it says the rest follows, less than one tick twice
    on = re.search(r"go on with (--from) (\S+),", told)
    assert on, told
    code, rest = replayed(
        PUMPS, "--group-column", "pump", "--speed", "max", *on.groups(), settings=settings
    )
    assert code == 0, rest
    both = marks(apache_kafka, settings)
    assert set(both) == {f"pumps.csv/{row}" for row in range(800)}
    assert 800 < len(both) <= 802


def test_an_hour_of_a_topic_comes_again_as_it_was_and_only_what_was_committed(
    apache_kafka: ApacheKafka, settings: Path
) -> None:
    # given a topic of two hours with as many partitions, and a transaction that was given up
    archive = f"{topic_of(settings)}.archive"
    apache_kafka.create_topic(archive, partitions=3)
    producer = Producer({"bootstrap.servers": apache_kafka.address, "transactional.id": archive})
    producer.init_transactions()
    for part in range(3):
        producer.begin_transaction()
        for minute in range(120):
            stamp = HOUR + minute * 60_000
            headers: list[tuple[str, str | bytes | None]] = [("minute", b"%d" % minute)]
            producer.produce(archive, b"x", b"%d" % part, part, timestamp=stamp, headers=headers)
        producer.commit_transaction() if part < 2 else producer.abort_transaction()
    # when the first half an hour of the second one is replayed
    ends = ("--from", "2026-03-02T09:00", "--to", "2026-03-02T09:30")
    code, told = replayed(archive, *ends, "--speed", "max", settings=settings)
    # then
    assert code == 0, told
    assert "60 of 60 messages sent" in told
    found = messages(apache_kafka, topic_of(settings))
    assert sorted(
        (one.partition(), one.key(), dict(one.headers() or [])["minute"], one.timestamp()[1])
        for one in found
    ) == sorted(
        (part, b"%d" % part, b"%d" % minute, HOUR + minute * 60_000)
        for part in range(2)
        for minute in range(60, 90)
    )


@pytest.mark.parametrize("name", ["none/such.csv", "no.such.topic"])
def test_a_source_that_is_not_there_is_told(name: str, settings: Path) -> None:
    code, told = replayed(name, settings=settings)
    assert code == 1
    assert told.startswith(f"oodl: replay: expected a file or a topic, got '{name}'")
    assert told.count("\n") == 1


def test_what_the_broker_refuses_ends_the_replay_with_its_reason(
    apache_kafka: ApacheKafka, settings: Path
) -> None:
    archive = f"{topic_of(settings)}.large"
    apache_kafka.create_topic(archive, settings={"max.message.bytes": "3000000"})
    producer = Producer({"bootstrap.servers": apache_kafka.address, "message.max.bytes": 3_000_000})
    producer.produce(archive, bytes(2_000_000))
    producer.flush(30)

    code, told = replayed(archive, "--speed", "max", settings=settings)

    assert code == 1
    assert re.search(r"expected the broker to confirm, got \S*TooLarge", told), told
