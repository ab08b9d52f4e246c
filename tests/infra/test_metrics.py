"""What `/metrics` answers is as Prometheus wants it."""

import subprocess
import urllib.request

from flows import events
from flows.events import Tally
from flows.exporter import Collector, serve
from flows.settings import Settings
from tests.flows.batches import coded


def test_promtool_has_nothing_against_the_metrics(promtool: str) -> None:
    # given an endpoint, and a tally with groups, lags and times
    tally = Tally()
    events.readings_coded(tally, group="press-7", codes=coded(3))
    events.version_published(tally, group="press-7", version=coded(3).version, offset=9)
    events.lag_measured(tally, 0, 3, 1.5)
    events.broker_heard(tally, silent_seconds=0.25)
    events.epoch_chosen(tally, seconds=2.0)
    server, port = serve(Collector(tally, Settings()), "127.0.0.1", 0)
    with server:
        # when promtool reads it
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            page: bytes = answer.read()
        server.shutdown()
    command = [promtool, "check", "metrics"]
    checked = subprocess.run(command, input=page, capture_output=True, check=False)
    # then
    assert b"oodl_jumps_total" in page
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
