"""Prometheus, Alertmanager and Apache Kafka, where they can run."""

import os

import pytest

from tests.fault.conftest import apache_kafka, kafka_class
from tests.stack.programs import missing_packages

__all__ = ["apache_kafka", "kafka_class", "stack_programs"]


@pytest.fixture(scope="session")
def stack_programs() -> None:
    """Debian's Prometheus and Alertmanager; without them a skip, in CI a failure."""
    if missing := missing_packages():
        reason = f"Prometheus cannot run here, not found: {', '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
