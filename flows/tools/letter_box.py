"""The topic of dead letters, read from its beginning or from a time to where it ends now."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self, cast

from kafka import TopicPartition
from kafka.errors import KafkaError

from flows.kafka import BrokerError
from flows.tools.letters import Letter, Note, Place, Record, parse
from flows.tools.progress import Tell
from flows.tools.topic import POLL_MS, opened
from oodl.errors import ValueFault

__all__ = ["LetterBox"]

PATIENCE = 30.0  # seconds without a record after which the broker is given up
LARGEST_FETCH = 100_000_000  # bytes


class LetterBox:
    """Reads dead letters, and whole messages from where they came.

    Guarantee: each record that was there at the start comes once. Order: that of each partition.
    Records of transactions that were given up do not come. Broker away: `BrokerError` after 30 s.

    Parameters
    ----------
    options : dict
        How kafka-python reaches the broker.
    topic : str

    Raises
    ------
    BrokerError
        If the broker does not answer.
    MissingTopicError
        If the topic is not there.
    """

    def __init__(self, options: dict[str, Any], topic: str) -> None:
        self._topic, self._place = topic, options["bootstrap_servers"]
        try:
            self._consumer, self._parts = opened(
                topic,
                options,
                max_partition_fetch_bytes=LARGEST_FETCH,
                fetch_max_bytes=LARGEST_FETCH,
            )
        except KafkaError as problem:
            raise self._away(problem) from problem

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def scan(self, since: float | None = None, tell: Tell | None = None) -> Iterator[Letter | Note]:
        """Yield letters and notes written since a time (seconds; None: all); leave out the rest.

        Raises
        ------
        BrokerError
            If the broker goes away meanwhile.
        """
        consumer = self._consumer
        try:
            consumer.assign(self._parts)
            ends = consumer.end_offsets(self._parts)
            starts = self._starts(since, ends)
            for part, offset in starts.items():
                consumer.seek(part, offset)
            total = sum(max(0, ends[part] - starts[part]) for part in self._parts)
            for done, record in enumerate(self._until(ends), start=1):
                if tell is not None:
                    tell(done, total)
                found = parse(record)
                if found is not None:
                    yield found
        except KafkaError as problem:
            raise self._away(problem) from problem

    def letter(self, partition: int, offset: int) -> Letter:
        """Return one letter.

        Raises
        ------
        ValueFault
            If there is none at that position.
        """
        found = self.fetch(Place(self._topic, partition, offset))
        letter = None if found is None else parse(found)
        if not isinstance(letter, Letter):
            place = Place(self._topic, partition, offset)
            msg = f"{place}: expected a dead letter, got none; the list shows some, with positions"
            raise ValueFault(msg)
        return letter

    def fetch(self, place: Place) -> Record | None:
        """Return the record at a place; None: it is not there, or cannot be read.

        Raises
        ------
        BrokerError
            If the broker does not answer.
        """
        part, consumer = TopicPartition(place.topic, place.partition), self._consumer
        try:
            if place.partition not in (consumer.partitions_for_topic(place.topic) or ()):
                return None
            consumer.assign([part])
            if not consumer.beginning_offsets([part])[part] <= place.offset:
                return None
            ends = {part: min(place.offset + 1, consumer.end_offsets([part])[part])}
            consumer.seek(part, place.offset)
            with suppress(UnicodeError):  # the name of a header that is no UTF-8
                for record in self._until(ends):
                    if record.offset == place.offset:
                        return record
        except KafkaError as problem:
            raise self._away(problem) from problem
        return None

    def _starts(self, since: float | None, ends: dict[Any, int]) -> dict[Any, int]:
        starts: dict[Any, int] = self._consumer.beginning_offsets(self._parts)
        if since is None:
            return starts
        times = self._consumer.offsets_for_times(
            dict.fromkeys(self._parts, max(0, int(since * 1000)))
        )
        return {
            part: max(starts[part], ends[part] if times[part] is None else times[part].offset)
            for part in self._parts
        }

    def _until(self, ends: dict[Any, int]) -> Iterator[Record]:
        """Yield the records of the partitions assigned, up to those offsets."""
        consumer, heard = self._consumer, time.monotonic()
        while any(consumer.position(part) < end for part, end in ends.items()):
            for part, records in consumer.poll(timeout_ms=POLL_MS).items():
                heard = time.monotonic()
                for record in records:
                    if record.offset < ends[part]:
                        yield cast(Record, record)
            if time.monotonic() - heard > PATIENCE:
                told = f"nothing for {PATIENCE:.0f} s"
                raise KafkaError(told)

    def _away(self, problem: KafkaError) -> BrokerError:
        return BrokerError(
            f"kafka.bootstrap: expected a broker at {','.join(self._place)} to answer, got "
            f"{problem!r}; start it, or correct the address"
        )
