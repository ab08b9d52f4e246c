"""The question: does a process stay within its memory, at full rate and while nothing is confirmed.

``python -m benchmarks.soak`` runs ``oodl run`` on an Apache Kafka that it starts, with readings of
1,000 groups that come faster than they can be coded. After a while a quota lets the broker confirm
nothing more of what is written, while it gives readings as before: back-pressure has to stop them.
Then the quota is taken away, and the rest is coded.
"""

import argparse
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import count, cycle
from pathlib import Path

import msgspec
import numpy as np
import psutil  # type: ignore[import-untyped]
from confluent_kafka import Producer

from benchmarks.record import Bar, record, save, tell
from oodl.synthetic import Planted, Sensors, random_orthogonal
from tests.brokers import ApacheKafka, resolve_jars
from tests.fault.workers import Worker, create_topics, free_port, write_settings

__all__ = ["Sample", "growth"]

JARS = str(Path(__file__).parents[1] / "infra" / "broker" / "target" / "jars" / "*")
CHANNELS, DENSITY, SNR_DB = 8, 0.2, 26.0
ROWS = 100  # different readings of a group; they come again
PERIOD = 0.5  # seconds between two samples
WARM = 0.5  # share of the readings after which every group learns from its longest chunks
HELD_UP = 0.8  # share after which nothing is confirmed for a while
SHARE = 0.2  # of the samples of a phase, at either end, that are compared
STILL = 10.0  # seconds without a code after which nothing is on its way any more
ATTEMPTS = 5  # on a machine that has too much to do the tool gives up early
WINDOW = {"quota.window.size.seconds": "60"}  # times 11 is how long the broker may hold a client up
AHEAD = 200_000  # readings sent and not yet coded, at most
START = 1.76e9
MEGABYTE = 1e6
GROWTH = 0.02
MOST = 200  # samples that are recorded


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at a moment.

    Parameters
    ----------
    seconds : float
        Since it reads.
    phase : str
        ``warm-up``, ``full rate``, ``blocking``, ``blocked`` or ``after``.
    received, coded : int
        Readings that were read, and those of them with a confirmed code.
    megabytes : float
        Resident.
    files, threads : int
    """

    seconds: float
    phase: str
    received: int
    coded: int
    megabytes: float
    files: int
    threads: int


def growth(samples: Sequence[Sample], phase: str, figure: str) -> float:
    """Return by how much a figure has grown from the first fifth of a phase to the last one.

    Examples
    --------
    >>> samples = [Sample(t, "full rate", 0, 0, 100.0 + t, 9, 9) for t in range(11)]
    >>> growth(samples, "full rate", "megabytes"), growth(samples, "full rate", "files")
    (0.0896, 0.0)
    """
    values = [getattr(sample, figure) for sample in samples if sample.phase == phase]
    ends = max(1, round(SHARE * len(values)))
    first: float = statistics.median(values[:ends])
    last: float = statistics.median(values[-ends:])
    return round(last / first - 1, 4)


class Watch:
    """Samples a worker until it is told to stop, in a thread of its own."""

    def __init__(self, worker: Worker) -> None:
        self.phase = "warm-up"
        self.samples: list[Sample] = []
        self._worker, self._process = worker, psutil.Process(worker.process.pid)
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def coded(self) -> int:
        """Readings with a confirmed code at the last sample."""
        return self.samples[-1].coded if self.samples else 0

    def until(self, coded: int) -> None:
        """Return when so many readings have their code."""
        while self.coded < coded:
            if not self._thread.is_alive():
                msg = f"soak: expected {coded} codes, got {self.coded}; the worker has ended"
                raise RuntimeError(msg)
            time.sleep(PERIOD)

    def until_still(self) -> None:
        """Return when for some seconds no code was confirmed."""
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < STILL:
            if self.coded != seen:
                seen, since = self.coded, time.monotonic()
            time.sleep(PERIOD)

    def stop(self) -> None:
        """Take no more samples."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD) and self._process.is_running():
            shown = self._worker.metrics()
            self.samples.append(
                Sample(
                    round(time.monotonic() - self._began, 1),
                    self.phase,
                    int(shown["oodl_readings_received_total", ""]),
                    int(shown["oodl_codes_sent_total", ""]),
                    round(self._process.memory_info().rss / MEGABYTE, 1),
                    self._process.num_fds(),
                    self._process.num_threads(),
                )
            )


def readings(groups: int, seed: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and messages without end, a reading of each group after the other."""
    rng = np.random.default_rng(seed)
    texts = []
    for _ in range(groups):
        planted = Planted(random_orthogonal(CHANNELS, rng), DENSITY, SNR_DB)
        sensors = Sensors(planted, rng.normal(0, 10, CHANNELS), rng.uniform(0.5, 2, CHANNELS))
        drawn = sensors.draw(ROWS, rng).round(4).tolist()
        texts.append([msgspec.json.encode(row) for row in drawn])
    for turn, row in zip(count(), cycle(range(ROWS))):
        for number in range(groups):
            values = texts[number][row]
            yield b"press-%d" % number, b'{"ts":%d,"values":%s}' % (START + turn, values)


def send(producer: Producer, topic: str, messages: Iterator[tuple[bytes, bytes]], total: int,
         coded: Callable[[], int]) -> None:  # fmt: skip
    """Send readings, always more than there are codes, and never too many more."""
    for number in range(total):
        key, value = next(messages)
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
            while number - coded() > AHEAD:
                time.sleep(0.05)
    producer.flush()


def hold_up(broker: ApacheKafka, change: str) -> None:
    """Change the quota of what the worker may write: so small that it waits for minutes."""
    command = ["java", "-Xmx128m", "-cp", JARS, "kafka.admin.ConfigCommand", "--alter"]
    command += [change, "--bootstrap-server", broker.address]
    for left in reversed(range(ATTEMPTS)):
        ended = subprocess.run(
            [*command, "--entity-type=clients", "--entity-name=oodl"],
            capture_output=True,
            text=True,
            check=False,
        )
        if not ended.returncode:
            return
        if not left:
            msg = f"soak: expected a quota to be changed, got: {ended.stdout}{ended.stderr}"
            raise RuntimeError(msg)


def soak(
    folder: Path, total: int, groups: int, blocked: float
) -> tuple[list[Sample], dict[str, int]]:
    """Run one worker through all phases; its samples, and what it said at its end."""
    resolve_jars()
    with ApacheKafka(folder / "kafka", WINDOW) as broker:
        topics = create_topics(broker, "soak")
        port = free_port()
        settings = write_settings(
            folder,
            {
                "kafka": {"bootstrap": broker.address, "delivery_seconds": 300},
                "topics": {**topics},
                "recovery": {"folder": str(folder / "recovery")},
                "metrics": {"port": port},
            },
        )
        with Worker(settings, port) as worker:
            worker.await_metrics()
            watch = Watch(worker)
            producer = Producer(
                {
                    "bootstrap.servers": broker.address,
                    "partitioner": "consistent",
                    "linger.ms": 50,
                }
            )
            given = producer, topics["readings"], readings(groups), total, lambda: watch.coded
            sender = threading.Thread(target=send, args=given, daemon=True)
            sender.start()
            watch.until(int(WARM * total))
            watch.phase = "full rate"
            watch.until(int(HELD_UP * total))
            watch.phase = "blocking"
            hold_up(broker, "--add-config=producer_byte_rate=1")
            watch.until_still()
            watch.phase = "blocked"
            time.sleep(blocked)
            watch.phase = "after"
            hold_up(broker, "--delete-config=producer_byte_rate")
            watch.until(total)
            watch.stop()
            sender.join()
            if worker.end(signal.SIGTERM):
                msg = f"soak: expected the worker to end with 0: {worker.log_file.read_text()}"
                raise RuntimeError(msg)
            return watch.samples, worker.last_words()


def main() -> None:
    """Soak, and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=1_200_000)
    parser.add_argument("--groups", type=int, default=1000)
    parser.add_argument("--blocked", type=float, default=60.0, help="seconds")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        samples, said = soak(Path(folder), given.readings, given.groups, given.blocked)
    phases = "full rate", "blocked"
    held = [sample for sample in samples if sample.phase == "blocked"]
    if held[-1].coded == given.readings:
        msg = "soak: expected readings left to code while nothing is confirmed; ask for more"
        raise SystemExit(msg)
    bars = [
        *(Bar(f"memory's growth, {phase}", growth(samples, phase, "megabytes"), GROWTH)
          for phase in phases),
        *(Bar(f"growth of open files, {phase}", growth(samples, phase, "files"), 0.0)
          for phase in phases),
        *(Bar(f"growth of threads, {phase}", growth(samples, phase, "threads"), 0.0)
          for phase in phases),
        Bar("codes confirmed, blocked", held[-1].coded - held[0].coded, 0),
        Bar("readings without a code", given.readings - said["codes_sent"], 0),
    ]  # fmt: skip
    setting = {
        "readings": given.readings,
        "groups": given.groups,
        "channels": CHANNELS,
        "blocked_seconds": given.blocked,
    }
    result = record(
        "memory, open files and threads over a soak, and while nothing is confirmed",
        bars,
        began,
        setting=setting,
        columns=[field.name for field in fields(Sample)],
        samples=[list(astuple(sample)) for sample in samples[:: -(-len(samples) // MOST)]],
    )
    save("soak", result)
    tell(bars)


if __name__ == "__main__":
    main()
