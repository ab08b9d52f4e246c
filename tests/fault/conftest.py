"""Real brokers for the tests of this folder, one for most of them."""

import os
from collections.abc import Generator, Iterator

import pytest

from tests.brokers import ApacheKafka, KafkaCluster, missing_programs, resolve_jars


@pytest.fixture(scope="session")
def kafka_class() -> type[ApacheKafka]:
    """Brokers that can start here; without Java and Maven a skip, in CI a failure."""
    if missing := missing_programs():
        reason = f"Apache Kafka cannot run here, not found: {', '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    resolve_jars()
    return ApacheKafka


@pytest.fixture(scope="session")
def apache_kafka(
    kafka_class: type[ApacheKafka], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApacheKafka]:
    """A broker that runs; a test that stops it starts it again."""
    with kafka_class(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def troubled_kafka(
    kafka_class: type[ApacheKafka], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApacheKafka]:
    """Another broker, for what is done to it while others need theirs."""
    with kafka_class(tmp_path_factory.mktemp("troubled")) as broker:
        yield broker


@pytest.fixture(scope="session")
def three_kafkas(
    kafka_class: type[ApacheKafka],  # noqa: ARG001  (whether brokers can start here)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[KafkaCluster]:
    """Three brokers that copy to one another."""
    with KafkaCluster(tmp_path_factory.mktemp("three")) as cluster:
        yield cluster


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the broker wrote below a test that failed on it."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for broker in (each for each in item.funcargs.values() if isinstance(each, ApacheKafka)):
            report.sections.append((f"Log of {broker.log_file}", broker.log()))
    return report
