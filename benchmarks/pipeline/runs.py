"""Scripts of `variants` as processes: started, waited for, and what they made looked through."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Consumer

from benchmarks.pipeline import traffic
from benchmarks.pipeline.variants.order import Order, Spent
from benchmarks.pipeline.warming import warm
from tests.brokers import ApacheKafka, free_port
from tests.fault.workers import create_topics

__all__ = ["ENVIRONMENTS", "ROOT", "Bench", "Place", "Tick", "Variant", "absent"]

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = {name: ROOT / f".venv-{name}" / "bin" / "python" for name in ("quix", "faust")}
PATIENCE = 300.0
LOOK = 0.1
ENDLESS = 1 << 40  # readings that never come
SPENT = re.compile(r'\{"cpu":.*\}')
LONGEST = 3000  # characters that are told of a script that failed
SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1"}
Tick = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """A way to get from readings to codes.

    Parameters
    ----------
    name : str
    script : str
        Of `variants`.
    options : dict
        What its order says besides.
    """

    name: str
    script: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def python(self) -> str:
        """What runs it."""
        return str(ENVIRONMENTS.get(self.script, sys.executable))


class Place(NamedTuple):
    """Where a worker is: its process, and its metrics."""

    pid: int
    port: int


@dataclass(slots=True)
class Bench:
    """A broker, and a folder for what its clients keep.

    Parameters
    ----------
    name : str
        What names of topics begin with.
    broker : ApacheKafka
    folder : Path
    tick : callable
        Told what is done.
    """

    name: str
    broker: ApacheKafka
    folder: Path
    tick: Tick
    _made: int = 0
    _states: str = ""

    def preload(self, fleet: traffic.Fleet, count: int) -> tuple[str, float]:
        """Send a backlog to a new topic; return its name and the mean bytes of a reading."""
        return self.send(fleet.backlog(count), count)

    def send(self, messages: Iterable[traffic.Sent], count: int) -> tuple[str, float]:
        """Send so many readings to a new topic; return its name and the mean bytes of a message."""
        self.tick(f"sending {count} readings")
        topic = self.topics()["readings"]
        return topic, traffic.preload(self.broker.address, topic, messages)

    def warm(self, fleet: traffic.Fleet, *, rows: int = 0, phases: int = 1) -> None:
        """Let all that follows begin with groups that were learned from before; see `warm`."""
        self.tick("learning")
        self._states = warm(fleet, self.folder, rows=rows, phases=phases)

    def topics(self) -> dict[str, str]:
        """Create the four topics under new names."""
        self._made += 1
        return create_topics(self.broker, f"{self.name}-{self._made}")

    def spend(self, variant: Variant, readings: str, count: int) -> Spent:
        """Let a variant code a backlog, see that all codes are there, and return what it cost.

        The CPU of several processes is added up; the wall is that of the last one.
        """
        order = self._order(variant, count, readings=readings)
        self.tick(variant.name)
        spent = self._run(variant, [order] if order.processes == 1 else _shares(order))
        traffic.coded(self.broker.address, order.topics["codes"], count)
        return Spent(sum(each.cpu for each in spent), max(each.wall for each in spent))

    @contextmanager
    def running(self, variant: Variant, channels: int) -> Iterator[tuple[dict[str, str], Place]]:
        """Run a variant that does not end by itself; its topics, and its process."""
        order = self._order(variant, ENDLESS, channels=channels)
        order.metrics_port = free_port()
        process, log = _start(variant, order)
        try:
            yield order.topics, Place(process.pid, order.metrics_port)
            process.terminate()
            _told(variant, process, log)
        finally:
            process.kill()
            process.wait()

    def _order(
        self, variant: Variant, count: int, *, readings: str = "", channels: int = 64
    ) -> Order:
        topics = self.topics()
        folder = self.folder / f"{self.name}-{self._made}"
        folder.mkdir()
        options: dict[str, Any] = {"states": self._states, **variant.options}
        return Order(
            bootstrap=self.broker.address,
            name=f"{self.name}-{self._made}",
            topics=topics | ({"readings": readings} if readings else {}),
            count=count,
            folder=str(folder),
            channels=channels,
            **options,
        )

    def _run(self, variant: Variant, orders: Sequence[Order]) -> list[Spent]:
        running = [_start(variant, each) for each in orders]
        try:
            if len(orders) > 1:
                self._end_when_coded(orders[0], running)
            return [_told(variant, each, log) for each, log in running]
        finally:
            for process, _ in running:
                process.kill()
                process.wait()

    def _end_when_coded(self, order: Order, running: list["Running"]) -> None:
        """Several processes do not know when they have done it all between them."""
        consumer = Consumer(
            {"bootstrap.servers": order.bootstrap, "group.id": f"{order.name}.ends"}
        )
        deadline = time.monotonic() + PATIENCE
        while traffic.ends(consumer, order.topics["codes"]) < order.count:
            if time.monotonic() > deadline or any(one.poll() is not None for one, _ in running):
                break
            time.sleep(LOOK)
        consumer.close()
        time.sleep(1)  # what was written last is confirmed and counted by then
        for process, _ in running:
            process.terminate()


Running = tuple[subprocess.Popen[str], Path]


def absent() -> list[str]:
    """Name the rivals whose environment is missing."""
    return [name for name, python in ENVIRONMENTS.items() if not python.exists()]


def _shares(order: Order) -> list[Order]:
    """Give each process its part; those of a cluster already have their addresses."""
    addresses = order.addresses and tuple(
        f"127.0.0.1:{free_port()}" for _ in range(order.processes)
    )
    return [
        msgspec.structs.replace(order, process=number, addresses=addresses)
        for number in range(order.processes)
    ]


def _start(variant: Variant, order: Order) -> Running:
    log = Path(order.folder) / f"{order.process}.log"
    module = f"benchmarks.pipeline.variants.{variant.script}"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [variant.python, "-m", module, msgspec.json.encode(order).decode()],
            cwd=ROOT,
            env={**os.environ, **SINGLE_THREADED, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    return process, log


def _told(variant: Variant, process: subprocess.Popen[str], log: Path) -> Spent:
    """Wait for a process, and read its last line."""
    said, _ = process.communicate(timeout=PATIENCE)
    told = SPENT.findall(said)
    if process.returncode or not told:
        last = said[-LONGEST:] + log.read_text(errors="replace")[-LONGEST:]
        ended = f"expected to say what it spent, ended with {process.returncode}"
        msg = f"{variant.name}: {ended}:\n{last}"
        raise RuntimeError(msg)
    return msgspec.json.decode(told[-1], type=Spent)
