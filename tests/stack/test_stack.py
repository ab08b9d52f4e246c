"""The servers that other tests ask run as an ordinary user, and answer."""

from pathlib import Path

import pytest

from flows import events
from flows.events import Tally
from flows.exporter import Collector, serve
from flows.settings import Settings
from tests.brokers import ApacheKafka
from tests.stack.alertmanager import Alertmanager
from tests.stack.pipeline import Pipeline
from tests.stack.programs import wait_until
from tests.stack.prometheus import Prometheus, QueryError

pytestmark = pytest.mark.usefixtures("stack_programs")

ALWAYS = """
groups:
  - name: test
    rules:
      - alert: Always
        expr: vector(1)
"""


def test_prometheus_scrapes_the_pipeline_and_tells_alertmanager() -> None:
    # given an exporter, and a rule that always fires
    tally = Tally()
    events.readings_received(tally, 7)
    server, port = serve(Collector(tally, Settings()), "127.0.0.1", 0)
    rules = {"oodl.rules.yml": ALWAYS}
    with (
        server,
        Alertmanager() as alertmanager,
        Prometheus(
            {"oodl": [f"127.0.0.1:{port}"]}, alertmanagers=[alertmanager.address], rules=rules
        ) as prometheus,
    ):
        # when
        prometheus.await_scrape()
        # then
        assert prometheus.value("oodl_readings_received_total") == 7
        wait_until(lambda: prometheus.firing() == {"Always"}, "the alert fires")
        wait_until(lambda: alertmanager.active() == {"Always"}, "the alert has come")
        assert owner(prometheus.pid) != 0
        assert owner(alertmanager.pid) != 0
        with pytest.raises(QueryError, match="parse error"):
            prometheus.query("sum(")
        server.shutdown()


def owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def test_a_plant_feeds_the_pipeline_and_prometheus_sees_it(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    # given the pipeline on a broker
    with (
        Pipeline(apache_kafka, tmp_path, "seen") as pipeline,
        Prometheus({"oodl": [pipeline.address]}, rules={}) as prometheus,
    ):
        # when every group has a version
        pipeline.await_versions(1)
        # then Prometheus tells them
        prometheus.await_value(f"count(oodl_version >= 1) == {len(pipeline.plant.groups)}")
        assert prometheus.value("oodl_dead_letters_sent_total") == 0
