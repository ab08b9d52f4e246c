"""The embedded broker with the four topics, settings that lead to it, and a guarded broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.kafka import EmbeddedBroker
from flows.settings import Settings
from tests.brokers import ApacheKafka
from tests.fault.conftest import kafka_class  # noqa: F401  (a fixture)
from tests.secure import SecureKafka


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Settings of a pipeline on a broker of its own."""
    topics = Settings().topics
    with EmbeddedBroker(*topics.model_dump().values()) as broker:
        yield Settings.model_validate(
            {
                "kafka": {"bootstrap": broker.bootstrap},
                "recovery": {"folder": tmp_path / "recovery", "epoch_seconds": 0.2},
            }
        )


@pytest.fixture(scope="session")
def secure_kafka(
    kafka_class: type[ApacheKafka],  # noqa: F811  (the fixture above)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SecureKafka]:
    """A broker that lets in and allows only what it was told to."""
    assert issubclass(SecureKafka, kafka_class)
    with SecureKafka(tmp_path_factory.mktemp("secure")) as broker:
        yield broker
