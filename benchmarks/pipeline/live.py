"""A worker under a live load: how late its codes are, and what it computes."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import numpy as np
import psutil  # type: ignore[import-untyped]
from confluent_kafka import Consumer, TopicPartition

from benchmarks.pipeline.feeding import Fed, Feed
from benchmarks.pipeline.runs import ROOT, Bench, Place, Variant
from benchmarks.pipeline.traffic import SECONDS, Fleet, MissingError
from benchmarks.record import rounded

__all__ = ["Live", "Load", "live"]

PATIENCE = 30.0  # seconds without a code after which none comes; the worker may have to start
HELD = "oodl_snapshots_held_seconds_total "
SETTLING = 2.0  # seconds of a load that do not count


class _Stamped(msgspec.Struct):
    ts: float


_STAMPED = msgspec.json.Decoder(_Stamped)


@dataclass(frozen=True, slots=True)
class Load:
    """What a load led to.

    Parameters
    ----------
    rate : int
        Readings a second that were asked for.
    held : float
        Share of it at which codes came.
    late : float
        Most seconds by which the sender was late.
    microseconds : float
        CPU of the worker a reading, what it needs while idle included.
    p50, p99 : float
        Milliseconds from sending a reading to reading its code.
    seconds : float
        From the first reading to the last code.
    """

    rate: int
    held: float
    late: float
    microseconds: float
    p50: float
    p99: float
    seconds: float

    def as_json(self) -> dict[str, float]:
        """Return the figures with three digits."""
        names = ("rate", "held", "late", "microseconds", "p50", "p99", "seconds")
        return {name: rounded(getattr(self, name)) for name in names}


class Live:
    """A worker that runs.

    Parameters
    ----------
    bench : Bench
    fleet : Fleet
    topics : dict of str to str
    at : Place
        Of the worker.
    """

    def __init__(self, bench: Bench, fleet: Fleet, topics: dict[str, str], at: Place) -> None:
        self._bench, self._fleet, self._topics = bench, fleet, topics
        self._process, self._port = psutil.Process(at.pid), at.port
        self._consumer = Consumer({
            "bootstrap.servers": bench.broker.address,
            "group.id": f"{topics['codes']}.reader",
            "enable.auto.commit": False,
        })  # fmt: skip
        parts = self._consumer.list_topics(topics["codes"], SECONDS).topics[topics["codes"]]
        self._consumer.assign([TopicPartition(topics["codes"], n, 0) for n in parts.partitions])

    def load(self, rate: int, seconds: float) -> Load:
        """Send at a rate, and read what comes.

        Raises
        ------
        MissingError
            When a reading has no code.
        """
        self._bench.tick(f"{rate} a second, {self._fleet.groups} groups")
        feed = Feed(
            bootstrap=self._bench.broker.address,
            topic=self._topics["readings"],
            groups=self._fleet.groups,
            channels=self._fleet.channels,
            rate=rate,
            seconds=seconds + SETTLING,
        )
        before = self.cpu()
        came = self._read_while(feed)
        fed, spent = came.fed, self.cpu() - before
        if len(came.stamps) != fed.sent:
            msg = (
                f"{rate}/s: expected a code of each of {fed.sent} readings, got {len(came.stamps)}"
            )
            raise MissingError(msg)
        stamps, moments = np.array(came.stamps), np.array(came.moments)
        counted = stamps > stamps.min() + SETTLING
        waited = 1e3 * (moments - stamps)[counted]
        span = moments.max() - moments[counted].min()
        p50, p99 = np.percentile(waited, (50, 99)).tolist()
        return Load(
            rate,
            min(1.0, float(counted.sum() / span / rate)),
            fed.late,
            1e6 * spent / fed.sent,
            p50,
            p99,
            float(moments.max() - stamps.min()),
        )

    def idle(self, seconds: float) -> float:
        """Return the share of a core that is computed while nothing comes."""
        self._bench.tick("idle")
        before, began = self.cpu(), time.monotonic()
        time.sleep(seconds)
        return (self.cpu() - before) / (time.monotonic() - began)

    def held_by_snapshots(self) -> float:
        """Return the seconds that snapshots have held the worker."""
        place = f"http://127.0.0.1:{self._port}/metrics"
        with urllib.request.urlopen(place) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(HELD):
                    return float(line.removeprefix(HELD))
        msg = f"{place}: expected {HELD.strip()}, got none"
        raise MissingError(msg)

    def cpu(self) -> float:
        """Return the seconds that the worker has computed."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def close(self) -> None:
        """Read no more."""
        self._consumer.close()

    def _read_while(self, feed: Feed) -> "_Came":
        command = [sys.executable, "-m", "benchmarks.pipeline.feeding"]
        given = msgspec.json.encode(feed).decode()
        feeding = subprocess.Popen([*command, given], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            return self._read(feeding)
        finally:
            feeding.kill()
            feeding.wait()

    def _read(self, feeding: subprocess.Popen[str]) -> "_Came":
        """Read codes until there is one of each reading, or none comes any more."""
        stamps: list[float] = []
        moments: list[float] = []
        fed: Fed | None = None
        last = time.time()
        while fed is None or (len(stamps) < fed.sent and time.time() < last + PATIENCE):
            first = self._consumer.poll(0.1)  # wakes as soon as there is one
            raws = [first, *self._consumer.consume(5000, 0)] if first is not None else []
            now = time.time()
            stamps += [_STAMPED.decode(raw.value() or b"").ts for raw in raws]
            moments += [now] * len(raws)
            last = now if raws else last
            if fed is None and feeding.poll() is not None:
                fed, last = msgspec.json.decode(feeding.communicate()[0], type=Fed), now
        return _Came(fed, stamps, moments)


@dataclass(frozen=True, slots=True)
class _Came:
    fed: Fed
    stamps: list[float]
    moments: list[float]


@contextmanager
def live(bench: Bench, fleet: Fleet, variant: Variant) -> Iterator[Live]:
    """Run a worker; it has answered readings of every group when this begins."""
    with bench.running(variant, fleet.channels) as (topics, at):
        worker = Live(bench, fleet, topics, at)
        worker.load(fleet.groups, 1.0)
        yield worker
        worker.close()
