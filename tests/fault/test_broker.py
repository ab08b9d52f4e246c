"""The real broker that other tests stand on keeps what it was given, whatever ends it."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import ConfigResource, ResourceType

from tests.brokers import PORT_TAKEN, ApacheKafka, BrokerError

SECONDS = 30.0


@pytest.fixture
def broker(kafka_class: type[ApacheKafka], tmp_path: Path) -> Iterator[ApacheKafka]:
    with kafka_class(tmp_path) as running:
        yield running


def test_a_record_outlives_a_kill_and_a_stop_of_the_broker(broker: ApacheKafka) -> None:
    broker.create_topic("readings")
    address = broker.address
    send(broker, "readings", b"before")

    broker.kill()
    broker.start()
    send(broker, "readings", b"between")
    broker.stop()
    broker.start()

    assert broker.address == address
    assert read(broker, "readings") == [b"before", b"between"]


def test_a_frozen_broker_answers_nothing_until_it_is_thawed(apache_kafka: ApacheKafka) -> None:
    apache_kafka.create_topic("frozen")
    producer = Producer({"bootstrap.servers": apache_kafka.address, "message.timeout.ms": 1000})
    failures: list[KafkaError | None] = []

    apache_kafka.freeze()
    producer.produce("frozen", b"lost", on_delivery=lambda error, _: failures.append(error))
    producer.flush(SECONDS)
    apache_kafka.thaw()
    send(apache_kafka, "frozen", b"kept")

    assert [failure.code() for failure in failures if failure] == [KafkaError._MSG_TIMED_OUT]
    assert read(apache_kafka, "frozen")[-1] == b"kept"


def test_a_topic_has_the_partitions_and_settings_it_was_created_with(
    apache_kafka: ApacheKafka,
) -> None:
    settings = {
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "compact",
        "max.message.bytes": "3000000",
    }

    apache_kafka.create_topic("configured", partitions=3, settings=settings)

    admin = apache_kafka.admin()
    resource = ConfigResource(ResourceType.TOPIC, "configured")
    described = admin.describe_configs([resource])[resource].result(SECONDS)
    assert {key: described[key].value for key in settings} == settings
    assert len(admin.list_topics("configured").topics["configured"].partitions) == 3


def test_a_topic_that_nobody_created_is_not_there(apache_kafka: ApacheKafka) -> None:
    asked = apache_kafka.admin().list_topics("nobody-created").topics["nobody-created"]

    assert asked.error is not None
    assert asked.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_broker_that_cannot_start_says_why_and_shows_its_log(
    kafka_class: type[ApacheKafka], tmp_path: Path
) -> None:
    broken = kafka_class(tmp_path, {"log.retention.ms": "for ever"})

    with pytest.raises(BrokerError, match="for ever"):
        broken.start()


def test_a_port_that_is_taken_for_a_while_is_tried_again(broker: ApacheKafka) -> None:
    host, port = broker.address.split(":")
    broker.stop()
    rival = socket.create_server((host, int(port)))
    release = threading.Thread(target=close_once_refused, args=(rival, broker))
    release.start()

    broker.start()

    release.join(SECONDS)
    assert broker.address == f"{host}:{port}"
    assert PORT_TAKEN in broker.log(1000)


def close_once_refused(rival: socket.socket, broker: ApacheKafka) -> None:
    with rival:
        deadline = time.monotonic() + SECONDS
        while PORT_TAKEN not in broker.log(1000) and time.monotonic() < deadline:
            time.sleep(0.05)


def send(broker: ApacheKafka, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    errors: list[KafkaError | None] = []
    producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))
    producer.flush(SECONDS)
    assert errors == [None]


def read(broker: ApacheKafka, topic: str) -> list[bytes | None]:
    partition = TopicPartition(topic, 0, 0)
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "reader"})
    consumer.assign([partition])
    _, end = consumer.get_watermark_offsets(partition, SECONDS)
    values = [message.value() for message in consumer.consume(end, SECONDS)]
    consumer.close()
    return values
