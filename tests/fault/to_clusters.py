"""What is done to several processes that run the pipeline as one cluster."""

import pickle
import signal
import time
from collections import Counter

from flows import snapshots
from flows.state import unpack
from oodl.channels import AGREEING
from tests.fault.faults import PORTION, Figures
from tests.fault.stage import Stage
from tests.traffic import codes_by_position, read

__all__ = ["cluster_of_two_with_one_killed", "rescaled_1_2_1_3_2_1", "rows_of_every_group"]


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


def rows_of_every_group(stage: Stage) -> None:
    """See that every group has learned from each of its readings, and from each once."""
    coded = codes_by_position(read(stage.broker.address, stage.topics["codes"]))
    rows = Counter(codes[0].group for codes in coded.values())
    found = {
        group: unpack(pickle.loads(packed))[0].frames + AGREEING - 1
        for group, packed in snapshots.read(stage.snapshots, snapshots.GROUPS)
    }
    assert found == dict(rows)
