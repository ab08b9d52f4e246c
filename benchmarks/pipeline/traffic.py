"""Readings as the benchmark sends them, and what it looks for in what comes of them."""

import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from oodl.synthetic import Planted, Sensors, random_orthogonal

__all__ = ["Fleet", "MissingError", "coded", "ends", "names", "preload", "sender"]

DENSITY, SNR_DB = 0.1, 20.0
DIGITS = 4
START = 1.76e9
SECONDS = 30.0
Sent = tuple[bytes, bytes, Sequence[tuple[str, bytes | None]]]  # key, value, headers
Array = npt.NDArray[np.float64]


class MissingError(AssertionError):
    """Codes that should be there, and are not."""


class _Place(msgspec.Struct):
    partition: int
    offset: int | list[int]
    row: int | list[int | None] | None = None

    def readings(self) -> Iterator[tuple[int, int, int | None]]:
        """Partition, offset, and which reading of its message, of all that it stands for."""
        offsets = self.offset if isinstance(self.offset, list) else [self.offset]
        rows = self.row if isinstance(self.row, list) else [self.row] * len(offsets)
        for offset, row in zip(offsets, rows, strict=True):
            yield self.partition, offset, row


_PLACE = msgspec.json.Decoder(_Place)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Groups of a few kinds, each with a planted dictionary, and texts of their readings.

    Parameters
    ----------
    groups, channels : int
    rows : int
        Different readings of a kind; after these they come again.
    kinds : int
        Group number g is of kind g % kinds.
    seed : int
    """

    groups: int = 50
    channels: int = 64
    rows: int = 4000
    kinds: int = 10
    seed: int = 0

    def rows_before(self, count: int) -> Iterator[Array]:
        """Yield readings of each kind that are not among its texts."""
        for number, sensors in enumerate(self._sensors()):
            rng = np.random.default_rng([self.seed, number, 1])
            yield sensors.draw(count, rng).astype(np.float64).round(DIGITS)

    def texts(self) -> list[list[bytes]]:
        """Return the values of each kind's readings as JSON."""
        return [[msgspec.json.encode(row) for row in rows.tolist()] for rows in self._rows()]

    def backlog(self, count: int) -> Iterator[Sent]:
        """Yield keys and messages, a reading of each group after the other."""
        keys, texts = names(self.groups), self.texts()
        for number in range(count):
            row, group = divmod(number, self.groups)
            text = texts[group % self.kinds][(row + group) % self.rows]
            yield keys[group], b'{"ts":%d,"values":%s}' % (START + row, text), ()

    def readings(self, count: int) -> Iterator[tuple[str, float, list[float]]]:
        """Yield the same readings as groups, times and values."""
        keys, rows = names(self.groups), list(self._rows())
        for number in range(count):
            row, group = divmod(number, self.groups)
            drawn = rows[group % self.kinds][(row + group) % self.rows]
            yield keys[group].decode(), START + row, drawn.tolist()

    def _rows(self) -> Iterator[Array]:
        """Yield readings of each kind."""
        for number, sensors in enumerate(self._sensors()):
            rng = np.random.default_rng([self.seed, number, 2])
            yield sensors.draw(self.rows, rng).astype(np.float64).round(DIGITS)

    def _sensors(self) -> Iterator[Sensors]:
        for number in range(self.kinds):
            rng = np.random.default_rng([self.seed, number])
            planted = Planted(random_orthogonal(self.channels, rng), DENSITY, SNR_DB)
            mean, gain = rng.normal(0, 16, self.channels), rng.uniform(0.5, 2, self.channels)
            yield Sensors(planted, mean, gain)


def names(groups: int) -> list[bytes]:
    """Return the groups' names.

    >>> names(2)
    [b'press-0', b'press-1']
    """
    return [b"press-%d" % number for number in range(groups)]


def sender(bootstrap: str, linger_ms: int = 50) -> Producer:
    """Return a producer that puts a key where ours would."""
    return Producer({
        "bootstrap.servers": bootstrap,
        "partitioner": "consistent",
        "linger.ms": linger_ms,
        "batch.size": 1_000_000,
    })  # fmt: skip


def preload(bootstrap: str, topic: str, messages: Iterable[Sent]) -> float:
    """Send all, and return the mean bytes of a value."""
    producer, sizes = sender(bootstrap), array("L")
    for key, value, headers in messages:
        sizes.append(len(value))
        while True:
            try:
                producer.produce(topic, value, key, headers=list(headers))
            except BufferError:
                producer.poll(0.1)
            else:
                break
    if left := producer.flush(SECONDS):
        msg = f"{topic}: expected all readings to be sent, {left} were not"
        raise MissingError(msg)
    return sum(sizes) / len(sizes)


def ends(consumer: Consumer, topic: str, partitions: int = 6) -> int:
    """Return how many messages were ever written to a topic."""
    parts = [TopicPartition(topic, number) for number in range(partitions)]
    return sum(consumer.get_watermark_offsets(part, timeout=SECONDS)[1] for part in parts)


def coded(bootstrap: str, topic: str, count: int) -> int:
    """See that there is a code of so many different readings; return how many codes are repeats.

    Raises
    ------
    MissingError
        When there is not.
    """
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": f"{topic}.check",
        "enable.partition.eof": True,
        "enable.auto.commit": False,
    })  # fmt: skip
    parts = consumer.list_topics(topic, SECONDS).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in parts])
    found: set[tuple[int, int, int | None]] = set()
    total, open_ended, deadline = 0, len(parts), time.monotonic() + 2 * SECONDS
    while open_ended and time.monotonic() < deadline:
        for raw in consumer.consume(5000, 0.05):
            error = raw.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                open_ended -= 1
                continue
            place = _PLACE.decode(raw.value() or b"")
            readings = list(place.readings())
            found.update(readings)
            total += len(readings)
    consumer.close()
    if open_ended or len(found) != count:
        msg = f"{topic}: expected a code of each of {count} readings, got {len(found)}"
        raise MissingError(msg)
    return total - count
