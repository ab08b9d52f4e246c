"""What is done to the recovery folder."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.fault.faults import ALL, PORTION, Figures, refused, work_and_end
from tests.fault.stage import PARTITIONS, Stage
from tests.fault.workers import Worker, wait_until

__all__ = [
    "disk_full",
    "folder_deleted_twice",
    "folder_of_another_pipeline",
    "folder_read_only",
    "snapshots_cut_off",
]


def folder_deleted_twice(stage: Stage) -> Figures:
    for end in (stage.kill, ask_to_end):
        stage.allow(2 * PORTION)
        with stage.worker() as worker:
            stage.await_work(worker)
            wait_until(lambda: len(stage.committed()) == PARTITIONS)
            stage.allow(2 * PORTION)
            stage.await_work(worker, 2 * PORTION + 100)
            end(worker)
        shutil.rmtree(stage.snapshots)
    with stage.worker() as worker:
        stage.allow(ALL)
        stage.await_caught_up()
        assert worker.metrics()["oodl_oddities_total", "warm_start"] == 1
        assert worker.end(signal.SIGTERM) == 0
    assert "groups=20" in worker.log_file.read_text()
    return {}


def snapshots_cut_off(stage: Stage) -> Figures:
    work_and_end(stage)
    [file] = stage.snapshots.glob("*.sqlite3")
    os.truncate(file, file.stat().st_size // 2)
    refused(stage, "expected snapshots, got ", "delete the folder")
    shutil.rmtree(stage.snapshots)
    return {}


def folder_read_only(stage: Stage) -> Figures:
    work_and_end(stage)
    stage.snapshots.chmod(0o555)
    lock = stage.snapshots / "lock"
    lock.chmod(0o444)
    refused(stage, "expected a folder to write to", "right to write", ordinary=True)
    lock.chmod(0o644)
    [file] = stage.snapshots.glob("*.sqlite3")
    file.chmod(0o444)
    refused(stage, "read-only", "right to write", ordinary=True)
    file.chmod(0o644)
    stage.snapshots.chmod(0o755)
    return {}


def folder_of_another_pipeline(stage: Stage) -> Figures:
    work_and_end(stage)
    own = stage.topics["codes"]
    stage.topics["codes"] = f"{own}.others"
    stage.broker.create_topic(stage.topics["codes"])
    refused(stage, "topics: expected {", "name a new folder as recovery.folder")
    stage.topics["codes"] = own
    stage.kafka["group"] = "other"
    refused(stage, f"group: expected '{stage.name}', got 'other'", "name a new folder")
    del stage.kafka["group"]
    with type(stage.broker)(stage.folder / "other") as other:
        for topic in stage.topics.values():
            other.create_topic(topic, partitions=PARTITIONS)
        stage.kafka["bootstrap"] = other.address
        refused(stage, "cluster: expected '", "name a new folder as recovery.folder")
        del stage.kafka["bootstrap"]
    return {}


def disk_full(stage: Stage) -> Figures:
    disk = stage.folder / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=32m,mode=0700", "tmpfs"]
    subprocess.run(["mount", *options, f"{disk}"], check=True)
    stage.undo.callback(subprocess.run, ["umount", "-l", f"{disk}"], check=True)
    stage.snapshots, other = disk / "recovery", disk / "other"
    stage.allow(PORTION)
    with stage.worker() as worker:
        stage.await_work(worker, PORTION)
        worker.await_snapshot(stage.snapshots)
        stage.allow(PORTION)
        fill(other)
        assert worker.process.wait(60) == 1
    told = worker.log_file.read_text()
    assert "expected to write a snapshot, got: database or disk is full; make room" in told
    refused(stage, "recovery.folder")
    other.unlink()
    stage.allow(ALL)
    return {}


def fill(file: Path) -> None:
    """Write to a file until its disk is full."""
    with pytest.raises(OSError, match="No space"):
        file.write_bytes(bytes(64 << 20))


def ask_to_end(worker: Worker) -> None:
    assert worker.end(signal.SIGTERM) == 0
