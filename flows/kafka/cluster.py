"""What a broker says of itself: asked once, before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from confluent_kafka import KafkaException, Producer

from flows.kafka.connection import BrokerError, Connection, Health, options, silent

__all__ = ["Cluster", "describe"]

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


def describe(connection: Connection, *, patience: float = START_PATIENCE) -> Cluster:
    """Ask the broker for its id, its topics and their partitions.

    Raises
    ------
    BrokerError
        When no broker answers within `patience` seconds, or librdkafka refuses an option.
    """
    health = Health()
    try:
        asker = Producer({**options(connection), "error_cb": health.failed}, logger=silent())
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
