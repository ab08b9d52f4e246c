"""How a worker starts, or says why it cannot."""

import signal
import time
from pathlib import Path

import pytest

from tests.brokers import ApacheKafka
from tests.fault.workers import Worker, create_topics, free_port, write_settings


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_waits_for_its_broker_ends_with_0_on_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    settings = write_settings(tmp_path, {"kafka": {"bootstrap": f"127.0.0.1:{free_port()}"}})

    with Worker(settings) as worker:
        worker.await_handler()

        assert worker.end(number) == 0


def test_a_worker_ends_with_0_wherever_in_its_start_sigterm_finds_it(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    sections: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap": apache_kafka.address},
        "topics": {**create_topics(apache_kafka, "start")},
        "recovery": {"folder": str(tmp_path / "recovery")},
        "metrics": {"port": 0},
    }
    settings = write_settings(tmp_path, sections)

    for later in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5):
        with Worker(settings) as worker:
            worker.await_handler()
            time.sleep(later)

            assert worker.end(signal.SIGTERM) == 0


def test_a_missing_topic_is_an_error_with_its_place_and_the_remedy(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    settings = write_settings(
        tmp_path,
        {"kafka": {"bootstrap": apache_kafka.address}, "topics": {"codes": "nobody-made-this"}},
    )

    with Worker(settings) as worker:
        assert worker.process.wait(60) == 1

    said = worker.log_file.read_text()
    assert "topics.codes (nobody-made-this)" in said
    assert "`oodl topics`" in said
    assert "Traceback" not in said


def test_a_second_worker_on_the_same_recovery_folder_is_refused(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    port = free_port()
    sections: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap": apache_kafka.address},
        "topics": {**create_topics(apache_kafka, "second")},
        "recovery": {"folder": str(tmp_path / "recovery")},
        "metrics": {"port": port},
    }
    settings = write_settings(tmp_path, sections)
    (tmp_path / "other").mkdir()

    with Worker(settings, port) as first:
        first.await_metrics()
        elsewhere = sections | {"metrics": {"port": 0}}
        with Worker(write_settings(tmp_path / "other", elsewhere)) as second:
            assert second.process.wait(60) == 1

        assert first.end(signal.SIGTERM) == 0
    assert f"process {first.process.pid} does" in second.log_file.read_text()
