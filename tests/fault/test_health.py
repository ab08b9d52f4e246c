"""What a worker says of itself while its broker, its thread or its sink stands still."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.brokers import ApacheKafka
from tests.fault.workers import Worker, create_topics, free_port, wait_until, write_settings
from tests.traffic import Record, codes_by_position, machine, read, send

pytestmark = pytest.mark.operation

GROUPS = [f"press-{number}" for number in range(6)]
ALIVE_AND_READY, ALIVE_ONLY, NEITHER = (200, 200), (200, 503), (503, 503)

HANGING = """
import sys, time
from pathlib import Path
from flows.source import PartitionReader
from flows.tools.run import run

emit = PartitionReader._emit

def hang(reader, raws):
    if any(raw.value() == b"hang" for raw in raws):
        time.sleep(3600)
    return emit(reader, raws)

PartitionReader._emit = hang
run(settings=Path(sys.argv[1]))
"""
STARVING = """
import sys
from pathlib import Path
from flows.kafka import PartitionQueue
from flows.tools.run import run

take = PartitionQueue.take

def starve(queue, most):
    take(queue, 0)
    if any(raw.value() == b"hang" for raw in queue.messages):
        most = 0
    return take(queue, most)

PartitionQueue.take = starve
run(settings=Path(sys.argv[1]))
"""


@contextmanager
def a_worker(
    broker: ApacheKafka, name: str, folder: Path, *program: str, restart_after: float = 60.0
) -> Iterator[tuple[Worker, dict[str, str]]]:
    """A worker on topics of its own, once it reads."""
    topics, port = create_topics(broker, name), free_port()
    sections: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap": broker.address},
        "topics": {**topics},
        "recovery": {"folder": str(folder / "recovery")},
        "metrics": {"port": port, "restart_after": restart_after},
    }
    settings = write_settings(folder, sections)
    with Worker(settings, port, *([program] if program else [])) as worker:
        worker.await_metrics()
        yield worker, topics


def test_a_worker_idles_works_and_idles_again(apache_kafka: ApacheKafka, tmp_path: Path) -> None:
    with a_worker(apache_kafka, "working", tmp_path) as (worker, topics):
        assert worker.await_state("idle") == ALIVE_AND_READY

        send(apache_kafka.address, topics["readings"], machine(GROUPS, 20))

        assert worker.await_state("working") == ALIVE_AND_READY
        assert worker.await_state("idle") == ALIVE_AND_READY
        assert worker.end(signal.SIGTERM) == 0


def test_the_markers_of_transactions_are_no_readings_that_wait(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    with a_worker(apache_kafka, "markers", tmp_path) as (worker, topics):
        producer = Producer({"bootstrap.servers": apache_kafka.address, "transactional.id": "m"})
        producer.init_transactions()
        producer.begin_transaction()
        for record in machine(GROUPS, 3):
            producer.produce(topics["readings"], record.value, record.key)
        producer.commit_transaction()
        wait_until(lambda: worker.metrics()["oodl_codes_sent_total", ""] == 3 * len(GROUPS))

        worker.await_state("idle")

        worker.await_snapshot(tmp_path / "recovery")
        lags = [lag for (name, _), lag in worker.metrics().items()
                if name == "oodl_partition_lag_readings"]  # fmt: skip
        assert lags == [0.0] * 6


def test_a_frozen_broker_is_away_and_no_reason_for_a_restart(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    with a_worker(apache_kafka, "frozen-idle", tmp_path, restart_after=0.1) as (worker, _):
        apache_kafka.freeze()
        try:
            assert worker.await_state("broker-away") == ALIVE_ONLY
            assert "has said nothing for" in worker.ask("readyz")[1]["reason"]
        finally:
            apache_kafka.thaw()

        assert worker.await_state("idle") == ALIVE_AND_READY


def test_a_broker_that_is_gone_is_away_until_the_next_one(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    with a_worker(apache_kafka, "gone", tmp_path, restart_after=0.1) as (worker, topics):
        apache_kafka.kill()
        try:
            assert worker.await_state("broker-away") == ALIVE_ONLY
        finally:
            apache_kafka.start()

        assert worker.await_state("idle") == ALIVE_AND_READY
        send(apache_kafka.address, topics["readings"], machine(GROUPS, 1))
        wait_until(lambda: worker.metrics()["oodl_codes_sent_total", ""] == len(GROUPS))


@pytest.mark.parametrize(
    ("name", "program", "reason"),
    [
        ("hanging", HANGING, "has not come back to its source"),
        ("starving", STARVING, "1 readings wait"),
    ],
)
def test_a_flow_that_stands_still_is_stalled_and_in_the_end_asks_for_a_restart(
    apache_kafka: ApacheKafka, tmp_path: Path, name: str, program: str, reason: str
) -> None:
    with a_worker(apache_kafka, name, tmp_path, "-c", program, restart_after=15) as (worker, to):
        send(apache_kafka.address, to["readings"], [Record(b"press-0", b"hang")])

        assert worker.await_state("stalled") == ALIVE_ONLY
        assert reason in worker.ask("healthz")[1]["reason"]

        wait_until(lambda: worker.ask("healthz")[0] == 503)
        assert worker.await_state("stalled") == NEITHER
        assert worker.metrics()["oodl_state", "stalled"] == 1


@pytest.mark.parametrize(("blow", "state"), [("freeze", "blocked"), ("kill", "broker-away")])
def test_a_sink_that_waits_for_its_broker_is_told_from_a_hang_and_loses_nothing(
    apache_kafka: ApacheKafka, tmp_path: Path, blow: str, state: str
) -> None:
    # given a worker in the middle of a backlog
    with a_worker(apache_kafka, blow, tmp_path, restart_after=0.1) as (worker, topics):
        sent = send(apache_kafka.address, topics["readings"], machine(GROUPS, 5000))
        wait_until(lambda: worker.metrics()["oodl_codes_sent_total", ""] > 0, pause=0.01)
        # when its broker stops answering
        getattr(apache_kafka, blow)()
        try:
            # then it says that it waits, and a restart is not asked for
            assert worker.await_state(state) == ALIVE_ONLY
            assert worker.metrics()["oodl_codes_sent_total", ""] < len(sent)
        finally:
            apache_kafka.thaw() if blow == "freeze" else apache_kafka.start()
        # and goes on when it is back
        wait_until(lambda: worker.metrics()["oodl_codes_sent_total", ""] >= len(sent))
        assert worker.await_state("idle") == ALIVE_AND_READY
        assert worker.end(signal.SIGTERM) == 0
    coded = codes_by_position(read(apache_kafka.address, topics["codes"]))
    assert sorted(coded) == sorted(record.position for record in sent)


def test_a_worker_without_a_broker_says_that_it_starts(tmp_path: Path) -> None:
    port = free_port()
    sections: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap": f"127.0.0.1:{free_port()}"},
        "metrics": {"port": port},
    }
    with Worker(write_settings(tmp_path, sections), port) as worker:
        worker.await_handler()
        wait_until(lambda: listens(worker))

        assert worker.await_state("starting") == ALIVE_ONLY


def listens(worker: Worker) -> bool:
    try:
        return bool(worker.ask("healthz"))
    except OSError:
        return False
