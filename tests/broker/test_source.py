"""The source keeps its contract on the embedded broker, and what is its own besides."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, TopicPartition

from flows.events import Tally
from flows.items import GroupBlock
from flows.kafka import EmbeddedBroker, SharedConsumer, StopFlag
from flows.settings import Settings
from flows.source import ExpiredError, KafkaSource, PartitionReader, Shared
from tests.checks import source as suite
from tests.fault.workers import wait_until
from tests.traffic import Record, machine, send

MEBIBYTE = b"x" * 900_000
PARTITIONS = 4


class OnEmbeddedBroker:
    """The Kafka source on a broker that keeps 5 MiB a partition."""

    def __init__(self) -> None:
        self.broker: EmbeddedBroker | None = EmbeddedBroker("sensors.readings")
        self.settings = Settings.model_validate({"kafka": {"bootstrap": self.broker.bootstrap}})
        self.tally, self.flag = Tally(), StopFlag()
        self.sent = dict.fromkeys(range(PARTITIONS), 0)

    def send(self, partition: int, count: int) -> None:
        first = self.sent[partition]
        records = machine([f"press-{partition}"], count, first=first)
        self.send_records(partition, records)

    def send_records(self, partition: int, records: list[Record]) -> None:
        placed = [record._replace(partition=partition) for record in records]
        send(self.settings.kafka.bootstrap, "sensors.readings", placed)
        self.sent[partition] += len(records)

    def open(self) -> KafkaSource:
        kafka, topics = self.settings.kafka, self.settings.topics
        self.consumer = SharedConsumer(kafka, topic=topics.readings, group=kafka.group)
        shared = Shared(self.settings, self.tally, self.flag, self.consumer, PARTITIONS)
        return KafkaSource(shared)

    def forget(self, partition: int) -> None:
        self.send_records(partition, [Record(b"large", MEBIBYTE)] * 8)

    def lose_broker(self) -> None:
        assert self.broker is not None
        self.broker.close()

    def stop(self) -> None:
        self.flag.set()

    def expired(self) -> int:
        return self.tally.oddities["offset_expired"]


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[suite.SourceCase], None]) -> None:
    check(OnEmbeddedBroker())


def test_a_look_brings_one_block_a_group_with_its_rows_in_order() -> None:
    case = OnEmbeddedBroker()
    case.settings = Settings.model_validate(
        case.settings.model_dump() | {"channels": {"names": ("a", "b")}}
    )
    keys = [b"a", b"b"] * 20
    rows = [b'{"ts": 1, "values": [%d, 0]}' % row for row in range(40)]
    case.send_records(1, list(map(Record, keys, rows)))
    part = suite.opened(case, 1)

    items = blocks_of(part, 40)

    for group, parity in (("a", 0), ("b", 1)):
        blocks = [item.block for item in items if item.group == group]
        assert [v for block in blocks for v in block.values[:, 0]] == list(range(parity, 40, 2))
        assert {block.channels for block in blocks} == {("a", "b")}


def test_a_block_ends_where_the_channels_of_its_group_change() -> None:
    case = OnEmbeddedBroker()
    first, then = b'{"ts": 1, "values": [1, 2]}', b'{"ts": 1, "values": [1, 2, 3]}'
    case.send_records(0, [Record(b"press-0", each) for each in (first, first, then, then, first)])
    part = suite.opened(case, 0)

    blocks = [item.block for item in blocks_of(part, 5)]

    assert [len(block.channels) for block in blocks for _ in block.offsets] == [2, 2, 3, 3, 2]


def test_the_position_committed_is_that_of_the_snapshot_before() -> None:
    case = OnEmbeddedBroker()
    case.send(0, 10)
    source = case.open()
    part = source.build_part("readings", "00000", None)
    suite.take(part, 10)
    part.snapshot()
    case.send(0, 5)
    suite.take(part, 5)

    part.snapshot()

    assert committed(case, 0) == 10
    case.consumer.close()
    assert committed(case, 0) == 15


def test_another_process_of_the_same_group_is_told_by_what_it_commits() -> None:
    case, other = OnEmbeddedBroker(), OnEmbeddedBroker()
    other.settings = case.settings
    case.send(0, 20)
    part = having_committed(case, 10)
    having_committed(other, 20)

    def told() -> bool:
        part.next_batch()
        part.snapshot()
        return case.tally.oddities["partitions_shared"] == 1

    wait_until(told)
    assert not other.tally.oddities


def having_committed(case: OnEmbeddedBroker, count: int) -> PartitionReader:
    part = suite.opened(case, 0)
    suite.take(part, count)
    part.snapshot()
    part.snapshot()
    wait_until(lambda: committed(case, 0) == part.snapshot()[0])
    return part


def test_an_expired_offset_stops_the_flow_where_the_settings_say_so() -> None:
    case = OnEmbeddedBroker()
    recovery = case.settings.recovery.model_copy(update={"expired": "stop"})
    case.settings = case.settings.model_copy(update={"recovery": recovery})
    case.send(0, 3)
    case.forget(0)
    part = suite.opened(case, 0, (1, b"", b""))

    with pytest.raises(ExpiredError, match=r"sensors\.readings/0: .*offset 1,.*recovery\.expired"):
        suite.take(part, 1)

    assert case.expired() == 1


def test_a_new_partition_is_said_and_ends_every_partition() -> None:
    case = OnEmbeddedBroker()
    part = suite.opened(case, 0)
    case.consumer.health.partitions = {"sensors.readings": PARTITIONS}
    part.next_batch()

    case.consumer.health.partitions = {"sensors.readings": PARTITIONS + 2}

    with pytest.raises(StopIteration):
        part.next_batch()
    assert case.tally.oddities["partitions_added"] == 1
    assert case.flag.cause == "a new partition"


def test_a_clock_that_is_set_back_ends_every_partition_and_one_that_is_put_right_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine ends epochs by that clock, so that snapshots would wait for as long."""
    case, off = OnEmbeddedBroker(), 0.0
    monkeypatch.setattr("flows.source.now", lambda: time.time() + off)
    part = suite.opened(case, 0)
    for off in (86400.0, 86392.0):  # noqa: B007
        part.next_batch()
        part.snapshot()

    off = 86380.0

    with pytest.raises(StopIteration):
        part.next_batch()
    assert case.tally.oddities["clock_set_back"] == 1
    assert case.flag.cause == "a clock that was set back"


def test_a_turn_is_due_whatever_the_clock_on_the_wall_says_and_one_partition_rests_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rests: list[float] = []
    monkeypatch.setattr(threading.Event, "wait", lambda _, seconds: rests.append(seconds))
    source = OnEmbeddedBroker().open()
    parts = [source.build_part("readings", name, None) for name in source.list_parts()]
    for part in parts:
        part.next_batch()

    due = {part.next_awake() for part in parts}

    assert due == {datetime.fromtimestamp(0, UTC)}
    assert len(rests) == 1


def test_the_lag_of_a_partition_is_measured_with_each_snapshot() -> None:
    case = OnEmbeddedBroker()
    case.send(0, 10)
    part = suite.opened(case, 0)
    suite.take(part, 10)

    part.snapshot()

    assert (case.tally.lag_readings[0], case.tally.lag_seconds[0]) == (0, 0.0)


def blocks_of(part: PartitionReader, rows: int) -> list[GroupBlock]:
    """Read until so many rows have come, all in blocks."""
    items: list[GroupBlock] = []
    while sum(len(item.block) for item in items) < rows:
        for _, item in part.next_batch():
            assert isinstance(item, GroupBlock)
            items.append(item)
    return items


def committed(case: OnEmbeddedBroker, partition: int) -> int:
    kafka = case.settings.kafka
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": kafka.group})
    [found] = consumer.committed([TopicPartition("sensors.readings", partition)], timeout=10)
    consumer.close()
    return found.offset
