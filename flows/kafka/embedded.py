"""A broker inside this process, for demos and tests."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import Producer

from flows.kafka.connection import silent

__all__ = ["EmbeddedBroker"]


class EmbeddedBroker:
    """librdkafka's mock cluster in this process: a broker for demos and tests, starts in .1 s.

    It keeps 5 MiB a partition and forgets what is older, has four partitions a topic and no
    administration, and ends with the process. Its consumers need ``fetch.wait.max.ms`` of 10 to 50.

    Examples
    --------
    >>> from flows.kafka import describe
    >>> with EmbeddedBroker("sensors.readings") as broker:
    ...     describe(broker).partitions
    {'sensors.readings': 4}
    """

    security: Mapping[str, str] = {}

    def __init__(self, *topics: str) -> None:
        self._cluster: Producer | None = Producer(
            {"bootstrap.servers": "", "test.mock.num.brokers": 1}, logger=silent()
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
