"""What is done to the process that runs the pipeline."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.fault.faults import ALL, PORTION, Figures
from tests.fault.stage import Stage
from tests.fault.workers import Worker

__all__ = [
    "another_process_of_the_same_name",
    "asked_to_end_three_times",
    "clock_set_a_day_forth_and_back",
    "killed_five_times_at_a_checkpoint",
    "killed_five_times_at_random",
    "second_process_on_the_same_folder",
    "stopped_for_20_seconds",
]


def killed_five_times_at_random(stage: Stage) -> Figures:
    chance = random.Random(5)
    for _ in range(5):
        stage.allow(2 * PORTION)
        with stage.worker() as worker:
            stage.await_work(worker)
            stage.trickle(after(chance.uniform(0.0, 2.0)))
            stage.kill(worker)
    return {}


def killed_five_times_at_a_checkpoint(stage: Stage) -> Figures:
    within = "between" if stage.delivery == "exactly-once" else "before"
    for place in ("after", within, "before", within, "after"):
        program = ("-m", "tests.fault.dying", place, "run", "--settings")
        with stage.worker(program) as worker:
            stage.trickle(until_ended(worker))
            assert worker.process.returncode == -signal.SIGKILL
    return {}


def asked_to_end_three_times(stage: Stage) -> Figures:
    for _ in range(3):
        stage.allow(PORTION)
        with stage.worker() as worker:
            stage.await_work(worker)
            stage.allow(2 * PORTION)
            assert worker.end(signal.SIGTERM) == 0
    return {}


def stopped_for_20_seconds(stage: Stage) -> Figures:
    with stage.worker() as worker:
        stage.await_work(worker)
        worker.process.send_signal(signal.SIGSTOP)
        time.sleep(20)
        worker.process.send_signal(signal.SIGCONT)
        stage.await_caught_up()
        assert worker.end(signal.SIGTERM) == 0
    return {}


def clock_set_a_day_forth_and_back(stage: Stage) -> Figures:
    clock = stage.folder / "clock"
    [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")  # Debian: faketime
    faked = {"LD_PRELOAD": f"{library}", "FAKETIME_TIMESTAMP_FILE": f"{clock}",
             "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}  # fmt: skip
    clock.write_text("+0\n")
    with stage.worker(environment=faked) as worker:
        for jump in ("+0", "+1d", "-1d", "+1d"):
            clock.write_text(f"{jump}\n")
            stage.allow(2 * PORTION)
            stage.await_caught_up()
        stage.allow(ALL)
        stage.await_caught_up()
        assert worker.end(signal.SIGTERM) == 0
    *_, last = worker.said()
    assert float(str(last["time"])) > time.time() + 80_000
    return {}


def second_process_on_the_same_folder(stage: Stage) -> Figures:
    with stage.worker() as worker:
        stage.await_work(worker)
        with stage.worker() as second:
            assert second.process.wait(60) == 1
        assert f"process {worker.process.pid} does" in second.log_file.read_text()
        stage.await_caught_up()
        assert worker.end(signal.SIGTERM) == 0
    return {}


def another_process_of_the_same_name(stage: Stage) -> Figures:
    stage.allow(PORTION)
    with stage.worker() as first:
        stage.await_work(first)
        stage.snapshots = stage.folder / "another"
        with stage.worker() as second:
            stage.trickle(until_ended(first))
            assert first.process.returncode == 1
            stage.allow(ALL)
            stage.await_caught_up()
            assert second.end(signal.SIGTERM) == 0
    assert any("Name taken" in str(line["message"]) for line in first.said())
    return {}


def after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def until_ended(worker: Worker) -> Callable[[], bool]:
    return lambda: worker.process.poll() is not None
