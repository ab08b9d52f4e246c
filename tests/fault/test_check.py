"""`oodl check` on Apache Kafka: each thing that is wrong there is found, with its remedy."""

import signal
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from kafka import KafkaAdminClient
from kafka import TopicPartition as Part

from flows.kafka import describe
from flows.settings import Settings, load
from flows.tools.check import as_json, check
from flows.tools.checks import clock, group, look
from flows.tools.checks.findings import Finding, Scene
from flows.tools.topics import topics
from tests.brokers import ApacheKafka
from tests.fault.workers import Worker, create_topics, free_port, wait_until, write_settings
from tests.traffic import Record, machine, send

pytestmark = pytest.mark.operation


@dataclass(frozen=True)
class Place:
    """Settings with topics of their own, all as it should be."""

    file: Path
    settings: Settings
    broker: ApacheKafka

    def findings(self, name: str) -> list[Finding]:
        """What a check finds."""
        [looked] = [each for each in look(self.settings) if each.check.name == name]
        return list(looked.findings)

    def consumer(self) -> Consumer:
        return Consumer(
            {"bootstrap.servers": self.broker.address, "group.id": self.settings.kafka.group}
        )

    def commit(self, offset: int, by: str = "") -> None:
        consumer = self.consumer()
        part = TopicPartition(self.settings.topics.readings, 0, offset, by)
        consumer.commit(offsets=[part], asynchronous=False)
        consumer.close()


@pytest.fixture
def place(apache_kafka: ApacheKafka, tmp_path: Path) -> Place:
    name = f"check-{uuid.uuid4().hex[:12]}"
    names = {role: f"{name}.{role}" for role in Settings().topics.model_dump()}
    file = write_settings(
        tmp_path,
        {
            "kafka": {"bootstrap": apache_kafka.address, "group": name},
            "topics": {**names},
            "recovery": {"folder": str(tmp_path / "recovery"), "epoch_seconds": 0.2},
            "metrics": {"port": free_port()},
        },
    )
    topics(settings=file, partitions=2)
    return Place(file, load(file), apache_kafka)


def test_a_place_where_all_is_well_has_no_finding_before_and_after_a_run(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert check(settings=place.file) == 0
    assert all(line.startswith("ok ") for line in capsys.readouterr().out.splitlines())

    port, readings = place.settings.metrics.port, place.settings.topics.readings
    with Worker(place.file, port) as worker:
        send(place.broker.address, readings, machine(["press-0"], 50))
        worker.await_metrics()
        wait_until(lambda: worker.metrics()["oodl_codes_sent_total", ""] == 50)
        # while it runs, its folder is what a second one could not have, and nothing else
        told = as_json(look(place.settings))
        assert [each["check"] for each in told["checks"] if each["findings"]] == ["recovery"]
        [finding] = place.findings("recovery")
        assert f"process {worker.process.pid} does" in finding.told
        assert worker.end(signal.SIGTERM) == 0
    assert as_json(look(place.settings))["ok"]
    assert check(settings=place.file) == 0


def test_topics_that_are_missing_or_differ_are_told(apache_kafka: ApacheKafka) -> None:
    create_topics(apache_kafka, "lacking", 2)  # as they were once created: with a smaller limit
    names = {role: f"lacking.{role}" for role in Settings().topics.model_dump()}
    settings = Settings.model_validate(
        {
            "kafka": {"bootstrap": apache_kafka.address, "max_message_bytes": 2_000_000},
            "topics": names | {"codes": "lacking.elsewhere", "dead_letters": "lacking.codes"},
            "workers": {"count": 3, "index": 2},
        }
    )
    [looked] = [each for each in look(settings) if each.check.name == "topics"]
    told = {each.place: each.remedy for each in looked.findings}
    assert told["topics.codes"] == "create it with `oodl topics`"
    assert "--add-config max.message.bytes=2000000" in told["lacking.codes: max.message.bytes"]
    assert "add partitions" in told["workers.count"]


def test_a_consumer_that_has_subscribed_in_the_groups_name_is_told(place: Place) -> None:
    consumer = place.consumer()
    consumer.subscribe([place.settings.topics.readings])
    wait_until(lambda: consumer.poll(0.1) is None and bool(consumer.assignment()))
    try:
        [finding] = place.findings("group")
    finally:
        consumer.close()
    assert finding.place == "kafka.group"
    assert "got a consumer rdkafka at /127.0.0.1" in finding.told
    assert place.findings("group") == []


@pytest.mark.parametrize("moves", [True, False])
def test_another_process_that_commits_is_told_while_it_does(
    place: Place,
    moves: bool,  # noqa: FBT001
) -> None:
    send(place.broker.address, place.settings.topics.readings, in_partition_0(20))
    place.commit(1, by="pump:17:c0ffee")

    def meanwhile(_: float) -> None:
        if moves:
            place.commit(2, by="pump:17:c0ffee")

    scene = Scene(place.settings, describe(place.settings.kafka))
    findings = list(group.is_its_own(scene, meanwhile))
    assert [each.told for each in findings] == moves * [
        f"expected nobody else to read as group {place.settings.kafka.group}, "
        "got process 17 of host pump"
    ]


@pytest.mark.parametrize(("expired", "grade"), [("earliest", "advice"), ("stop", "problem")])
def test_readings_that_are_gone_before_they_were_read_are_told(
    place: Place, expired: str, grade: str
) -> None:
    topic, address = place.settings.topics.readings, place.broker.address
    count = len(send(address, topic, in_partition_0(20)))
    place.commit(2)
    with KafkaAdminClient(bootstrap_servers=address) as admin:
        admin.delete_records({Part(topic, 0): 5})
    changed = place.settings.recovery.model_copy(update={"expired": expired})
    settings = place.settings.model_copy(update={"recovery": changed})
    [looked] = [each for each in look(settings) if each.check.name == "offsets"]
    [finding] = looked.findings
    assert (finding.place, finding.grade) == (f"{topic}/0", grade)
    assert "got 5 as the earliest" in finding.told
    # and so is a topic that ends before where the group goes on
    place.commit(count + 100)
    [finding] = place.findings("offsets")
    assert f"got {count} as its end" in finding.told


@pytest.mark.parametrize(("shift", "told"), [(3600, "behind"), (-3600, "ahead"), (0, "")])
def test_a_clock_that_is_wrong_is_told_by_how_much(place: Place, shift: int, told: str) -> None:
    findings = list(clock.agrees(Scene(place.settings), lambda: time.time() + shift))
    words = [finding.told.split()[-3:] for finding in findings]
    assert [word[1:] for word in words] == ([["s", told]] if told else [])
    for seconds, _, _ in words:
        assert 3540 <= int(seconds.replace(",", "")) <= 3600


def in_partition_0(rows: int) -> list[Record]:
    return [record._replace(partition=0) for record in machine(["press-0"], rows)]
