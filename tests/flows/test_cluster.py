"""A cluster's processes end together, whatever they do."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.kafka import StopFlag
from flows.tools import cluster

DEAF = "from signal import *; signal(SIGTERM, SIG_IGN); print(); pause()"


def test_a_process_that_does_not_hear_is_killed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_settings: Path | None, count: int) -> list[subprocess.Popen[bytes]]:
        command = [sys.executable, "-c", DEAF]
        children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(count)]
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()  # from then on it is deaf
            child.stdout.close()
        return children

    monkeypatch.setattr(cluster, "_start", start)
    monkeypatch.setattr(cluster, "LONGEST", 0.2)
    stop = StopFlag()
    stop.set("SIGTERM")

    with pytest.raises(cluster.ClusterError, match=f"process 1 with -{signal.SIGKILL.value}"):
        cluster.run_cluster(None, 2, stop)
