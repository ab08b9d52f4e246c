"""What is done to several processes that run the pipeline, as one cluster or independently."""

import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack

from flows import snapshots
from flows.state import unpack
from oodl.channels import AGREEING
from tests.fault.faults import PORTION, Figures, refused
from tests.fault.stage import Stage
from tests.fault.watch import written
from tests.fault.workers import wait_until
from tests.traffic import codes_by_position, read

__all__ = [
    "cluster_of_two_with_one_killed",
    "rebalanced_2_3_1",
    "rescaled_1_2_1_3_2_1",
    "rows_of_every_group",
]


def cluster_of_two_with_one_killed(stage: Stage) -> Figures:
    took = 0.0
    for number in (1, 0):
        stage.allow(2 * PORTION)
        with stage.worker(processes=2) as cluster:
            stage.await_work(cluster)
            stage.allow(2 * PORTION)
            began = time.monotonic()
            stage.kill_of_cluster(cluster, [number])
            took = max(took, time.monotonic() - began)
        assert f"process {number} with -9" in cluster.log_file.read_text()
        last = cluster.said()[-1]
        assert (last["process"], "received" in last) == (1 - number, True)
    stage.allow(2 * PORTION)
    with stage.worker(processes=2) as cluster:
        cluster.await_metrics()
        assert cluster.end(signal.SIGTERM) == 0
    return {"others ended": round(took, 1)}


def rescaled_1_2_1_3_2_1(stage: Stage) -> Figures:
    for processes, killed in ((1, True), (2, False), (1, False), (3, True), (2, True)):
        stage.allow(2 * PORTION)
        with stage.worker(processes=processes) as worker:
            worker.await_metrics()
            stage.allow(PORTION)
            if not killed:
                stage.await_work(worker)
                assert worker.end(signal.SIGTERM) == 0
            elif processes == 1:
                stage.await_work(worker)
                stage.kill(worker)
            else:
                stage.kill_of_cluster(worker, range(processes))
    return {}


def rebalanced_2_3_1(stage: Stage) -> Figures:
    for count, killed in ((2, False), (3, True)):
        stage.allow(2 * PORTION)
        with ExitStack() as running:
            workers = []
            for index in range(count):
                place = {"OODL_WORKERS__INDEX": f"{index}", "OODL_WORKERS__COUNT": f"{count}"}
                worker = running.enter_context(stage.worker(environment=place))
                worker.await_metrics()
                workers.append(worker)
            wait_until(lambda workers=workers: sum(map(written, workers)) >= 100)  # type: ignore[misc]
            assert "does; stop that one" in rebalance(stage, 1, code=1)
            stage.allow(PORTION)
            for worker in workers:
                if killed:
                    stage.kill(worker)
                else:
                    assert worker.end(signal.SIGTERM) == 0
        refused(stage, f"workers.count = {count}, got 1", "oodl rebalance")
        more = 1 if count == 3 else 3
        assert rebalance(stage, more) == f"{count} workers to {more}: 6 partitions, 20 groups\n"
    return {}


def rebalance(stage: Stage, workers: int, code: int = 0) -> str:
    """Call `oodl rebalance`, and return what it says."""
    command = [sys.executable, "-m", "flows", "rebalance", "--workers", str(workers)]
    command += ["--settings", str(stage.folder / "oodl.toml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    return ended.stderr if code else ended.stdout


def rows_of_every_group(stage: Stage) -> None:
    """See that every group has learned from each of its readings, and from each once."""
    coded = codes_by_position(read(stage.broker.address, stage.topics["codes"]))
    rows = Counter(codes[0].group for codes in coded.values())
    found = {
        group: unpack(pickle.loads(packed))[0].frames + AGREEING - 1
        for group, packed in snapshots.read(stage.snapshots, snapshots.GROUPS)
    }
    assert found == dict(rows)
