"""Outputs at least once: what the parts of the sink share, a producer and the count; no engine."""

from collections import defaultdict
from time import monotonic, time
from typing import Protocol, Self

from flows import events
from flows.events import Tally
from flows.health import HANGING
from flows.items import Encoded
from flows.kafka import ConfirmedProducer, DeliveryError, Limits, Output, Refused, Together
from flows.settings import Settings
from flows.wire import Rejected, dead_letter, dictionary_key, encode_dictionary, refused

__all__ = ["Delivery", "Outbox", "PartOutbox", "Receipts", "letter_of", "returned"]


class PartOutbox(Protocol):
    """Where a part of the sink brings what is to be written."""

    def publish(self, batch: list[Encoded]) -> None:
        """Send dictionaries, and return when they are confirmed."""

    def send(self, outputs: list[Output]) -> None:
        """Send codes."""

    def bury(self, letters: list[Rejected]) -> None:
        """Send dead letters."""

    def snapshot(self) -> None:
        """Return when everything written is confirmed."""


class Delivery(Protocol):
    """A way of delivery: what a process has of it."""

    def open(self, part: str) -> PartOutbox:
        """Return the outbox of a part."""

    def hear(self) -> None:
        """Count what the broker has answered since; to be called now and then, never waits."""

    def close(self) -> None:
        """Let go of what is not confirmed."""


class Receipts:
    """Counts outputs that the broker has confirmed, until they are told.

    Parameters
    ----------
    settings : Settings
    tally : Tally
    """

    def __init__(self, settings: Settings, tally: Tally) -> None:
        self._topics, self._tally = settings.topics, tally
        self._confirmed: dict[str, int] = defaultdict(int)
        self._seconds: list[float] = []

    def count(self, output: Output) -> None:
        """Take note of a confirmed output."""
        self._confirmed[output.topic] += output.readings
        if output.stamp >= 0:
            self._seconds.append(time() - output.stamp)

    def tell(self) -> None:
        """Tell what was confirmed since."""
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


class Outbox:
    """One producer for all parts of the process.

    Parameters
    ----------
    settings : Settings
    tally : Tally
    together : Together
        The producers of the process; its stop flag gives outputs 5 s more.
    """

    def __init__(self, settings: Settings, tally: Tally, together: Together) -> None:
        self._settings, self._topics, self._tally = settings, settings.topics, tally
        self._together = together
        self._receipts = Receipts(settings, tally)
        self._producer = ConfirmedProducer(
            settings.kafka,
            together=together,
            confirmed=self._receipts.count,
            limits=Limits(settings.kafka.max_message_bytes, settings.kafka.delivery_seconds),
        )
        tally.beats.links.append(self._producer.health)
        tally.beats.patience = settings.kafka.delivery_seconds + HANGING

    def open(self, part: str) -> Self:  # noqa: ARG002  (all parts share it)
        """Return the outbox of a part."""
        return self

    def close(self) -> None:
        """Nothing is held that could be let go of."""

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
        self._together.serve()
        self._receipts.tell()

    def bury(self, letters: list[Rejected]) -> None:
        """Send dead letters.

        Raises
        ------
        DeliveryError
            When an earlier output failed.
        """
        for rejected in letters:
            self._producer.write(letter_of(self._settings, rejected))

    def settle(self) -> None:
        """Return when everything is confirmed; what the broker refuses becomes a dead letter.

        Raises
        ------
        DeliveryError
            When an output failed, or the broker refuses a dead letter or a dictionary.
        """
        while turned_down := self._producer.flush():
            self.bury([returned(self._settings, self._tally, one) for one in turned_down])
        self._receipts.tell()

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


def letter_of(settings: Settings, rejected: Rejected) -> Output:
    """Write a rejected message as a dead letter."""
    key, value, headers = dead_letter(rejected, settings.kafka.max_message_bytes)
    partition, offset = rejected.at or (rejected.message.partition, rejected.message.offset)
    return Output(
        settings.topics.dead_letters,
        key,
        value,
        headers,
        partition=partition,
        first=offset,
        last=offset,
    )


def returned(settings: Settings, tally: Tally, refusal: Refused) -> Rejected:
    """Make a refused code a dead letter, in the place of the reading that it came from.

    Raises
    ------
    DeliveryError
        For a dead letter, and for a dictionary: the codes that name it could never be decoded.
    """
    output, topics = refusal.output, settings.topics
    kinds = {topics.dead_letters: "dead_letters", topics.dictionaries: "dictionaries"}
    if kind := kinds.get(output.topic):
        msg = (
            f"topics.{kind}: the broker refuses a message ({refusal.detail}); raise "
            "kafka.max_message_bytes, and the topic's max.message.bytes to it"
        )
        raise DeliveryError(msg)
    rejected = refused(topics.source, output.key, output.value or b"", refusal.detail)
    message = rejected.message
    events.reading_rejected(
        tally,
        reason=rejected.reason,
        position=f"{message.topic}/{message.partition}/{message.offset}",
        detail=f"{output.topic}: {rejected.detail}",
    )
    return rejected
