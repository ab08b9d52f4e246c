"""What does exactly-once cost? ``python -m benchmarks.delivery`` records the CPU a reading of both.

The two ways of delivery take turns on one broker, with the same readings at the same rate; what
counts is the CPU time of the process that runs the pipeline, librdkafka's threads included, once
its groups have their first dictionaries.
"""

import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.record import Bar, record, rounded, save, tell
from tests.brokers import ApacheKafka, resolve_jars
from tests.fault.watch import written
from tests.fault.workers import Worker, create_topics, free_port, wait_until, write_settings
from tests.traffic import Record, machine, send

DELIVERIES = ("at-least-once", "exactly-once")
GROUPS, CHANNELS = 50, 64
WARM, ROWS = 200, 600  # readings of a group before the measurement, and in it
SLICES = 10  # batches a second
RATE = 3000  # readings a second
ROUNDS = 5
BAR = 1.25


def microseconds(broker: ApacheKafka, delivery: str, turn: int, records: Sequence[Record]) -> float:
    """Return the CPU time of a reading."""
    name, port = f"{delivery}.{turn}", free_port()
    topics = create_topics(broker, name)
    warm, counted = records[: WARM * GROUPS], records[WARM * GROUPS :]
    with tempfile.TemporaryDirectory() as folder:
        sections: dict[str, dict[str, object]] = {
            "kafka": {"bootstrap": broker.address, "group": name},
            "topics": {**topics},
            "recovery": {"folder": f"{folder}/recovery", "delivery": delivery},
            "metrics": {"port": port},
        }
        with Worker(write_settings(Path(folder), sections), port) as worker:
            worker.await_metrics()
            send(broker.address, topics["readings"], warm)
            wait_until(lambda: written(worker) == len(warm))
            before = cpu(worker)
            for first in range(0, len(counted), RATE // SLICES):
                began = time.monotonic()
                send(broker.address, topics["readings"], counted[first : first + RATE // SLICES])
                time.sleep(max(0.0, began + 1 / SLICES - time.monotonic()))
            wait_until(lambda: written(worker) == len(records))
            spent = cpu(worker) - before
            worker.end(signal.SIGTERM)
    return 1e6 * spent / len(counted)


def cpu(worker: Worker) -> float:
    """Return the seconds that a process has computed."""
    times = psutil.Process(worker.process.pid).cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Measure, and save."""
    began = time.monotonic()
    resolve_jars()
    records = machine([f"press-{n}" for n in range(GROUPS)], WARM + ROWS, channels=CHANNELS)
    found: dict[str, list[float]] = {delivery: [] for delivery in DELIVERIES}
    with tempfile.TemporaryDirectory() as folder, ApacheKafka(Path(folder)) as broker:
        for turn in range(ROUNDS):
            for delivery in DELIVERIES[:: 1 if turn % 2 else -1]:
                found[delivery].append(microseconds(broker, delivery, turn, records))
                print(turn, delivery, f"{found[delivery][-1]:.0f} us", flush=True)
    ratios = [each / least for least, each in zip(*found.values(), strict=True)]
    bars = [Bar("exactly-once beside at-least-once, CPU a reading", statistics.median(ratios), BAR)]
    save(
        "delivery",
        record(
            "What does exactly-once cost?",
            bars,
            began,
            rate=RATE,
            groups=GROUPS,
            channels=CHANNELS,
            microseconds={name: [rounded(each) for each in found[name]] for name in found},
            ratios=[rounded(each) for each in ratios],
        ),
    )
    tell(bars)
    sys.exit(not all(bar.holds for bar in bars))


if __name__ == "__main__":
    main()
