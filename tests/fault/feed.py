"""Readings on their way into a topic, whatever happens to its broker meanwhile.

By another client than the pipeline's: what holds one of them up is then no fault of the other's.
"""

from collections.abc import Sequence
from zlib import crc32

from kafka import KafkaProducer

from tests.traffic import Record

__all__ = ["Feed"]

OUTAGE_SECONDS = 120.0  # a broker may be away while readings are sent
ANSWER_MS = 5000  # after which a request is sent again; the broker knows those that it has


class Feed:
    """Sends to one topic, each record once.

    Parameters
    ----------
    bootstrap, topic : str
    partitions : int
        How many it has; a key leads to the same one as in the pipeline.
    """

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._topic, self._partitions = topic, partitions
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            enable_idempotence=True,
            max_request_size=8 << 20,
            request_timeout_ms=ANSWER_MS,
            delivery_timeout_ms=int(1000 * OUTAGE_SECONDS),
            reconnect_backoff_max_ms=500,
            metadata_max_age_ms=1000,
        )

    def send(self, records: Sequence[Record]) -> list[Record]:
        """Send records, and return them as confirmed."""
        answers = [
            self._producer.send(
                self._topic,
                key=record.key,
                value=record.value,
                headers=[*record.headers],
                partition=self._partition(record),
            )
            for record in records
        ]
        places = [answer.get(OUTAGE_SECONDS) for answer in answers]
        return [
            record._replace(partition=place.partition, offset=place.offset)
            for record, place in zip(records, places, strict=True)
        ]

    def close(self) -> None:
        """Let go of the broker, and of what is not confirmed after a while."""
        self._producer.close(timeout=5)

    def _partition(self, record: Record) -> int:
        if record.partition >= 0:
            return record.partition
        return crc32(record.key or b"") % self._partitions
