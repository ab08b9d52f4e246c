"""What is done to the process that runs the pipeline."""

import random
import signal
import time
from collections.abc import Callable

from tests.fault.clock import Clock
from tests.fault.faults import ALL, PORTION, Figures
from tests.fault.stage import PARTITIONS, Stage
from tests.fault.workers import Worker, wait_until

__all__ = [
    "another_process_of_the_same_name",
    "another_process_on_the_same_partitions",
    "asked_to_end_three_times",
    "clock_set_a_day_forth_and_back",
    "killed_five_times_at_a_checkpoint",
    "killed_five_times_at_random",
    "second_process_on_the_same_folder",
    "stopped_for_20_seconds",
]


def killed_five_times_at_random(stage: Stage, portion: int = 2 * PORTION) -> Figures:
    chance = random.Random(5)
    for _ in range(5):
        stage.allow(portion)
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
    clock = Clock(stage.folder)
    with stage.worker(environment=clock.environment) as worker:
        for jump in ("+0", "+1d"):
            clock.set(jump)
            stage.allow(2 * PORTION)
            stage.await_caught_up()
        clock.set("-1d")
        stage.allow(2 * PORTION)
        assert worker.process.wait(60) == 0
    assert "clock_set_back" in worker.log_file.read_text()
    with stage.worker(environment=clock.environment) as worker:
        stage.await_caught_up()
        clock.set("+1d")
        stage.allow(ALL)
        stage.await_caught_up()
        assert worker.end(signal.SIGTERM) == 0
    *_, last = worker.said()
    assert float(str(last["time"])) > time.time() + 80_000
    return {}


def another_process_on_the_same_partitions(stage: Stage) -> Figures:
    """Start a second one over a folder of its own: nothing fences it, both tell of the other."""
    stage.allow(2 * PORTION)
    with stage.worker() as first:
        stage.await_work(first, 2 * PORTION)
        wait_until(lambda: len(stage.committed()) == PARTITIONS)
        stage.snapshots = stage.folder / "another"
        with stage.worker() as second:
            second.await_metrics()
            stage.trickle(lambda: tells_of_another(first) and tells_of_another(second))
            stage.allow(ALL)
            stage.await_caught_up()
            for worker in (first, second):
                worker.await_state("idle")  # all was read, in both
                assert worker.end(signal.SIGTERM) == 0
    stage.bound += second.last_words()["received"]
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


def tells_of_another(worker: Worker) -> bool:
    told = worker.metrics().get(("oodl_oddities_total", "partitions_shared"), 0)
    return told > 0 and "Partitions shared with another process" in worker.log_file.read_text()


def until_ended(worker: Worker) -> Callable[[], bool]:
    return lambda: worker.process.poll() is not None
