"""What a broker says of itself: asked once, before anything starts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic

from confluent_kafka import KafkaError, KafkaException, Producer

from flows.kafka import entry
from flows.kafka.connection import (
    BrokerError,
    Connection,
    options,
    silent,
    without_values,
)
from flows.kafka.rights import Right, require_rights

__all__ = ["Cluster", "admit", "describe"]

START_PATIENCE = 10.0  # seconds for a broker to answer at start


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


def admit(connection: Connection, rights: Iterable[Right]) -> Cluster:
    """Describe the broker, once it lets this client in and allows all of that.

    Raises
    ------
    AccessError
        With a line for every right that is missing.
    BrokerError
        As `describe` does.
    """
    cluster = describe(connection)
    require_rights(connection, rights)
    return cluster


def describe(connection: Connection, *, patience: float = START_PATIENCE) -> Cluster:
    """Ask the broker for its id, its topics and their partitions.

    Raises
    ------
    BrokerError
        When no broker lets this client in, or none answers within `patience` seconds, or librdkafka
        refuses an option.
    """
    heard = _Heard()
    asker = _asker(connection, heard)
    until = monotonic() + patience
    while (cluster := _asked(asker, heard)) is None:
        asker.poll(0)
        if refused := heard.refusal or entry.refusal_of(connection):
            raise BrokerError(entry.told(connection, refused))
        if monotonic() > until:
            msg = (
                f"kafka.bootstrap: expected a broker at {connection.bootstrap}, got no answer in "
                f"{patience:.0f} s ({heard.error}); start it, or correct the address; if it runs "
                "there, see that kafka.security is what this listener asks for"
            )
            raise BrokerError(msg)
    return cluster


@dataclass(slots=True)
class _Heard:
    """What the client said while it was not answered: the last error, and the first refusal."""

    error: str = ""
    refusal: str = ""

    def __call__(self, error: KafkaError) -> None:
        self.error = error.str()
        if entry.is_refusal(error):
            self.refusal = self.refusal or error.str()


def _asker(connection: Connection, heard: _Heard) -> Producer:
    try:
        return Producer({**options(connection), "error_cb": heard}, logger=silent())
    except KafkaException as problem:
        detail = without_values(connection, problem.args[0].str())
        msg = (
            f"kafka.security: expected options of librdkafka, got: {detail}; names and values are "
            "those that its documentation has"
        )
        raise BrokerError(msg) from None


def _asked(asker: Producer, heard: _Heard) -> Cluster | None:
    try:
        answer = asker.list_topics(timeout=1.0)
    except KafkaException as problem:
        heard.error = heard.error or problem.args[0].str()
        return None
    counts = {name: len(topic.partitions) for name, topic in answer.topics.items()}
    return Cluster(answer.cluster_id or "", counts)
