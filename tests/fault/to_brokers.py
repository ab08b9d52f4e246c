"""What is done to brokers and topics."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka.admin import NewPartitions

from tests.fault.faults import ALL, PORTION, Figures, refused
from tests.fault.stage import PARTITIONS, Stage
from tests.fault.watch import written
from tests.fault.workers import Worker, wait_until

__all__ = [
    "GONE_SECONDS",
    "GRACE",
    "broker_frozen_for_15_seconds",
    "broker_gone",
    "broker_restarted",
    "leaders_killed",
    "offsets_expired",
    "partitions_added",
]

GONE_SECONDS, GRACE = 5.0, 2.0  # until outputs are given up, and from then until the end
SETTLING = 0.3  # seconds in which what was answered is heard


def broker_restarted(stage: Stage) -> Figures:
    with at_work(stage) as worker:
        stage.broker.stop()
        before = written(worker)
        stage.broker.start()
        seconds = stage.resumed(worker, before)
    return {"resumed": seconds}


def broker_frozen_for_15_seconds(stage: Stage) -> Figures:
    with at_work(stage) as worker:
        stage.broker.freeze()
        time.sleep(15)
        before = written(worker)
        stage.broker.thaw()
        seconds = stage.resumed(worker, before)
    return {"resumed": seconds}


def broker_gone(stage: Stage) -> Figures:
    with stage.worker() as worker:
        stage.await_work(worker)
        freeze_on_the_way(stage, worker)
        began = time.monotonic() - SETTLING
        stage.broker.kill()
        try:
            code = worker.process.wait(60)
            seconds = time.monotonic() - began
        finally:
            stage.broker.start()
    assert code == 1
    assert "nothing is lost" in worker.log_file.read_text()
    assert seconds < GONE_SECONDS + GRACE
    return {"gave up": round(seconds, 1)}


def leaders_killed(stage: Stage) -> Figures:
    """Kill who leads the readings, then who leads the positions of the consumer group."""
    assert stage.cluster is not None
    seconds = []
    with at_work(stage) as worker:
        for topic in (stage.topics["readings"], "__consumer_offsets"):
            leader = stage.cluster.leader(topic)
            leader.kill()
            seconds.append(stage.resumed(worker, written(worker)))
            leader.start()
    return {"resumed": max(seconds)}


def offsets_expired(stage: Stage) -> Figures:
    stage.allow(2 * PORTION)
    with stage.worker() as worker:  # until each partition has a position that can expire
        stage.await_caught_up()
        assert worker.end(signal.SIGTERM) == 0
    stage.allow(ALL)
    stage.await_sent()
    stage.expire(200)
    stage.recovery["expired"] = "stop"
    refused(stage, "set recovery.expired = 'earliest'")
    stage.recovery["expired"] = "earliest"
    with stage.worker() as worker:
        stage.await_caught_up()
        assert worker.metrics()["oodl_oddities_total", "offset_expired"] == PARTITIONS
        assert worker.end(signal.SIGTERM) == 0
    return {"expired": len(stage.expired)}


def partitions_added(stage: Stage) -> Figures:
    with stage.worker() as worker:
        stage.await_work(worker)
        topic = stage.topics["readings"]
        more = NewPartitions(topic, PARTITIONS + 2)
        admin = stage.broker.admin()
        admin.create_partitions([more])[topic].result(30)
        assert worker.process.wait(60) == 0
    assert any("Partitions added" in str(line["message"]) for line in worker.said())
    return {}


@contextmanager
def at_work(stage: Stage) -> Iterator[Worker]:
    """A worker with readings on their way to it, until all of them have come out."""
    stage.allow(PORTION)
    with stage.worker() as worker:
        stage.await_work(worker)
        stage.allow(2 * PORTION)
        yield worker
        stage.allow(ALL)
        stage.await_caught_up()
        assert worker.end(signal.SIGTERM) == 0


def freeze_on_the_way(stage: Stage, worker: Worker) -> None:
    """Freeze the broker when it has outputs to confirm: one that has none is waited for."""

    def frozen() -> bool:
        stage.broker.freeze()
        time.sleep(SETTLING)
        if worker.metrics()["oodl_readings_received_total", ""] > written(worker):
            return True
        stage.broker.thaw()
        return False

    wait_until(frozen)
