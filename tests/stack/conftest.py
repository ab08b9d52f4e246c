"""Prometheus, Alertmanager and Apache Kafka, where they can run."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.brokers import ApacheKafka
from tests.fault.conftest import apache_kafka, kafka_class
from tests.stack import scaling
from tests.stack.alertmanager import Alertmanager
from tests.stack.pipeline import Pipeline
from tests.stack.programs import missing_packages
from tests.stack.prometheus import Prometheus
from tests.stack.scaling import FACTOR
from tests.stack.stage import Stage

__all__ = ["apache_kafka", "kafka_class", "stack_programs", "stage"]


@pytest.fixture(scope="session")
def stack_programs() -> None:
    """Debian's Prometheus and Alertmanager; without them a skip, in CI a failure."""
    if missing := missing_packages():
        reason = f"Prometheus cannot run here, not found: {', '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def stage(
    stack_programs: None,  # noqa: ARG001  (whether they can run here)
    apache_kafka: ApacheKafka,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """A pipeline that has learned, scraped and judged by the rules."""
    rules = scaling.rules(FACTOR)
    with ExitStack() as held:
        folder = tmp_path_factory.mktemp("alerts")
        pipeline = held.enter_context(Pipeline(apache_kafka, folder, "alerts"))
        pipeline.await_versions()
        alertmanager = held.enter_context(Alertmanager())
        prometheus = held.enter_context(
            Prometheus(
                {"oodl": [pipeline.address]},
                alertmanagers=[alertmanager.address],
                rules={"oodl.rules.yml": rules},
                interval="1s" if FACTOR > 1 else "5s",
            )
        )
        prometheus.await_scrape()
        yield Stage(pipeline, prometheus, alertmanager, scaling.waits(rules))
