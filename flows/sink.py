"""Codes, dictionaries and dead letters to Kafka, each confirmed.

Guarantee
    A snapshot returns only when the broker has confirmed everything written before it, so nothing
    is acknowledged that could still be lost. At least once: a restart writes again what came after
    the last snapshot, each output with its position. A dictionary is confirmed before the first
    code that names it is sent.
Ordering
    Outputs of a group keep their order (one part a group, one partition a key), except what the
    broker refused in company: that is sent again alone, and comes later.
Batching
    By the client, 5 ms at most; one producer a process serves all parts.
Counted
    Codes, dictionaries and dead letters when the broker has confirmed them, the time from a
    reading's message to its confirmed code, and how long a snapshot held the flow.
Broker away
    Outputs wait, and the flow with them, for ``kafka.delivery_seconds``; then the next write or
    snapshot raises the failure, the process ends, and a restart goes on from the last snapshot.
    What the broker refuses for itself is a dead letter and stops nothing, but for a dictionary:
    without it the codes that follow could not be decoded.
Offset expired
    Does not concern the sink: it reads nothing.
SIGTERM
    The last snapshot still waits for confirmation, for 5 s; then it raises.
"""

from collections import defaultdict
from time import monotonic, time
from zlib import crc32

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows import events
from flows.events import Tally
from flows.items import Encoded
from flows.kafka import ConfirmedProducer, DeliveryError, Output, Refused, StopFlag
from flows.settings import Settings
from flows.wire import Rejected, dead_letter, dictionary_key, encode_dictionary, refused

__all__ = ["KafkaSink", "Outbox", "SinkPart"]


class KafkaSink(FixedPartitionedSink[Encoded | Rejected, None]):
    """All outputs of the flow; a part serves the groups whose name falls to it.

    Parameters
    ----------
    outbox : Outbox
    parts : int
        Fixed when the recovery folder is made: the engine cannot change it afterwards.
    """

    def __init__(self, outbox: "Outbox", parts: int) -> None:
        self._outbox, self._parts = outbox, parts

    def list_parts(self) -> list[str]:
        """Name the parts, zero-padded so that they sort as numbers do."""
        return [f"{number:05d}" for number in range(self._parts)]

    def part_fn(self, item_key: str) -> int:
        """Give a group the same part in every process and run."""
        return crc32(item_key.encode())

    def build_part(
        self,
        step_id: str,  # noqa: ARG002  (the engine passes these by name)
        for_part: str,  # noqa: ARG002
        resume_state: None,  # noqa: ARG002
    ) -> "SinkPart":
        """Open a part; it has no state of its own."""
        return SinkPart(self._outbox)


class SinkPart(StatefulSinkPartition[Encoded | Rejected, None]):
    """One part of the sink."""

    def __init__(self, outbox: "Outbox") -> None:
        self._outbox = outbox

    def write_batch(self, values: list[Encoded | Rejected]) -> None:
        """Send a batch: dictionaries first, and the rest once those are confirmed."""
        outbox = self._outbox
        encoded = [value for value in values if isinstance(value, Encoded)]
        outbox.publish([value for value in encoded if value.published])
        outbox.send([output for value in encoded for output in value.codes])
        outbox.bury([value for value in values if isinstance(value, Rejected)])

    def snapshot(self) -> None:
        """Return when everything written is confirmed."""
        self._outbox.snapshot()


class Outbox:
    """What the parts of one process share: a producer, and the count of what it has confirmed.

    Parameters
    ----------
    settings : Settings
    tally : Tally
    stop : StopFlag
        Once set, outputs have 5 s more.
    """

    def __init__(self, settings: Settings, tally: Tally, stop: StopFlag) -> None:
        self._topics, self._tally = settings.topics, tally
        self._most_bytes = settings.kafka.max_message_bytes
        self._confirmed: dict[str, int] = defaultdict(int)
        self._seconds: list[float] = []
        self._producer = ConfirmedProducer(
            settings.kafka,
            stop=stop,
            confirmed=self._count,
            max_message_bytes=self._most_bytes,
            delivery_seconds=settings.kafka.delivery_seconds,
        )

    def publish(self, batch: list[Encoded]) -> None:
        """Send dictionaries, and return when they are confirmed.

        Raises
        ------
        DeliveryError
            When an output failed.
        """
        for item in batch:
            for published in item.published:
                value = encode_dictionary(item.group, item.partition, published)
                key = dictionary_key(item.group, published.version.id)
                self._producer.write(Output(self._topics.dictionaries, key, value))
        if batch:
            self.settle()
        for item in batch:
            for published in item.published:
                events.version_published(
                    self._tally,
                    group=item.group,
                    version=published.version,
                    offset=published.offset,
                )

    def send(self, outputs: list[Output]) -> None:
        """Send codes.

        Raises
        ------
        DeliveryError
            When an earlier output failed.
        """
        for output in outputs:
            self._producer.write(output)
        self.hear()

    def hear(self) -> None:
        """Count what the broker has answered since; to be called now and then, never waits.

        Raises
        ------
        DeliveryError
            When an output failed.
        """
        self._producer.serve()
        self._tell()

    def bury(self, letters: list[Rejected]) -> None:
        """Send dead letters.

        Raises
        ------
        DeliveryError
            When an earlier output failed.
        """
        for rejected in letters:
            letter = dead_letter(rejected, self._most_bytes)
            self._producer.write(Output(self._topics.dead_letters, *letter))

    def settle(self) -> None:
        """Return when everything is confirmed; what the broker refuses becomes a dead letter.

        Raises
        ------
        DeliveryError
            When an output failed, or the broker refuses a dead letter or a dictionary.
        """
        while turned_down := self._producer.flush():
            self.bury([self._reject(one) for one in turned_down])
        self._tell()

    def snapshot(self) -> None:
        """Settle, and say how long that held the flow; of all parts the first one waits for all.

        Raises
        ------
        DeliveryError
            As `settle` does.
        """
        began, waiting = monotonic(), self._producer.unconfirmed
        self.settle()
        if waiting:
            events.snapshot_taken(self._tally, seconds=monotonic() - began)

    def _reject(self, one: Refused) -> Rejected:
        """Make a refused code a dead letter, in the place of the reading that it came from.

        A dictionary cannot be one: the codes that name it could never be decoded.
        """
        output = one.output
        kinds = {
            self._topics.dead_letters: "dead_letters",
            self._topics.dictionaries: "dictionaries",
        }
        if kind := kinds.get(output.topic):
            msg = (
                f"topics.{kind}: the broker refuses a message ({one.detail}); raise "
                "kafka.max_message_bytes, and the topic's max.message.bytes to it"
            )
            raise DeliveryError(msg)
        letter = refused(self._topics.readings, output.key, output.value or b"", one.detail)
        message = letter.message
        events.reading_rejected(
            self._tally,
            reason=letter.reason,
            position=f"{message.topic}/{message.partition}/{message.offset}",
            detail=f"{output.topic}: {letter.detail}",
        )
        return letter

    def _count(self, output: Output) -> None:
        self._confirmed[output.topic] += output.readings
        if output.stamp >= 0:
            self._seconds.append(time() - output.stamp)

    def _tell(self) -> None:
        if not self._confirmed:
            return
        confirmed, self._confirmed = self._confirmed, defaultdict(int)
        seconds, self._seconds = self._seconds, []
        if codes := confirmed[self._topics.codes]:
            events.codes_sent(self._tally, codes)
        if letters := confirmed[self._topics.dead_letters]:
            events.dead_letters_sent(self._tally, letters)
        if seconds:
            events.codes_delivered(self._tally, seconds)
