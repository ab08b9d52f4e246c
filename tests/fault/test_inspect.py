"""What `oodl inspect` tells of a pipeline on Apache Kafka, beside what that tells itself."""

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flows.kafka import client_options
from flows.settings import load
from flows.tools.fleet import Fleet
from flows.tools.sender import Sender
from tests.brokers import ApacheKafka
from tests.fault.workers import PATIENCE, Worker, create_topics, free_port, write_settings

pytestmark = pytest.mark.operation

ROOT = Path(__file__).parents[2]
START, READINGS = 1_772_438_400.0, 300


def inspected(settings: Path) -> tuple[dict[str, dict[str, Any]], str]:
    """Each group as it is told, and what could not be reached."""
    command = [sys.executable, "-m", "flows", "inspect", "--json", "--settings", str(settings)]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, ended.stderr
    rows = map(json.loads, ended.stdout.splitlines())
    return {row["group"]: row for row in rows}, ended.stderr


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_what_is_told_is_what_the_pipeline_has_done(
    delivery: str, apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    # given a pipeline that has coded all there is
    port = free_port()
    settings = write_settings(tmp_path, {
        "kafka": {"bootstrap": apache_kafka.address, "group": f"inspect.{delivery}"},
        "topics": {**create_topics(apache_kafka, f"inspect.{delivery}", partitions=3)},
        "recovery": {"folder": str(tmp_path / "recovery"), "delivery": delivery},
        "metrics": {"port": port},
    })  # fmt: skip
    chosen, fleet = load(settings), Fleet(machines=3, sensors=1)
    with Worker(settings, port) as worker:
        with closing(Sender(client_options(chosen), chosen.topics.readings)) as sender:
            for number in range(READINGS):
                for group, values in fleet.readings():
                    sender.send(group, START + number, values)
        worker.await_metrics()
        worker.await_state("idle")
        # when it is looked at while it runs
        running, said = inspected(settings)
        metrics = worker.metrics()
        assert worker.end(signal.SIGTERM) == 0
    stopped, then_said = inspected(settings)
    # then versions are its own, and the rest is what was sent and promised
    assert sorted(running) == sorted(fleet.sources)
    for group, row in running.items():
        assert row["version"] == metrics["oodl_version", group] >= 1
        assert row["last_reading"] == "2026-03-02T08:04:59Z"
        assert 0 < row["error"] <= 0.1
        assert 0 < row["density"] < 1
        assert row["state_bytes"] > 1000
    assert said == ""
    # and once it has ended nothing lags, and it is said that it is gone
    assert [row["lag"] for row in stopped.values()] == [0] * len(fleet.sources)
    assert "pipeline: no answer" in then_said
