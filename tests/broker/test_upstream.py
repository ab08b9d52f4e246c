"""Messages that nobody moves to the internal topic are told by the pipeline that waits for them."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from flows import access, upstream
from flows.events import Tally
from flows.kafka import BrokerError, EmbeddedBroker
from flows.settings import Settings
from flows.upstream import LOOK_SECONDS, STANDING, Upstream
from tests.traffic import Record, send

MESSAGES = 6


@pytest.fixture
def settings() -> Iterator[Settings]:
    """A pipeline behind an internal topic, with messages before it."""
    with EmbeddedBroker("sensors.readings") as broker:
        kafka = {"bootstrap": broker.bootstrap}
        chosen = Settings.model_validate({"kafka": kafka, "topics": {"repartitioned": "internal"}})
        send(broker.bootstrap, "sensors.readings", [Record(b"heat", b"{}")] * MESSAGES)
        yield chosen


def move(settings: Settings, count: int) -> None:
    """Commit that so many messages were moved."""
    topic, group = settings.topics.readings, access.group_of_repartition(settings)
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap, "group.id": group})
    parts = [
        TopicPartition(topic, each) for each in consumer.list_topics(topic).topics[topic].partitions
    ]
    [full] = [part for part in parts if consumer.get_watermark_offsets(part)[1]]
    full.offset = count
    consumer.commit(offsets=[full], asynchronous=False)
    consumer.close()


def looks(monkeypatch: pytest.MonkeyPatch, watch: Upstream, first: float, seconds: float) -> None:
    """Let it look for so long."""
    for turn in range(int(seconds / LOOK_SECONDS) + 1):
        monkeypatch.setattr(upstream, "monotonic", lambda: first + turn * LOOK_SECONDS)  # noqa: B023
        watch.look()


def test_messages_that_nobody_moves_are_told_once_until_they_are_moved(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = Tally()
    watch = Upstream(settings, tally)

    looks(monkeypatch, watch, 0.0, STANDING)
    assert not tally.beats.unfed
    looks(monkeypatch, watch, 100.0, 2 * STANDING)
    assert f"{MESSAGES} messages of sensors.readings wait" in tally.beats.unfed
    assert tally.oddities == {"not_repartitioned": 1}

    move(settings, 1)
    looks(monkeypatch, watch, 200.0, STANDING)
    assert not tally.beats.unfed
    looks(monkeypatch, watch, 300.0, STANDING)
    assert f"{MESSAGES - 1} messages" in tally.beats.unfed
    move(settings, MESSAGES)
    looks(monkeypatch, watch, 400.0, 2 * STANDING)
    assert not tally.beats.unfed
    assert tally.oddities == {"not_repartitioned": 2}


def test_without_the_right_to_that_topic_it_is_said_once_that_nothing_is_known(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = Tally()

    def denied(*_: object) -> tuple[int, int]:
        msg = "Broker: Topic authorization failed"
        raise BrokerError(msg)

    monkeypatch.setattr(upstream, "unread", denied)
    watch = Upstream(settings, tally)
    looks(monkeypatch, watch, 0.0, 2 * STANDING)

    assert tally.oddities == {"repartition_unseen": 1}
    assert not tally.beats.unfed
