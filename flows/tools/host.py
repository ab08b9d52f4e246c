"""The host's own sensors, by psutil: what its CPU, memory, disks and network do now.

What the system counts from its start (bytes, packets, seconds of work) is told as a rate per
second. A figure that this system does not have is left out, and so is a rate for the one reading
where its counter appears or starts anew: a missing channel is ordinary input to the pipeline.
"""

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil  # type: ignore[import-untyped]

from flows.tools.feed import Values

__all__ = ["RATE", "Host", "Sample", "Sensor"]

RATE = 10.0
"""Readings a second; a CPU's work is counted in hundredths of one."""

CPUS, DISKS, INTERFACES = 32, 12, 16
"""At most so many of each by name: a group then stays below the 256 channels of a frame."""

VIRTUAL_DISKS = ("loop", "ram", "zram", "dm-", "md", "sr", "fd")
"""Block devices that are another's, or no disk at all."""

CPU_TIMES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
CPU_RESTS = ("idle", "iowait")
DISK_COUNTERS = ("read_bytes", "write_bytes", "read_count", "write_count", "busy_time")
INTERFACE_COUNTERS = ("bytes_sent", "bytes_recv", "packets_sent", "packets_recv")

UNAVAILABLE = (AttributeError, NotImplementedError, OSError, RuntimeError, ValueError, psutil.Error)
"""How psutil says that a system lacks something, or that /proc has it in an unknown form."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the system says at one moment: figures as they are, and counters that only grow."""

    gauges: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)


class Sensor:
    """One group of the host: gauges as they are, counters as rates per second.

    Parameters
    ----------
    probe : callable
        Asks the system for a `Sample`.
    clock : callable
        Monotonic seconds.

    Examples
    --------
    A counter that went back (its interface was set up anew) has no rate this once.

    >>> samples = iter([100.0, 150.0, 7.0, 27.0])
    >>> ticks = iter([0.0, 0.5, 1.0, 1.5])
    >>> sensor = Sensor(lambda: Sample(counters={"bytes": next(samples)}), lambda: next(ticks))
    >>> sensor.read(), sensor.read(), sensor.read()
    ({'bytes': 100.0}, {}, {'bytes': 40.0})
    """

    def __init__(
        self, probe: Callable[[], Sample], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._probe, self._clock = probe, clock
        self._before, self._at = probe().counters, clock()

    def read(self) -> dict[str, float]:
        """Return the channels there are now; rates are over the time since the last call."""
        sample, now = self._probe(), self._clock()
        before, elapsed = self._before, now - self._at
        self._before, self._at = sample.counters, now
        rates = {
            name: (count - before[name]) / elapsed
            for name, count in sample.counters.items()
            if elapsed > 0 and count >= before.get(name, float("inf"))
        }
        return {**sample.gauges, **rates}


class Host:
    """The four groups of a host: ``<name>/cpu``, ``/memory``, ``/disk`` and ``/network``."""

    def __init__(self, name: str | None = None) -> None:
        name = name or socket.gethostname()
        self._sensors = {
            f"{name}/cpu": Sensor(_cpu),
            f"{name}/memory": Sensor(_memory),
            f"{name}/disk": Sensor(_disk),
            f"{name}/network": Sensor(_network),
        }

    def readings(self) -> Iterator[tuple[str, Values]]:
        """Yield a reading of every group that has something to tell."""
        for group, sensor in self._sensors.items():
            values = sensor.read()
            if values:
                yield group, values


def _cpu() -> Sample:
    times = _figures("cpu_times")
    counters = {f"{kind}_cpus": times[kind] for kind in CPU_TIMES if kind in times}
    for number, each in enumerate(_ask("cpu_times", percpu=True, default=[])[:CPUS]):
        counters[f"cpu{number}_busy"] = sum(
            getattr(each, kind, 0.0) for kind in CPU_TIMES if kind not in CPU_RESTS
        )
    load = dict(zip(("load_1m",), _ask("getloadavg", default=()), strict=False))
    return Sample(load, counters | _figures("cpu_stats"))


def _memory() -> Sample:
    swap = _figures("swap_memory")
    gauges = _figures("virtual_memory") | _named("swap", swap, ("used",))
    return Sample(gauges, _named("swap", swap, ("sin", "sout")))


def _disk() -> Sample:
    disks: Mapping[str, Any] = _ask("disk_io_counters", perdisk=True, nowrap=False, default={})
    counters: dict[str, float] = {}
    for disk in _whole_disks(disks)[:DISKS]:
        counters |= _named(disk, disks[disk]._asdict(), DISK_COUNTERS)
    return Sample(_named("root", _figures("disk_usage", "/"), ("percent",)), counters)


def _network() -> Sample:
    interfaces: Mapping[str, Any] = _ask("net_io_counters", pernic=True, nowrap=False, default={})
    counters: dict[str, float] = {}
    for interface in sorted(interfaces)[:INTERFACES]:
        counters |= _named(interface, interfaces[interface]._asdict(), INTERFACE_COUNTERS)
    return Sample(counters=counters)


def _whole_disks(names: Iterable[str]) -> list[str]:
    """Return the disks without their partitions (``sda1``) and without virtual devices."""
    disks: list[str] = []
    for name in sorted(names):
        if not name.startswith(VIRTUAL_DISKS) and not name.startswith(tuple(disks)):
            disks.append(name)
    return disks


def _named(owner: str, figures: Mapping[str, float], wanted: Iterable[str]) -> dict[str, float]:
    return {f"{owner}_{name}": figures[name] for name in wanted if name in figures}


def _figures(what: str, *where: str) -> dict[str, float]:
    """Return the fields of one of psutil's named tuples, empty when the system has it not."""
    answer = _ask(what, *where, default=None)
    return dict(answer._asdict()) if answer is not None else {}


def _ask(what: str, *where: str, default: Any, **how: bool) -> Any:
    """Ask psutil; the default stands for what it does not offer on this system."""
    try:
        answer = getattr(psutil, what)(*where, **how)
    except UNAVAILABLE:
        return default
    return default if answer is None else answer
