"""Kafka as the pipeline needs it: one consumer and one producer a process, no engine.

What the broker says is kept as a value (a partition's queue, an expired offset, a refused output,
the state of the connection); only what the process cannot go on with is raised.
"""

import json
import logging
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from types import FrameType, TracebackType
from typing import Any, Protocol, Self

import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka import Message as Raw

from oodl.errors import OodlError, ValueFault

__all__ = [
    "BrokerError",
    "Cluster",
    "Configured",
    "ConfirmedProducer",
    "Connection",
    "DeliveryError",
    "EmbeddedBroker",
    "Health",
    "OffsetExpired",
    "Output",
    "PartitionQueue",
    "Refused",
    "SharedConsumer",
    "StopFlag",
    "client_options",
    "describe",
]

LINGER = 0.02  # seconds between two looks at the broker: blocks of a few rows cost 10 us a row more
BATCH = 5000  # messages taken from librdkafka at a time
FETCH_WAIT_MS = 50  # the embedded broker answers a fetch after that long, data or none
ANSWER_MS = 10_000  # after which a request has failed; a frozen broker holds up our end that long
QUEUE_LIMIT = 20_000  # messages a partition's queue holds before the partition is paused
STATISTICS_MS = 1000  # librdkafka's figures, the only place where a frozen broker shows
RECOMMIT_SECONDS = 3600.0  # brokers forget offsets that are not committed again (7 days by default)
CLOSE_PATIENCE = 2.0  # seconds for the last commit to be confirmed
START_PATIENCE = 10.0  # seconds for a broker to answer at start
STOP_GRACE = 5.0  # seconds that outputs may still take once the process was asked to end
REFUSALS = frozenset({
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError._INVALID_DIFFERENT_RECORD,
})  # fmt: skip
HOPELESS = frozenset({
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
})  # fmt: skip
KAFKA_PYTHON = {
    "security.protocol": "security_protocol",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.mechanisms": "sasl_mechanism",
    "sasl.username": "sasl_plain_username",
    "sasl.password": "sasl_plain_password",
    "sasl.kerberos.service.name": "sasl_kerberos_service_name",
    "ssl.ca.location": "ssl_cafile",
    "ssl.certificate.location": "ssl_certfile",
    "ssl.key.location": "ssl_keyfile",
    "ssl.key.password": "ssl_password",
    "ssl.crl.location": "ssl_crlfile",
    "ssl.cipher.suites": "ssl_ciphers",
}

log = logging.getLogger(__name__)  # librdkafka's own lines; the pipeline's are in events.py


class BrokerError(OodlError, ConnectionError):
    """The broker cannot be used as the settings ask."""


class DeliveryError(OodlError, ConnectionError):
    """An output was not confirmed: the process has to end, a restart goes on from the snapshot."""


class Connection(Protocol):
    """Where the broker is and how to be let in, as ``[kafka]`` of the settings has it."""

    @property
    def bootstrap(self) -> str:
        """Addresses, ``host:port,host:port``."""

    @property
    def security(self) -> Mapping[str, str]:
        """Options of librdkafka, by their own names."""


class Configured(Protocol):
    """Settings, as far as the connection goes."""

    @property
    def kafka(self) -> Connection:
        """The section ``[kafka]``."""


class StopFlag:
    """Whether the process was asked to end: at once while it starts, by the flow once it runs.

    Examples
    --------
    >>> stop = StopFlag()
    >>> bool(stop), stop.seconds
    (False, 0.0)
    >>> stop.set()
    >>> bool(stop)
    True
    """

    def __init__(self) -> None:
        self.cause = ""
        self._since: float | None = None
        self._deferred = False

    def install(self) -> Self:
        """Listen to SIGTERM and SIGINT; until `defer` is called they end the process with 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)
        return self

    def defer(self) -> None:
        """From now on only set the flag: the flow reads it, takes its snapshot and ends."""
        self._deferred = True

    def set(self, cause: str = "a call") -> None:
        """Ask the flow to end."""
        if self._since is None:
            self._since, self.cause = monotonic(), cause

    @property
    def seconds(self) -> float:
        """How long ago the process was asked to end; 0 when it was not."""
        return 0.0 if self._since is None else monotonic() - self._since

    def __bool__(self) -> bool:
        return self._since is not None

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        self.set(signal.Signals(number).name)
        if not self._deferred:
            sys.exit(0)


@dataclass(slots=True)
class Health:
    """What the client knows of its connection.

    Parameters
    ----------
    error : str
        The last error of the client, "" when there was none.
    heard_at : float
        When the quietest leader of our partitions last said anything (monotonic).
    measured_at : float or None
        When that was measured; None: never, as a producer's is not.
    lost_at : float or None
        When the client last said that no broker can be reached.
    """

    error: str = ""
    heard_at: float = field(default_factory=monotonic)
    measured_at: float | None = None
    lost_at: float | None = None

    @property
    def silent_seconds(self) -> float:
        """How long the quietest leader of our partitions has said nothing."""
        return monotonic() - self.heard_at

    def failed(self, error: KafkaError) -> None:
        """Keep an error that the client recovers from by itself."""
        self.error = error.str()
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.lost_at = monotonic()

    def measured(self, statistics: str) -> None:
        """Read librdkafka's statistics; a frozen broker shows there and nowhere else.

        The group's coordinator is listed a second time, as a connection that only commits use: on
        an idle topic that one is silent for good reason.
        """
        figures = json.loads(statistics)
        idle = {
            broker["nodeid"]: broker["rxidle"] / 1e6
            for broker in figures["brokers"].values()
            if broker["source"] == "learned"
        }
        leaders = {
            part["leader"]
            for topic in figures["topics"].values()
            for part in topic["partitions"].values()
        }
        silent = [idle[leader] for leader in leaders if idle.get(leader, -1.0) >= 0]
        if silent:
            self.measured_at = monotonic()
            self.heard_at = self.measured_at - max(silent)


@dataclass(frozen=True, slots=True)
class OffsetExpired:
    """The offset to go on from is no longer there; the partition is read from its earliest one."""

    partition: int
    offset: int
    detail: str


class PartitionQueue:
    """What has arrived of one partition and waits to be taken."""

    def __init__(self, consumer: "SharedConsumer", partition: int) -> None:
        self._consumer = consumer
        self._snapped: int | None = None
        self._committed = (-1, 0.0)
        self.partition = partition
        self.messages: deque[Raw] = deque()
        self.expired: OffsetExpired | None = None
        self.paused = False
        self.at_end = False

    def take(self, most: int) -> list[Raw]:
        """Return up to `most` messages in order; never waits."""
        self._consumer.poll()
        ready = [self.messages.popleft() for _ in range(min(most, len(self.messages)))]
        if self.paused and len(self.messages) < QUEUE_LIMIT // 2:
            self._consumer.resume(self)
        return ready

    def take_expired(self) -> OffsetExpired | None:
        """Say once that the offset to go on from had expired."""
        expired, self.expired = self.expired, None
        return expired

    def snapped(self, offset: int | None) -> None:
        """Note where a snapshot goes on, and commit the one before: that is confirmed by now.

        A snapshot of the source is taken before its last batch has been processed and written.
        """
        self.commit()
        self._snapped = offset

    def commit(self) -> None:
        """Commit the last snapshot's position; one that has not moved only now and then."""
        known, since = self._committed
        moved = self._snapped != known or monotonic() - since > RECOMMIT_SECONDS
        if self._snapped is not None and moved:
            self._committed = self._snapped, monotonic()
            self._consumer.commit(self.partition, self._snapped)

    def lag(self, offset: int) -> int | None:
        """Messages between `offset` and the end as last heard; None before the first answer."""
        return self._consumer.lag(self.partition, offset)

    def behind(self, offset: int | None) -> int | None:
        """Messages from `offset` on that can be read; None before the first answer.

        Markers of transactions take offsets and are never read, so the end's offset does not tell.
        """
        if self.at_end and not self.messages:
            return 0
        lag = None if offset is None else self.lag(offset)
        return len(self.messages) or None if lag is None else lag


class SharedConsumer:
    """One consumer for all partitions of this process, each with a queue of its own.

    Partitions are assigned, not subscribed: the engine decides who reads what. The group id is
    real, so that Kafka's tools see the positions committed.

    Parameters
    ----------
    connection : Connection
    topic, group : str
        What is read, and in whose name.
    """

    def __init__(self, connection: Connection, *, topic: str, group: str) -> None:
        self.health = Health()
        self._topic = topic
        self._queues: dict[int | None, PartitionQueue] = {}  # keys as the client types them
        self._polling = threading.Lock()
        self._due = 0.0
        self._unconfirmed = 0
        self._consumer = Consumer(
            {
                **_options(connection),
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": FETCH_WAIT_MS,
                "socket.timeout.ms": ANSWER_MS,
                "statistics.interval.ms": STATISTICS_MS,
                "stats_cb": self.health.measured,
                "error_cb": self.health.failed,
                "on_commit": self._committed,
            },
            logger=log,
        )

    def open(self, partition: int, offset: int | None) -> PartitionQueue:
        """Read a partition from `offset` on; None: from the earliest that the broker has."""
        start = OFFSET_BEGINNING if offset is None else offset
        queue = self._queues[partition] = PartitionQueue(self, partition)
        self._consumer.incremental_assign([TopicPartition(self._topic, partition, start)])
        return queue

    def poll(self) -> None:
        """Bring what has arrived to the queues, once in `LINGER` at most; never waits."""
        if monotonic() < self._due or not self._polling.acquire(blocking=False):
            return
        try:
            raws = self._consumer.consume(BATCH, 0)
            self._due = 0.0 if len(raws) == BATCH else monotonic() + LINGER
            for raw in raws:
                self._sort(raw)
            for queue in self._queues.values():
                if len(queue.messages) > QUEUE_LIMIT and not queue.paused:
                    self._pause(queue)
        finally:
            self._polling.release()

    def next_look(self) -> datetime:
        """When polling again is of use."""
        return datetime.now(UTC) + timedelta(seconds=max(0.0, self._due - monotonic()))

    def resume(self, queue: PartitionQueue) -> None:
        """Let a paused partition flow again."""
        self._consumer.resume([TopicPartition(self._topic, queue.partition)])
        queue.paused = False

    def commit(self, partition: int, offset: int) -> None:
        """Commit that everything below `offset` is done, without waiting for the answer."""
        self._unconfirmed += 1
        part = TopicPartition(self._topic, partition, offset)
        try:
            self._consumer.commit(offsets=[part], asynchronous=True)
        except KafkaException as problem:
            self._committed(problem.args[0], [part])

    def lag(self, partition: int, offset: int) -> int | None:
        """Messages between `offset` and the end as last heard."""
        _, high = self._consumer.get_watermark_offsets(
            TopicPartition(self._topic, partition), cached=True
        )
        return None if high < 0 else max(0, high - offset)

    def close(self) -> None:
        """Commit the last snapshots, then let go: for when all that they cover is confirmed."""
        for queue in self._queues.values():
            queue.commit()
        patience = monotonic() + CLOSE_PATIENCE
        while self._unconfirmed and monotonic() < patience:
            self._consumer.poll(0.05)
        if not self._unconfirmed:  # else this waits for the answer, and so does the process's end
            self._consumer.close()

    def _sort(self, raw: Raw) -> None:
        error = raw.error()
        if error is None:
            queue = self._queues[raw.partition()]
            queue.at_end = False
            queue.messages.append(raw)
        elif error.code() == KafkaError._PARTITION_EOF:
            self._queues[raw.partition()].at_end = True
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._from_earliest(raw, error)
        elif error.fatal() or error.code() in HOPELESS:
            msg = (
                f"topics.readings: {raw.topic()!r} cannot be read ({error.str()}); "
                "see that it exists and that this client may read it, then start again"
            )
            raise BrokerError(msg)
        else:
            self.health.failed(error)

    def _from_earliest(self, raw: Raw, error: KafkaError) -> None:
        queue = self._queues[raw.partition()]
        queue.expired = OffsetExpired(queue.partition, raw.offset() or 0, error.str())
        self._consumer.incremental_unassign([TopicPartition(self._topic, queue.partition)])
        self._consumer.incremental_assign(
            [TopicPartition(self._topic, queue.partition, OFFSET_BEGINNING)]
        )

    def _pause(self, queue: PartitionQueue) -> None:
        self._consumer.pause([TopicPartition(self._topic, queue.partition)])
        queue.paused = True

    def _committed(self, error: KafkaError | None, _parts: list[TopicPartition]) -> None:
        self._unconfirmed -= 1
        if error is not None:
            self.health.failed(error)


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
                **_options(connection),
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "partitioner": "consistent",
                "message.max.bytes": max_message_bytes,
                "batch.size": max_message_bytes,
                "delivery.timeout.ms": int(delivery_seconds * 1000),
                "error_cb": self.health.failed,
            },
            logger=log,
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


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a broker says of itself.

    Parameters
    ----------
    id : str
    partitions : mapping of str to int
        Every topic, with how many partitions it has.
    """

    id: str
    partitions: Mapping[str, int]

    def require(self, **topics: str) -> None:
        """Refuse to start when one of the topics (by its name in the settings) is missing.

        Raises
        ------
        BrokerError
            Naming every topic that is missing.

        Examples
        --------
        >>> Cluster("a", {"sensors.readings": 6}).require(readings="sensors.readings")
        """
        missing = [f"topics.{key} ({name})" for key, name in topics.items()
                   if name not in self.partitions]  # fmt: skip
        if missing:
            msg = f"{', '.join(missing)}: no such topic on the broker; create with `oodl topics`"
            raise BrokerError(msg)


def describe(connection: Connection, *, patience: float = START_PATIENCE) -> Cluster:
    """Ask the broker for its id, its topics and their partitions.

    Raises
    ------
    BrokerError
        When no broker answers within `patience` seconds, or librdkafka refuses an option.
    """
    health = Health()
    try:
        asker = Producer({**_options(connection), "error_cb": health.failed}, logger=_silent())
    except KafkaException as problem:
        msg = f"kafka.security: {problem.args[0].str()}; names and values are those of librdkafka"
        raise BrokerError(msg) from problem
    until = monotonic() + patience
    while True:
        try:
            answer = asker.list_topics(timeout=1.0)
        except KafkaException as problem:
            health.error = health.error or problem.args[0].str()
        else:
            counts = {name: len(topic.partitions) for name, topic in answer.topics.items()}
            return Cluster(answer.cluster_id or "", counts)
        asker.poll(0)
        if monotonic() > until:
            msg = (
                f"kafka.bootstrap: expected a broker at {connection.bootstrap}, got no answer in "
                f"{patience:.0f} s ({health.error}); start it, or correct the address"
            )
            raise BrokerError(msg)


def client_options(settings: Configured) -> dict[str, Any]:
    """Return kafka-python's arguments for the connection (the tools use that client).

    Raises
    ------
    ValueFault
        When ``[kafka.security]`` has a name that kafka-python knows no argument for.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> security = {"security.protocol": "SSL", "ssl.ca.location": "ca.pem"}
    >>> kafka = SimpleNamespace(bootstrap="a:9093,b:9093", security=security)
    >>> client_options(SimpleNamespace(kafka=kafka))
    {'bootstrap_servers': ['a:9093', 'b:9093'], 'security_protocol': 'SSL', 'ssl_cafile': 'ca.pem'}
    """
    options: dict[str, Any] = {"bootstrap_servers": settings.kafka.bootstrap.split(",")}
    for name, value in settings.kafka.security.items():
        if name == "ssl.endpoint.identification.algorithm":
            options["ssl_check_hostname"] = value != "none"
        elif name in KAFKA_PYTHON:
            options[KAFKA_PYTHON[name]] = value
        else:
            msg = (
                f"kafka.security: expected one of {', '.join(sorted(KAFKA_PYTHON))}, got {name!r}; "
                "the tools cannot pass it on, `oodl run` can"
            )
            raise ValueFault(msg)
    return options


class EmbeddedBroker:
    """librdkafka's mock cluster in this process: a broker for demos and tests, starts in .1 s.

    It keeps 5 MiB a partition and forgets what is older, has four partitions a topic and no
    administration, and ends with the process. Its consumers need ``fetch.wait.max.ms`` of 10 to 50.

    Examples
    --------
    >>> with EmbeddedBroker("sensors.readings") as broker:
    ...     describe(broker).partitions
    {'sensors.readings': 4}
    """

    security: Mapping[str, str] = {}

    def __init__(self, *topics: str) -> None:
        self._cluster: Producer | None = Producer(
            {"bootstrap.servers": "", "test.mock.num.brokers": 1}, logger=_silent()
        )
        nodes = self._cluster.list_topics(timeout=5).brokers.values()
        self.bootstrap = ",".join(f"{node.host}:{node.port}" for node in nodes)
        for topic in topics:
            self._cluster.list_topics(topic, timeout=5)

    def close(self) -> None:
        """End the cluster, and with it all that it held."""
        self._cluster = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _problem: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()


def _options(connection: Connection) -> dict[str, Any]:
    return {
        "bootstrap.servers": connection.bootstrap,
        "client.id": "oodl",
        "log.connection.close": False,
        **connection.security,
    }


def _silent() -> logging.Logger:
    """Return a logger for clients whose lines are of no use: what they say comes as errors."""
    quiet = logging.getLogger(f"{__name__}.quiet")
    quiet.setLevel(logging.CRITICAL)
    return quiet
