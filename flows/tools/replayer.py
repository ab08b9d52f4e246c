"""Recorded messages on their way into a topic, each marked, and counted once it is confirmed."""

from threading import Lock
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from flows.kafka import DeliveryError
from flows.tools.recorded import REPLAYED, Recorded
from flows.tools.sender import PRODUCER

__all__ = ["Replayer"]

LARGEST = 100_000_000  # bytes; the broker has a limit of its own
PATIENCE = 30.0  # seconds for what is on its way at the end; longer than the client's own


class Replayer:
    """Sends messages again, with where they were in a header.

    Guarantee
        A message counts once the broker has confirmed it; the first one that it does not confirm is
        raised as `DeliveryError` by the next call.
    Order
        That in which they are given, within a partition.
    Limits
        A header without a value has an empty one, and a message with neither key nor value cannot
        be sent: kafka-python has no such.

    Parameters
    ----------
    options : dict
        How kafka-python reaches the broker.
    topic : str
        Where they go.

    Attributes
    ----------
    sent : int
        Messages that the broker has confirmed.
    left_out : int
        Messages that are none: without key and value.
    """

    def __init__(self, options: dict[str, Any], topic: str) -> None:
        self.sent = self.left_out = 0
        self._topic, self._counting = topic, Lock()
        self._failure: Exception | None = None
        try:
            self._producer = KafkaProducer(
                **(PRODUCER | options), enable_idempotence=True, max_request_size=LARGEST
            )
        except KafkaError as problem:
            raise self._failed(problem) from problem

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for what is on its way; also after an interruption, not after a failure.

        Raises
        ------
        DeliveryError
            If the broker does not confirm it.
        """
        try:
            self._producer.close(timeout=0 if self._failure else PATIENCE)
        except KafkaError as problem:
            self._failure = self._failure or problem
        if kind is None:
            self._raise_failure()

    def send(self, message: Recorded) -> None:
        """Hand a message to the client.

        Raises
        ------
        DeliveryError
            If an earlier one was not confirmed, or this one is not taken.
        """
        self._raise_failure()
        if message.key is None and message.value is None:
            self.left_out += 1
            return
        try:
            future = self._producer.send(
                self._topic,
                message.value,
                message.key,
                headers=[*_own(message), (REPLAYED, message.place.encode())],
                partition=message.partition,
                timestamp_ms=None if message.stamp is None else round(1000 * message.stamp),
            )
        except KafkaError as problem:
            raise self._failed(problem) from problem
        future.add_callback(self._confirmed)
        future.add_errback(self._unconfirmed)

    def _confirmed(self, _place: object) -> None:
        with self._counting:
            self.sent += 1

    def _unconfirmed(self, problem: Exception) -> None:
        self._failure = self._failure or problem

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failed(self._failure) from self._failure

    def _failed(self, problem: Exception) -> DeliveryError:
        return DeliveryError(
            f"{self._topic}: expected the broker to confirm, got {problem!r} after {self.sent:,} "
            "messages; see that it is up and takes messages of that size and time"
        )


def _own(message: Recorded) -> list[tuple[str, bytes]]:
    """Return the headers that a message had before it was ever replayed."""
    return [(name, value) for name, value in message.headers if name != REPLAYED]
