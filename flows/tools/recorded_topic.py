"""The messages of a topic, as they are, in the order of their time stamps."""

import heapq
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Self, cast

from kafka.errors import KafkaError

from flows.kafka import BrokerError
from flows.tools.bounds import Bound
from flows.tools.letters import Record
from flows.tools.recorded import Recorded
from flows.tools.topic import POLL_MS, opened
from oodl.errors import ValueFault

__all__ = ["TopicRecording"]

AHEAD = 2000  # messages of a partition that wait until others have come as far in time
PATIENCE = 30.0  # seconds without a message after which the broker is given up
FETCH: dict[str, Any] = {
    "max_partition_fetch_bytes": 100_000_000,
    "fetch_max_bytes": 100_000_000,
    "enable_incremental_fetch_sessions": False,  # partitions pause and resume all the time
}


class TopicRecording:
    """All messages of a topic that are there now; of transactions those that are committed.

    Order: that of each partition, and between partitions that of the messages' own time stamps.
    Broker away: `BrokerError` after 30 s.

    Parameters
    ----------
    options : dict
        How kafka-python reaches the broker.
    topic : str
    since, until : Bound or None
        An offset of each partition, or a time: the first message of each partition that was stamped
        then or later, as Kafka finds it. What is at `until` is not meant any more.
    partitions : int
        How many the topic has that they are to go to: as many, then each keeps its own.

    Raises
    ------
    BrokerError
        If the broker does not answer.
    MissingTopicError
        If the topic is not there.
    ValueFault
        While it is read, at a message that the client cannot read.
    """

    def __init__(
        self,
        options: dict[str, Any],
        topic: str,
        since: Bound | None = None,
        until: Bound | None = None,
        *,
        partitions: int,
    ) -> None:
        self._topic, self._place = topic, ",".join(options["bootstrap_servers"])
        self._partitions = partitions
        try:
            self._consumer, self._parts = opened(topic, options, **FETCH)
            first = self._consumer.beginning_offsets(self._parts)
            last = self._consumer.end_offsets(self._parts)
            starts = first if since is None else self._offsets(since, last)
            ends = last if until is None else self._offsets(until, last)
            self._starts = {part: max(starts[part], first[part]) for part in self._parts}
            self._ends = {part: min(ends[part], last[part]) for part in self._parts}
            for part, offset in self._starts.items():
                self._consumer.seek(part, offset)
        except KafkaError as problem:
            raise self._away(problem) from problem
        self._waiting: dict[Any, deque[Record]] = {part: deque() for part in self._parts}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def __len__(self) -> int:
        return sum(max(0, self._ends[part] - self._starts[part]) for part in self._parts)

    def __iter__(self) -> Iterator[Recorded]:
        merged = heapq.merge(*map(self._of, self._parts), key=lambda record: record.timestamp)
        return map(self._recorded, merged)

    def _of(self, part: Any) -> Iterator[Record]:
        """Yield the records of a partition, those of others kept that come meanwhile."""
        waiting, end = self._waiting[part], self._ends[part]
        heard = time.monotonic()
        while waiting or self._position(part) < end:
            if waiting:
                yield waiting.popleft()
                heard = time.monotonic()
            elif time.monotonic() - heard > PATIENCE:
                told = f"nothing for {PATIENCE:.0f} s"
                raise self._away(KafkaError(told))
            else:
                self._poll()

    def _poll(self) -> None:
        """Take what has come; of whom enough waits, nothing more is asked for."""
        full = [part for part, waiting in self._waiting.items() if len(waiting) >= AHEAD]
        self._consumer.pause(*full)
        try:
            for part, records in self._consumer.poll(timeout_ms=POLL_MS).items():
                end = self._ends[part]
                self._waiting[part] += (cast(Record, one) for one in records if one.offset < end)
        except KafkaError as problem:
            raise self._away(problem) from problem
        except UnicodeError as problem:  # of which the client gives no record
            msg = (
                f"{self._topic}: expected names of headers in UTF-8, got {problem}; replay what "
                "lies before it with --to, and what lies behind it with --from"
            )
            raise ValueFault(msg) from problem
        finally:
            self._consumer.resume(*full)

    def _position(self, part: Any) -> int:
        return cast(int, self._consumer.position(part))

    def _recorded(self, record: Record) -> Recorded:
        return Recorded(
            record.timestamp / 1000,
            f"{self._topic}/{record.partition}/{record.offset}",
            record.key,
            record.value,
            [(name, value or b"") for name, value in record.headers],
            self._target(record),
            record.timestamp / 1000 if record.timestamp >= 0 else None,
        )

    def _target(self, record: Record) -> int | None:
        """Keep a group where it is; without a key nothing else would."""
        same = self._partitions == len(self._parts)
        return record.partition % self._partitions if same or record.key is None else None

    def _offsets(self, end: Bound, last: dict[Any, int]) -> dict[Any, int]:
        if end.time is None:
            return dict.fromkeys(self._parts, end.offset or 0)
        asked = dict.fromkeys(self._parts, max(0, round(end.time * 1000)))
        found = self._consumer.offsets_for_times(asked)
        return {
            part: last[part] if found[part] is None else found[part].offset for part in self._parts
        }

    def _away(self, problem: KafkaError) -> BrokerError:
        return BrokerError(
            f"kafka.bootstrap: expected a broker at {self._place} to answer, got {problem!r}; "
            "start it, or correct the address"
        )
