"""The embedded broker with the four topics, and settings that lead to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.kafka import EmbeddedBroker
from flows.settings import Settings


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
