"""What goes into the topics in tests, and what comes out of them."""

import json
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from flows.wire import (
    CodeMessage,
    DictionaryMessage,
    decode_codes,
    decode_dictionary,
    origins,
    to_version,
)
from oodl.coding import Version

__all__ = [
    "CUT",
    "Position",
    "Record",
    "codes_by_position",
    "machine",
    "position_of_letter",
    "read",
    "rebuilt",
    "same",
    "send",
    "versions",
]

SECONDS = 30.0
SECONDS_TO_SEND = 120.0
CUT = 1e-3  # share of repeats that may differ, by a coefficient at the cut or at a rounding edge
Position = tuple[int, int]  # partition and offset


class Record(NamedTuple):
    """A message of a topic; partition and offset are where it is, or -1 before it was sent."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int = -1
    offset: int = -1

    @property
    def position(self) -> Position:
        return self.partition, self.offset


def send(bootstrap: str, topic: str, records: Iterable[Record]) -> list[Record]:
    """Send records to their partition, or where their key leads; return them as confirmed."""
    sent: list[Record] = []

    def confirm(record: Record, error: KafkaError | None, raw: Message) -> None:
        assert error is None, error
        partition, offset = raw.partition(), raw.offset()
        assert partition is not None
        assert offset is not None
        sent.append(record._replace(partition=partition, offset=offset))

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "consistent",  # by key, as the pipeline does
            "message.max.bytes": 8 << 20,
        }
    )
    for record in records:
        producer.produce(
            topic,
            key=record.key,
            value=record.value,
            headers=[*record.headers],
            partition=record.partition,
            on_delivery=partial(confirm, record),
        )
        producer.poll(0)
    assert producer.flush(SECONDS_TO_SEND) == 0
    return sent


def read(bootstrap: str, topic: str, isolation: str = "read_committed") -> list[Record]:
    """Read all that a topic holds now, partition by partition in order."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "tests",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
            "fetch.wait.max.ms": 50,
        }
    )
    known = consumer.list_topics(topic, SECONDS).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in known])
    found: list[Record] = []
    ended: set[int] = set()
    deadline = time.monotonic() + SECONDS
    while len(ended) < len(known) and time.monotonic() < deadline:
        for raw in consumer.consume(1000, 0.05):
            error, partition = raw.error(), raw.partition()
            assert partition is not None
            if error is None:
                found.append(record(raw, partition))
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(partition)
            else:
                raise AssertionError(error)
    consumer.close()
    assert ended == set(known), f"{topic}: no end of partitions {set(known) - ended}"
    return sorted(found, key=lambda each: each.position)


def record(raw: Message, partition: int) -> Record:
    """Take what tests look at out of the client's message."""
    headers = cast(list[tuple[str, bytes]], raw.headers() or [])
    return Record(raw.key(), raw.value(), tuple(headers), partition, raw.offset() or 0)


def machine(
    groups: Sequence[str], rows: int, *, channels: int = 6, first: int = 0, seed: int = 0
) -> list[Record]:
    """Readings of machines whose channels move together, row by row over the groups.

    The seed decides a group's way to move; rows from `first` on are those that a longer call gives.
    """
    records: list[Record] = []
    mixing = np.random.default_rng(seed).standard_normal((len(groups), channels, channels))
    for row in range(first, first + rows):
        rng = np.random.default_rng((seed, row))
        for mix, group in zip(mixing, groups, strict=True):
            values = mix @ (rng.standard_normal(channels) * (rng.random(channels) < 0.4))
            body = {"ts": 1.7e9 + row, "values": (values + 20).round(6).tolist()}
            records.append(Record(group.encode(), json.dumps(body).encode()))
    return records


def codes_by_position(records: Iterable[Record]) -> dict[Position, list[CodeMessage]]:
    """Sort the codes of a topic by the reading that they stand for; repeats stand together."""
    found: dict[Position, list[CodeMessage]] = {}
    for record in records:
        for code in decode_codes(record.value or b""):
            for position in origins(code):
                found.setdefault(position, []).append(code)
    return found


def versions(records: Iterable[Record]) -> dict[tuple[str, str], Version]:
    """Return the dictionaries of a topic by group and id, each checked against its name."""
    messages: list[DictionaryMessage] = [decode_dictionary(each.value or b"") for each in records]
    return {(each.group, each.id): to_version(each) for each in messages}


def rebuilt(code: CodeMessage, known: dict[tuple[str, str], Version]) -> npt.NDArray[np.float64]:
    """Rebuild a reading, or those of a frame, with the version that its code names."""
    version = known[code.group, code.id]
    values = version.decode(code.atoms, code.values, code.missing)
    return values[: len(code.times) * len(version.channels)]


def same(one: CodeMessage, other: CodeMessage) -> bool:
    """Tell whether two codes of a reading are the same one, but for rounding."""
    return (one.ts, one.version, one.atoms) == (other.ts, other.version, other.atoms) and bool(
        np.allclose(one.values, other.values, atol=1e-5)
    )


def position_of_letter(letter: Record) -> Position:
    """Return where the message of a dead letter came from."""
    headers = dict(letter.headers)
    return int(headers["oodl-partition"]), int(headers["oodl-offset"])
