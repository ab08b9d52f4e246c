"""Outputs handed to librdkafka and waited for, whichever way they are delivered.

A failure is kept and raised from then on, under a name that says what to do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import inf
from threading import Lock
from time import monotonic
from typing import cast

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Raw

from flows.kafka.connection import Connection, Health, librdkafka, options
from flows.kafka.rights import Right
from flows.kafka.stopping import StopFlag
from oodl.errors import OodlError

__all__ = [
    "REFUSALS",
    "DeliveryError",
    "Dispatch",
    "FencedError",
    "Limits",
    "Output",
    "Refused",
    "Together",
    "error_of",
]

STOP_GRACE = 5.0  # seconds that outputs may still take once the process was asked to end
LOOK = 1.0  # seconds between two looks at the most that are taken for one after the other
DELIVERY_SECONDS = 120.0
WAITING = 0.2  # seconds between two looks at what else should end a wait
REFUSALS = frozenset({
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError._INVALID_DIFFERENT_RECORD,
})  # fmt: skip
FENCED = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED})
CLIENT_ERRORS = cast(  # what librdkafka's functions raise
    tuple[type[Exception], ...], (KafkaException, KafkaError, SystemError)
)


class DeliveryError(OodlError, ConnectionError):
    """An output was not confirmed: the process has to end, a restart goes on from the snapshot."""


class FencedError(OodlError, ConnectionError):
    """Another process writes under this one's name: this one has to end."""


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
    partition, first, last : int
        Where its readings come from: their partition, the offsets of the first and the last one;
        -1 where it has none.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]] = []
    readings: int = 1
    stamp: float = -1.0
    partition: int = -1
    first: int = -1
    last: int = -1

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        said = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + said


@dataclass(frozen=True, slots=True)
class Refused:
    """An output that the broker refuses for itself: too large, or no valid record."""

    output: Output
    detail: str
    too_large: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is asked of an output.

    Parameters
    ----------
    max_message_bytes : int
        The largest message; also the largest batch, since brokers hold their limit against batches.
    delivery_seconds : float
        How long an output may take, all retries included.
    """

    max_message_bytes: int = 1_048_576
    delivery_seconds: float = DELIVERY_SECONDS


class Together:
    """The producers of a process, which stand and fall together.

    While one of them waits, all are heard: what one has met ends the wait of every other.

    Parameters
    ----------
    stop : StopFlag
        Once set, outputs have `STOP_GRACE` seconds more.
    delivery_seconds : float
        How long something may be waited for while the broker answers nothing at all.
    """

    def __init__(self, stop: StopFlag, delivery_seconds: float = DELIVERY_SECONDS) -> None:
        self._stop, self._delivery_seconds = stop, delivery_seconds
        self._members: list[Dispatch] = []
        self._answers, self._silent = 0, 0.0
        self._past = 0  # answers to those that are heard no more
        self._looked = monotonic()
        self._measuring = Lock()

    def add(self, dispatch: "Dispatch") -> None:
        """Hear a producer from now on."""
        self._members.append(dispatch)

    def discard(self, dispatch: "Dispatch") -> None:
        """Hear a producer no more."""
        with self._measuring:
            self._members.remove(dispatch)
            self._past += dispatch.answers

    def serve(self) -> None:
        """Hear what the broker has answered to any of them; never waits.

        Raises
        ------
        DeliveryError, FencedError
            When an output of any of them failed.
        """
        self._hear(waiting=any(member.unconfirmed for member in self._members))

    def watch(self) -> None:
        """Raise what should end a wait.

        Raises
        ------
        DeliveryError, FencedError
            When an output of any of them failed, or the process was asked to end and has had its
            time.
        """
        self._hear(waiting=True)
        if self._stop.seconds > STOP_GRACE:
            raise self.overdue(STOP_GRACE, "after the end was asked for")

    def answered(self) -> None:
        """Hear that the broker has answered something other than an output."""
        self._silent = 0.0

    def _hear(self, *, waiting: bool) -> None:
        """Hear all, and measure the silence; what the process slept through does not count."""
        members = tuple(self._members)
        for member in members:
            member.serve()
        with self._measuring:
            now = monotonic()
            answers = self._past + sum(member.answers for member in self._members)
            if answers != self._answers or not waiting:
                self._silent = 0.0
            self._silent += min(now - self._looked, LOOK)
            self._answers, self._looked = answers, now
        if self._silent > self._delivery_seconds:
            raise self.overdue(self._delivery_seconds, "in which the broker said nothing")

    def overdue(self, seconds: float, when: str) -> DeliveryError:
        """Say that outputs are given up, so many seconds after or within what `when` tells."""
        errors = [member.health.error for member in self._members if member.health.error]
        count = sum(member.unconfirmed for member in self._members)
        return DeliveryError(
            f"kafka.bootstrap: {count} outputs unconfirmed {seconds:g} s {when} "
            f"({errors[-1] if errors else 'no answer'}); "
            "nothing is lost: the next start goes on from the last snapshot"
        )


class Dispatch:
    """librdkafka's producer as every way of delivery uses it: hands over, waits, keeps the failure.

    Parameters
    ----------
    connection : Connection
    together : Together
        Whom it stands and falls with.
    answered : callable
        Called with each `Output` and its error, None when it is confirmed, and the client's record.
    limits : Limits
    more : mapping
        Further options of librdkafka.

    Attributes
    ----------
    answers : int
        Outputs that were answered; `answered` is to count them.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        together: Together,
        answered: Callable[[Output, KafkaError | None, Raw], None],
        limits: Limits,
        more: Mapping[str, str | int] = {},
    ) -> None:
        self.health = Health()
        self.failure: OodlError | None = None
        self.answers = 0
        self._together = together
        self._transactions = str(more.get("transactional.id", ""))
        self._answered = answered
        self.client = Producer(
            {
                **options(connection),
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "partitioner": "consistent",
                "message.max.bytes": limits.max_message_bytes,
                "batch.size": limits.max_message_bytes,
                "delivery.timeout.ms": int(limits.delivery_seconds * 1000),
                "error_cb": self.health.failed,
                **more,
            },
            logger=librdkafka,
        )

    @property
    def unconfirmed(self) -> int:
        """Outputs that the broker has not answered yet."""
        return len(self.client)

    def write(self, output: Output) -> KafkaError | None:
        """Hand an output to the client; the error when that does not take it.

        Raises
        ------
        DeliveryError, FencedError
            When an earlier output failed, or this one can neither be taken nor refused.
        """
        self.check()
        answer = partial(self._answered, output)
        while True:
            try:
                self.client.produce(
                    output.topic,
                    value=output.value,
                    key=output.key,
                    headers=[*output.headers] or None,
                    on_delivery=answer,
                )
            except BufferError:
                self._poll(0.1)
                self.check()
                self._together.watch()
            except KafkaException as problem:
                return error_of(problem)
            else:
                return None

    def serve(self) -> None:
        """Hear what the broker has answered; never waits.

        Raises
        ------
        DeliveryError, FencedError
            When an output failed.
        """
        self._poll(0)
        self.check()

    def wait(self, patience: float = inf) -> bool:
        """Wait until every output is answered; False when for `patience` seconds none was.

        Raises
        ------
        DeliveryError, FencedError
            When an output failed, or was still unconfirmed `STOP_GRACE` seconds after the process
            was asked to end.
        """
        left, since = inf, monotonic()
        while unanswered := self._flush():
            self.check()
            self._together.watch()
            if unanswered < left:
                left, since = unanswered, monotonic()
            elif monotonic() - since > patience:
                return False
        self.check()
        return True

    def fail(self, output: Output, error: KafkaError) -> None:
        """Keep the first failure: it is raised from now on."""
        msg = (
            f"{output.topic}: expected the broker's confirmation, got {error.str()}; "
            "nothing is lost: when the broker is back, start again from the last snapshot"
        )
        if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            denied = Right("Write", "topic", output.topic, output.topic).denied()
            msg = f"{denied}; nothing is lost: start again from the last snapshot"
        self.failure = self.failure or DeliveryError(msg)

    def check(self) -> None:
        """Raise the failure, if there is one."""
        if self.failure is not None:
            raise self.failure

    def fatal(self, problem: BaseException) -> OodlError:
        """Say what a client that can do nothing more has met; for what its functions raise."""
        error = error_of(problem)
        if denied := self.denied(error):
            return DeliveryError(f"{denied}; nothing is lost: start again from the last snapshot")
        if error.code() in FENCED:
            return FencedError(
                "kafka.group: expected to be the only process of this name, but another has taken "
                "its place, or this one was held up for longer than its transaction may last; "
                "nothing is lost: see that only one runs, which goes on from what was committed"
            )
        return DeliveryError(
            f"kafka.bootstrap: the client cannot go on ({error.str()}); "
            "nothing is lost: start again from the last snapshot"
        )

    def denied(self, error: KafkaError) -> str:
        """Name the right to the transactions' name, where it is missing; else ""."""
        if error.code() != KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            return ""
        return Right("Write", "transactional-id", self._transactions, "kafka.group").denied()

    def _poll(self, seconds: float) -> None:
        try:
            self.client.poll(seconds)
        except CLIENT_ERRORS as problem:
            self.failure = self.failure or self.fatal(problem)

    def _flush(self) -> int:
        try:
            return self.client.flush(WAITING)
        except CLIENT_ERRORS as problem:
            self.failure = self.failure or self.fatal(problem)
            return 0


def error_of(problem: BaseException) -> KafkaError:
    """Return the client's error: raised as itself, in an exception, or from one of its callbacks.

    A fatal error is set as an exception while callbacks still run, and the next function of the
    client then ends in a SystemError above it.

    Raises
    ------
    BaseException
        `problem`, when it has no error of the client in it.

    Examples
    --------
    >>> error_of(KafkaException(KafkaError(KafkaError._FENCED))).name()
    '_FENCED'
    """
    found: object = problem
    while isinstance(found, BaseException) and not isinstance(found, KafkaError):
        found = found.args[0] if isinstance(found, KafkaException) else found.__cause__
    if not isinstance(found, KafkaError):
        raise problem
    return found
