"""A producer that knows what the broker has confirmed.

An output that the broker refuses for itself is a value; one that was not confirmed is raised.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Raw

from flows.kafka.connection import Connection, Health, librdkafka, options
from flows.kafka.stopping import StopFlag
from oodl.errors import OodlError

__all__ = ["ConfirmedProducer", "DeliveryError", "Output", "Refused"]

STOP_GRACE = 5.0  # seconds that outputs may still take once the process was asked to end
REFUSALS = frozenset({
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError._INVALID_DIFFERENT_RECORD,
})  # fmt: skip


class DeliveryError(OodlError, ConnectionError):
    """An output was not confirmed: the process has to end, a restart goes on from the snapshot."""


class Output(msgspec.Struct, frozen=True):
    """A message to write.

    Parameters
    ----------
    topic : str
    key, value : bytes or None
    headers : list of (str, bytes or None)
    readings : int
        How many readings it stands for.
    stamp : float
        The time of the (first) message it comes from in seconds, negative where there is none.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]] = []
    readings: int = 1
    stamp: float = -1.0


@dataclass(frozen=True, slots=True)
class Refused:
    """An output that the broker refuses for itself: too large, or no valid record."""

    output: Output
    detail: str


class ConfirmedProducer:
    """A producer that knows what the broker has confirmed.

    Parameters
    ----------
    connection : Connection
    stop : StopFlag
        Once set, outputs have `STOP_GRACE` seconds more.
    confirmed : callable
        Called with each `Output` that the broker has confirmed.
    max_message_bytes : int
        The largest message; also the largest batch, since brokers hold their limit against batches.
    delivery_seconds : float
        How long an output may take, all retries included.

    Notes
    -----
    The order of a key's outputs is kept, but for what the broker refused once: those are sent again
    one at a time by `flush`, so that only what it refuses on its own comes back as `Refused`.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        stop: StopFlag,
        confirmed: Callable[[Output], None],
        max_message_bytes: int = 1_048_576,
        delivery_seconds: float = 120.0,
    ) -> None:
        self.health = Health()
        self._stop = stop
        self._confirmed = confirmed
        self._refused: list[Refused] = []
        self._failure: DeliveryError | None = None
        self._producer = Producer(
            {
                **options(connection),
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "partitioner": "consistent",
                "message.max.bytes": max_message_bytes,
                "batch.size": max_message_bytes,
                "delivery.timeout.ms": int(delivery_seconds * 1000),
                "error_cb": self.health.failed,
            },
            logger=librdkafka,
        )

    def write(self, output: Output) -> None:
        """Hand an output to the client.

        Raises
        ------
        DeliveryError
            When an earlier output failed, or this one can neither be taken nor refused.
        """
        self._raise_failure()
        answer = partial(self._answered, output)
        while True:
            try:
                self._producer.produce(
                    output.topic,
                    value=output.value,
                    key=output.key,
                    headers=[*output.headers],
                    on_delivery=answer,
                )
            except BufferError:
                self._producer.poll(0.1)
                self._raise_failure()
                self._raise_when_stopped()
            except KafkaException as problem:
                self._answered(output, problem.args[0])
                return
            else:
                return

    @property
    def unconfirmed(self) -> int:
        """Outputs that the broker has not answered yet."""
        return len(self._producer)

    def serve(self) -> None:
        """Hear what the broker has answered; never waits.

        Raises
        ------
        DeliveryError
            When an output failed.
        """
        self._producer.poll(0)
        self._raise_failure()

    def flush(self) -> list[Refused]:
        """Wait until every output is confirmed, and return those that the broker refuses.

        Raises
        ------
        DeliveryError
            When an output failed, or was still unconfirmed `STOP_GRACE` seconds after the process
            was asked to end.
        """
        self._wait()
        suspects, self._refused = self._refused, []
        for suspect in suspects:
            self.write(suspect.output)
            self._wait()
        refused, self._refused = self._refused, []
        return refused

    def _wait(self) -> None:
        while self._producer.flush(0.2):
            self._raise_failure()
            self._raise_when_stopped()
        self._raise_failure()

    def _answered(self, output: Output, error: KafkaError | None, _raw: Raw | None = None) -> None:
        if error is None:
            self._confirmed(output)
        elif error.code() in REFUSALS:
            self._refused.append(Refused(output, error.str()))
        elif self._failure is None:
            self._failure = DeliveryError(
                f"{output.topic}: expected the broker's confirmation, got {error.str()}; "
                "nothing is lost: when the broker is back, start again from the last snapshot"
            )

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _raise_when_stopped(self) -> None:
        if self._stop.seconds > STOP_GRACE:
            msg = (
                f"kafka.bootstrap: {self.unconfirmed} outputs unconfirmed {STOP_GRACE:.0f} s "
                f"after the end was asked for ({self.health.error or 'no answer'}); "
                "nothing is lost: the next start goes on from the last snapshot"
            )
            raise DeliveryError(msg)
