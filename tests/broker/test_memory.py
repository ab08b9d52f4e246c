"""What the broker has kept of a pipeline that lost its snapshots, on the embedded broker."""

import pytest
from confluent_kafka import Consumer, TopicPartition

from flows.events import Tally
from flows.group import Steps
from flows.items import Encoded
from flows.memory import Memory
from flows.settings import Settings
from flows.wire import dictionary_key, encode_dictionary
from oodl.coding import Version
from oodl.stream import Published
from tests.checks.sink import block
from tests.traffic import Record, send

PARTITIONS = 4


def test_a_partition_goes_on_where_the_group_has_committed_and_else_at_its_beginning(
    settings: Settings,
) -> None:
    commit(settings, 1, 17)

    memory, tally = remembering(settings)

    assert [memory.offset(partition) for partition in range(PARTITIONS)] == [None, 17, None, None]
    assert tally.oddities["warm_start"] == 1


def test_a_first_start_remembers_nothing(settings: Settings) -> None:
    write(settings, "press-0", published("press-0", 300))

    memory, tally = remembering(settings)

    assert [memory.offset(partition) for partition in range(PARTITIONS)] == [None] * PARTITIONS
    assert memory.take("press-0") is None
    assert not tally.oddities


def test_a_group_goes_on_with_its_last_dictionary_once(settings: Settings) -> None:
    commit(settings, 0, 1000)
    first, *_, last = learned = published("press-0", 1000)
    other = published("press-1", 300)
    write(settings, "press-0", learned)
    write(settings, "press-1", other)
    write(settings, "press-2", published("press-2", 10))
    memory, _ = remembering(settings)
    memory.offset(0)

    assert first.version.number == 0
    assert memory.channels("press-0") == last.version.channels
    assert memory.channels("press-2") == ()
    assert identity(memory.take("press-0")) == last.version.id
    assert identity(memory.take("press-1")) == other[-1].version.id
    assert memory.take("press-2") is None  # version 0 has learned nothing
    assert memory.take("press-0") is None


@pytest.mark.parametrize("damage", [b"{", b""])
def test_what_is_no_dictionary_is_an_oddity_and_a_tombstone_is_none(
    settings: Settings, damage: bytes
) -> None:
    commit(settings, 0, 1000)
    learned = published("press-0", 300)
    write(settings, "press-0", learned)
    topic, bootstrap = settings.topics.dictionaries, settings.kafka.bootstrap
    send(bootstrap, topic, [Record(b"press-0/1", damage), Record(b"press-0/2", None)])
    memory, tally = remembering(settings)

    memory.offset(0)

    assert identity(memory.take("press-0")) == learned[-1].version.id
    assert tally.oddities["dictionary_unreadable"] == 1


def test_a_process_that_reads_none_of_the_partitions_remembers_as_well(settings: Settings) -> None:
    # given two processes of a cluster, and what they know of the snapshots
    commit(settings, 0, 1000)
    learned = published("press-0", 300)
    write(settings, "press-0", learned)

    (lost, tally), (kept, _) = remembering(settings, lost=True), remembering(settings)

    # then a group's step has its dictionary though no offset was asked for here, unless it is new
    assert identity(lost.take("press-0")) == learned[-1].version.id
    assert tally.oddities["warm_start"] == 1
    assert kept.take("press-0") is None


def test_what_is_committed_after_the_start_is_nothing_to_go_on_from(settings: Settings) -> None:
    write(settings, "press-0", published("press-0", 300))
    memory, tally = remembering(settings, lost=True)

    commit(settings, 0, 1000)  # by another process, of what it has read since

    assert memory.take("press-0") is None
    assert not tally.oddities


def remembering(settings: Settings, *, lost: bool = False) -> tuple[Memory, Tally]:
    tally = Tally()
    partitions = dict.fromkeys(settings.topics.model_dump().values(), PARTITIONS)
    return Memory(settings, tally, partitions, lost=lost), tally


def commit(settings: Settings, partition: int, offset: int) -> None:
    kafka = settings.kafka
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": kafka.group})
    place = TopicPartition(settings.topics.readings, partition, offset)
    consumer.commit(offsets=[place], asynchronous=False)
    consumer.close()


def published(group: str, rows: int) -> list[Published]:
    [encoded], _ = Steps(Settings(), Tally())(None).on_batch([block(group, range(rows))])
    assert isinstance(encoded, Encoded)
    return encoded.published


def write(settings: Settings, group: str, versions: list[Published]) -> None:
    for each in versions:
        key = dictionary_key(group, each.version.id)
        record = Record(key, encode_dictionary(group, 0, each))
        send(settings.kafka.bootstrap, settings.topics.dictionaries, [record])


def identity(version: Version | None) -> str:
    assert version is not None
    return version.id
