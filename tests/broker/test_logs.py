"""What `oodl run` writes to the standard error output, in the form that was chosen."""

import json
import signal
from pathlib import Path

import pytest

from flows.settings import Settings
from tests.fault.workers import Worker, free_port, write_settings


@pytest.mark.parametrize(
    ("chosen", "begins"),
    [({}, "{"), ({"OODL_LOG__FORMAT": "text"}, "0123456789"), ({"OODL_LOG__LEVEL": "debug"}, "{")],
    ids=["auto", "text", "debug"],
)
def test_a_file_gets_json_unless_text_is_asked_for(
    settings: Settings, tmp_path: Path, chosen: dict[str, str], begins: str
) -> None:
    # given a worker whose log goes to a file
    port = free_port()
    sections: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap": settings.kafka.bootstrap},
        "recovery": {"folder": str(tmp_path / "recovery")},
        "metrics": {"port": port},
    }
    # when it runs and is asked to end
    with Worker(write_settings(tmp_path, sections), port, environment=chosen) as worker:
        worker.await_metrics()
        assert worker.end(signal.SIGTERM) == 0
    # then each line has that form, down to the last, which tells what was counted
    lines = worker.log_file.read_text().splitlines()
    assert all(line[0] in begins for line in lines)
    assert "Flow ended. received=0" in lines[-1]
    if begins == "{":
        told = [json.loads(line) for line in lines]
        assert {"time", "level", "event", "message"} <= set.intersection(*map(set, told))
        grades = {line["level"] for line in told}
        assert grades == ({"info", "debug"} if chosen else {"info"})
