"""Several processes as one cluster: how they start, end together, and keep others out."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from oodl import __version__
from tests.brokers import ApacheKafka
from tests.fault.workers import Worker, create_topics, free_port, wait_until, write_settings
from tests.traffic import machine, send

PARTITIONS = 3


@pytest.fixture
def settings(apache_kafka: ApacheKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Settings of a pipeline of its own, and a port that nobody uses, nor those that follow it."""
    name = request.node.name.translate({ord("["): ".", ord("]"): ""})
    sections: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap": apache_kafka.address, "group": name},
        "topics": {**create_topics(apache_kafka, name, PARTITIONS)},
        "recovery": {"folder": str(tmp_path / "recovery")},
        "metrics": {"port": free_port(4)},
    }
    return write_settings(tmp_path, sections)


def port(settings: Path) -> int:
    return int(settings.read_text().rpartition("port = ")[2])


def cluster(settings: Path, processes: int = 2, log: str = "cluster.log") -> Worker:
    log_file = settings.with_name(log)
    return Worker(settings, port(settings), processes=processes, log_file=log_file)


@contextmanager
def member(settings: Path, addresses: str, number: int) -> Iterator[Worker]:
    """A process of a cluster that is started by itself."""
    program = ("-m", "flows", "run", "-i", str(number), "-a", addresses, "--settings")
    log_file = settings.with_name(f"process-{number}.log")
    with Worker(settings, port(settings) + number, program, log_file=log_file) as process:
        yield process


def test_a_cluster_ends_with_0_wherever_in_its_start_sigterm_finds_it(settings: Path) -> None:
    for later in (0.0, 0.5, 1.0, 2.0, 3.0):
        with cluster(settings) as worker:
            worker.await_handler()
            time.sleep(later)

            assert worker.end(signal.SIGTERM) == 0, worker.log_file.read_text()


def test_each_process_has_its_own_metrics_and_its_own_last_words(settings: Path) -> None:
    with cluster(settings, 3) as worker:
        worker.await_metrics()  # of all three
        assert len(worker.pids()) == 3
        assert worker.metrics()["oodl_build_info", __version__] == 3
        assert worker.end(signal.SIGTERM) == 0

    assert {line["process"] for line in worker.said()[-3:]} == {0, 1, 2}
    assert worker.last_words()["received"] == 0


def test_more_processes_than_partitions_are_refused(settings: Path) -> None:
    with cluster(settings, PARTITIONS + 1) as worker:
        assert worker.process.wait(60) == 1
    assert "got 3 partitions of" in worker.log_file.read_text()
    assert "Traceback" not in worker.log_file.read_text()


def test_nobody_else_gets_the_folder_of_a_cluster(settings: Path) -> None:
    elsewhere = settings.with_name("elsewhere.toml")
    elsewhere.write_text(settings.read_text().replace(f"port = {port(settings)}", "port = 0"))
    with cluster(settings) as first:
        first.await_metrics()
        for processes in (1, 2):
            with cluster(elsewhere, processes, "second.log") as second:
                assert second.process.wait(60) == 1
            assert "but the cluster at 127.0.0.1:" in second.log_file.read_text()
        first.await_metrics()
        assert first.end(signal.SIGTERM) == 0


def test_the_processes_end_with_the_one_that_started_them(settings: Path) -> None:
    with cluster(settings) as worker:
        worker.await_metrics()
        pids = worker.pids()

        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.wait(60)

        wait_until(lambda: not any(running(pid) for pid in pids))
    causes = {line["signal"] for line in worker.said() if "signal" in line}
    assert f"end of process {worker.process.pid}" in causes
    assert worker.last_words()["received"] == 0


def test_a_signal_to_one_process_ends_all_of_them(settings: Path) -> None:
    addresses = ";".join(f"127.0.0.1:{free_port()}" for _ in range(2))
    with ExitStack() as running:
        workers = [running.enter_context(member(settings, addresses, n)) for n in range(2)]
        for worker in workers:
            worker.await_metrics()

        assert workers[1].end(signal.SIGTERM) == 0
        assert workers[0].process.wait(60) == 0

    assert workers[0].said()[-2]["signal"] == "SIGTERM of process 1"


def test_a_process_that_waits_for_the_others_ends_with_0_on_a_signal(settings: Path) -> None:
    addresses = ";".join(f"127.0.0.1:{free_port()}" for _ in range(2))
    with member(settings, addresses, 0) as alone:
        wait_until(lambda: (settings.parent / "recovery" / "part-0.sqlite3").exists())
        time.sleep(1.0)
        assert alone.ask("healthz")[1]["state"] == "starting"

        assert alone.end(signal.SIGTERM) == 0

    assert "Flow ended" in str(alone.said()[-1]["message"])


def test_a_failure_ends_all_and_is_told_by_whom_it_met(
    kafka_class: type[ApacheKafka], tmp_path: Path
) -> None:
    with kafka_class(tmp_path / "kafka") as broker:
        topics = create_topics(broker, "gone", PARTITIONS)
        settings = write_settings(
            tmp_path,
            {
                "kafka": {"bootstrap": broker.address, "delivery_seconds": 5},
                "topics": {**topics},
                "recovery": {"folder": str(tmp_path / "recovery")},
                "metrics": {"port": free_port(2)},
            },
        )
        with cluster(settings) as worker:
            worker.await_metrics()
            send(broker.address, topics["readings"], machine(["press-0", "press-1"], 5000))
            wait_until(lambda: worker.metrics()["oodl_readings_received_total", ""] > 0)
            broker.freeze()

            assert worker.process.wait(60) == 1

            broker.kill()
    told = worker.log_file.read_text()
    assert "Delivery failed, stopping." in told
    assert "nothing is lost" in told
    assert "Traceback" not in told


def running(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
