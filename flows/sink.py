"""Codes, dictionaries and dead letters to Kafka, each confirmed.

Guarantee
    A snapshot returns only when the broker has confirmed everything written before it, so nothing
    is acknowledged that could still be lost. At least once (`flows.outbox`): a restart writes again
    what came after the last snapshot, each output with its position. Exactly once
    (`flows.transactions`): a snapshot commits, with how far the outputs reach; a restart leaves out
    what was committed. A dictionary is confirmed before the first code that names it is sent.
Ordering
    Outputs of a group keep their order (one part a group, one partition a key), except what the
    broker refused in company: that is sent again alone, and comes later.
Batching
    By the client, 5 ms at most; one producer a process serves all parts, in transactions one a
    part besides.
Counted
    Codes, dictionaries and dead letters when the broker has confirmed them (in transactions: when
    they are committed), the time from a
    reading's message to its confirmed code, and how long a snapshot held the flow.
Broker away
    Outputs wait, and the flow with them, for ``kafka.delivery_seconds``; then the next write or
    snapshot raises the failure, the process ends, and a restart goes on from the last snapshot.
    What the broker refuses for itself is a dead letter and stops nothing, but for a dictionary:
    without it the codes that follow could not be decoded.
Offset expired
    Does not concern the sink: it reads nothing.
Another process of the same name
    In transactions: takes over, and this one ends at its next commit.
SIGTERM
    The last snapshot still waits for confirmation, for 5 s; then it raises.
"""

from zlib import crc32

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.health import Beats, keeping_failures
from flows.items import Encoded
from flows.outbox import Delivery, PartOutbox
from flows.wire import Rejected

__all__ = ["KafkaSink", "SinkPart"]


class KafkaSink(FixedPartitionedSink[Encoded | Rejected, None]):
    """All outputs of the flow; a part serves the groups whose name falls to it.

    Parameters
    ----------
    delivery : Delivery
    parts : int
        Fixed when the recovery folder is made: the engine cannot change it afterwards.
    beats : Beats
        Where it is noted that the flow waits here.
    """

    def __init__(self, delivery: Delivery, parts: int, beats: Beats) -> None:
        self._delivery, self._parts, self._beats = delivery, parts, beats

    def list_parts(self) -> list[str]:
        """Name the parts, zero-padded so that they sort as numbers do."""
        return [f"{number:05d}" for number in range(self._parts)]

    def part_fn(self, item_key: str) -> int:
        """Give a group the same part in every process and run."""
        return crc32(item_key.encode())

    def build_part(
        self,
        step_id: str,  # noqa: ARG002  (the engine passes these by name)
        for_part: str,
        resume_state: None,  # noqa: ARG002
    ) -> "SinkPart":
        """Open a part; the snapshot holds nothing of it."""
        return SinkPart(self._delivery.open(for_part), self._beats)


class SinkPart(StatefulSinkPartition[Encoded | Rejected, None]):
    """One part of the sink."""

    def __init__(self, outbox: PartOutbox, beats: Beats) -> None:
        self._outbox, self._beats = outbox, beats

    @keeping_failures
    def write_batch(self, values: list[Encoded | Rejected]) -> None:
        """Send a batch: dictionaries first, and the rest once those are confirmed."""
        outbox = self._outbox
        encoded = [value for value in values if isinstance(value, Encoded)]
        with self._beats.in_sink():
            outbox.publish([value for value in encoded if value.published])
            outbox.send([output for value in encoded for output in value.codes])
            outbox.bury([value for value in values if isinstance(value, Rejected)])

    @keeping_failures
    def snapshot(self) -> None:
        """Return when everything written is confirmed."""
        with self._beats.in_sink(snapshot=True):
            self._outbox.snapshot()
