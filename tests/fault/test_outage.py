"""A broker that goes away for a while: the worker waits, loses nothing and repeats nothing."""

import signal
from pathlib import Path

from tests.brokers import ApacheKafka
from tests.fault.workers import Worker, create_topics, free_port, wait_until, write_settings
from tests.traffic import codes_by_position, machine, read, send

GROUPS = [f"press-{number}" for number in range(6)]


def test_a_worker_outlives_the_end_of_its_broker_and_goes_on_with_the_next(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    topics, port = create_topics(apache_kafka, "outage"), free_port()
    sections: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap": apache_kafka.address},
        "topics": {**topics},
        "recovery": {"folder": str(tmp_path / "recovery")},
        "metrics": {"port": port},
    }
    rows = machine(GROUPS, 200)
    with Worker(write_settings(tmp_path, sections), port) as worker:
        worker.await_metrics()
        sent = send(apache_kafka.address, topics["readings"], rows[:600])

        apache_kafka.kill()
        apache_kafka.start()

        sent += send(apache_kafka.address, topics["readings"], rows[600:])
        wait_until(lambda: worker.metrics()["oodl_codes_sent_total", ""] >= len(sent))
        assert worker.end(signal.SIGTERM) == 0

    coded = codes_by_position(read(apache_kafka.address, topics["codes"]))
    assert sorted(coded) == sorted(record.position for record in sent)
    assert {len(codes) for codes in coded.values()} == {1}


def test_a_worker_with_nothing_unconfirmed_ends_with_0_though_its_broker_is_away(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    topics, port = create_topics(apache_kafka, "away"), free_port()
    sections: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap": apache_kafka.address},
        "topics": {**topics},
        "recovery": {"folder": str(tmp_path / "recovery")},
        "metrics": {"port": port},
    }
    with Worker(write_settings(tmp_path, sections), port) as worker:
        worker.await_metrics()
        sent = send(apache_kafka.address, topics["readings"], machine(GROUPS, 20))
        wait_until(lambda: worker.metrics()["oodl_codes_sent_total", ""] == len(sent))

        apache_kafka.freeze()
        try:
            ended = worker.end(signal.SIGTERM)
        finally:
            apache_kafka.thaw()

    assert ended == 0
