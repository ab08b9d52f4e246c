"""Readings on their way into Kafka, keyed by group, each confirmed by the broker."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError
from rich.console import Console

from flows import access
from flows.kafka import DeliveryError, StopFlag, admit, client_options
from flows.settings import Settings
from flows.tools.feed import Feed, Sent, Values
from flows.tools.interrupting import interruptible
from flows.tools.writing import Batches, Writing, Written
from flows.tools.writing import writing as written_in

__all__ = ["Sender", "send_all", "send_to_broker"]

PRODUCER: dict[str, Any] = {
    "acks": "all",
    "linger_ms": 5,
    "allow_auto_create_topics": False,  # a wrong name is an error, not a new topic
    "bootstrap_timeout_ms": 10_000,
    "max_block_ms": 10_000,
    "request_timeout_ms": 10_000,
    "delivery_timeout_ms": 20_000,
}
JSON = written_in("json")
CTRL_C = {"SIGINT": "Ctrl-C"}  # as people call it
FLUSH_SECONDS = 25.0
"""How long the end waits for what is on its way: longer than the client itself."""

TERMINAL_SECONDS, LINE_SECONDS = 1.0, 10.0
"""Between two words of progress: on a terminal, where they replace each other, and elsewhere."""


class Sender:
    """Sends readings to a topic, keyed by group so that a group stays on one partition.

    Guarantee: a reading counts as sent once the broker confirmed it; the first one that it does not
    is raised as `DeliveryError` by the next call. Order: kept within a group.

    Parameters
    ----------
    options : dict
        How kafka-python reaches the broker.
    topic : str
        Where the readings go.
    confirmed : callable, optional
        Called with every `Sent`, from the producer's own thread.
    writing : callable
        What messages a reading is; by default one of JSON.
    """

    def __init__(
        self,
        options: dict[str, Any],
        topic: str,
        confirmed: Callable[[Sent], None] | None = None,
        writing: Writing = JSON,
    ) -> None:
        self.sent = 0
        self._writing = writing
        self._topic, self._confirmed = topic, confirmed
        self._failure: Exception | None = None
        logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it is raised, said once is enough
        try:
            self._producer = KafkaProducer(**(PRODUCER | options))
        except KafkaError as problem:
            raise self._error(problem) from problem

    def send(self, group: str, ts: float, values: Values) -> None:
        """Hand a reading to the producer; it is sent when the broker confirmed it."""
        self._raise_failure()
        for message in self._writing(group, ts, values):
            self._send(group, message)

    def _send(self, group: str, message: Written) -> None:
        value, headers = message.value, list(message.headers)
        try:
            future = self._producer.send(
                self._topic, key=group.encode(), value=value, headers=headers
            )
        except KafkaError as problem:
            raise self._error(problem) from problem
        future.add_callback(self._on_delivery, group, message.readings)
        future.add_errback(self._on_failure)

    def close(self) -> None:
        """Send what waits for more, and wait until all is confirmed; what is not is an error."""
        if isinstance(self._writing, Batches) and not self._failure:
            for group, message in self._writing.rest():
                self._send(group, message)
        try:
            self._producer.close(timeout=0 if self._failure else FLUSH_SECONDS)
        except KafkaError as problem:
            self._failure = self._failure or problem
        self._raise_failure()

    def _on_delivery(self, group: str, readings: list[tuple[float, Values]], place: Any) -> None:
        self.sent += len(readings)
        if self._confirmed is not None:
            for row, (ts, values) in enumerate(readings):
                self._confirmed(Sent(group, ts, values, place.partition, place.offset, row))

    def _on_failure(self, problem: Exception) -> None:
        self._failure = self._failure or problem

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._error(self._failure) from self._failure

    def _error(self, problem: Exception) -> DeliveryError:
        return DeliveryError(
            f"{self._topic}: expected the broker to confirm every reading, got {problem!r} after "
            f"{self.sent} readings; see that the broker is up and that the topic exists"
        )


def send_all(source: Feed, sender: Sender, ticking: Iterable[int]) -> None:
    """Send the source's readings of every tick; a tick's readings have one time."""
    for _ in ticking:
        now = time.time()
        for group, values in source.readings():
            sender.send(group, now, values)


def send_to_broker(
    source: Feed,
    ticking: Callable[[StopFlag], Iterable[int]],
    settings: Settings,
    writing: Writing = JSON,
) -> None:
    """Send readings to the broker of the settings, until the ticks, Ctrl-C or SIGTERM end it.

    These set the flag that the ticks are made with: an exception may be raised anywhere in the
    client, which has places that let none through.

    Raises
    ------
    DeliveryError
        When the broker cannot be reached, or did not confirm a reading.
    """
    console = Console(stderr=True, highlight=False)
    every = TERMINAL_SECONDS if console.is_terminal else LINE_SECONDS
    topic = settings.topics.readings
    admit(settings.kafka, access.to_send(settings))
    sender = Sender(client_options(settings), topic, writing=writing)
    try:
        with interruptible() as stop, console.status(f"sending to {topic}") as status:
            tell = status.update if console.is_terminal else console.print
            send_all(source, sender, _telling(ticking(stop), sender, tell, every))
        if stop:
            console.print(f"stopped by {CTRL_C.get(stop.cause, stop.cause)}")
    finally:
        sender.close()
    console.print(f"{sender.sent:,} readings sent to {topic}")


def _telling(
    ticking: Iterable[int], sender: Sender, tell: Callable[[str], None], every: float
) -> Iterator[int]:
    """Pass ticks on, and tell now and then how many readings the broker has confirmed."""
    told_at, told = time.monotonic(), 0
    for tick in ticking:
        yield tick
        now = time.monotonic()
        if now - told_at >= every:
            rate = (sender.sent - told) / (now - told_at)
            tell(f"{sender.sent:,} readings sent, {rate:,.0f} a second")
            told_at, told = now, sender.sent
