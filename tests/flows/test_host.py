import math
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from flows.tools import host
from flows.tools.host import Host, Sample, Sensor


def counted(*counts: dict[str, float], every: float = 0.5) -> Sensor:
    samples = iter([Sample(counters=count) for count in counts])
    ticks = iter([number * every for number in range(len(counts))])
    return Sensor(lambda: next(samples), lambda: next(ticks))


def channels(readings: Iterable[tuple[str, Any]], group: str) -> dict[str, float]:
    return dict(dict(readings).get(f"here/{group}", {}))


def disk(read: float) -> SimpleNamespace:
    return SimpleNamespace(_asdict=lambda: {"read_bytes": read, "busy_time": 2 * read, "other": 1})


def test_the_host_has_four_groups_of_finite_numbers_by_name() -> None:
    readings = dict(Host("here").readings())

    assert readings.keys() <= {"here/cpu", "here/memory", "here/disk", "here/network"}
    assert {"here/cpu", "here/memory"} <= readings.keys()
    for values in readings.values():
        assert isinstance(values, dict)
        assert all(math.isfinite(value) for value in values.values())


def test_a_group_s_channels_are_the_same_in_every_reading() -> None:
    sensors = Host("here")

    first, second = dict(sensors.readings()), dict(sensors.readings())

    assert {group: set(values) for group, values in first.items()} == {
        group: set(values) for group, values in second.items()
    }


def test_a_counter_is_told_as_a_rate_per_second() -> None:
    sensor = counted({"bytes": 1000.0}, {"bytes": 1200.0}, {"bytes": 1200.0})

    assert sensor.read() == {"bytes": 400.0}
    assert sensor.read() == {"bytes": 0.0}


def test_a_gauge_is_told_as_it_is() -> None:
    assert Sensor(lambda: Sample(gauges={"load": 1.5})).read() == {"load": 1.5}


def test_a_counter_that_starts_anew_is_left_out_once() -> None:
    sensor = counted({"a": 10.0, "b": 0.0}, {"a": 3.0, "b": 1.0}, {"a": 5.0, "b": 2.0})

    assert sensor.read() == {"b": 2.0}
    assert sensor.read() == {"a": 4.0, "b": 2.0}


def test_a_counter_that_appears_has_a_rate_from_its_second_sample() -> None:
    sensor = counted({}, {"usb": 8.0}, {"usb": 9.0})

    assert sensor.read() == {}
    assert sensor.read() == {"usb": 2.0}


def test_no_rate_is_told_when_no_time_has_passed() -> None:
    sensor = counted({"bytes": 1.0}, {"bytes": 2.0}, every=0.0)

    assert sensor.read() == {}


def test_a_disk_that_vanishes_is_missing_and_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plugged = iter([{"sda": 0.0, "sdb": 0.0}, {"sda": 1.0, "sdb": 1.0}, {"sda": 2.0}])
    monkeypatch.setattr(
        psutil,
        "disk_io_counters",
        lambda **_: {name: disk(read) for name, read in next(plugged).items()},
    )
    sensors = Host("here")

    both, one = (channels(sensors.readings(), "disk") for _ in range(2))

    assert {"sda_read_bytes", "sdb_read_bytes"} <= both.keys()
    assert both.keys() - one.keys() == {"sdb_read_bytes", "sdb_busy_time"}


def test_partitions_and_virtual_disks_are_no_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("nvme0n1", "nvme0n1p1", "sda", "sda1", "loop0", "zram0", "dm-0")
    monkeypatch.setattr(psutil, "disk_io_counters", lambda **_: {name: disk(1.0) for name in names})

    found = channels(Host("here").readings(), "disk")

    assert {name for name in found if name.endswith("_read_bytes")} == {
        "nvme0n1_read_bytes",
        "sda_read_bytes",
    }


@pytest.mark.parametrize(
    "missing",
    [AttributeError(), NotImplementedError(), PermissionError(), psutil.AccessDenied()],
    ids=repr,
)
def test_what_the_system_does_not_offer_is_left_out(
    monkeypatch: pytest.MonkeyPatch, missing: Exception
) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise missing

    for name in ("cpu_stats", "swap_memory", "getloadavg", "disk_io_counters", "disk_usage"):
        monkeypatch.setattr(psutil, name, refuse)

    readings = list(Host("here").readings())

    assert "here/disk" not in dict(readings)
    assert {"used", "available"} <= channels(readings, "memory").keys()
    assert "user_cpus" in channels(readings, "cpu")


def test_a_system_without_any_disk_answers_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "disk_io_counters", lambda **_: None)
    monkeypatch.setattr(psutil, "net_io_counters", lambda **_: None)

    readings = list(Host("here").readings())

    assert set(channels(readings, "disk")) <= {"root_percent"}
    assert "here/network" not in dict(readings)


def test_a_host_with_very_many_cpus_stays_within_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    one = psutil.cpu_times()
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu=False: [one] * 1024 if percpu else one)

    found = channels(Host("here").readings(), "cpu")

    assert len(found) <= 256
    assert sum(name.endswith("_busy") for name in found) == host.CPUS


def test_a_cpu_is_busy_with_all_that_is_not_idle_or_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spent = iter([0.0, 0.0, 1.0, 1.0])

    def cpu_times(*, percpu: bool = False) -> object:
        now = next(spent)
        one = SimpleNamespace(user=now, system=2 * now, idle=5 * now, iowait=7 * now)
        one._asdict = lambda: {name: vars(one)[name] for name in ("user", "system", "idle")}
        return [one] if percpu else one

    monkeypatch.setattr(psutil, "cpu_times", cpu_times)

    found = channels(Host("here").readings(), "cpu")

    assert found["cpu0_busy"] == pytest.approx(found["user_cpus"] + found["system_cpus"])
    assert found["idle_cpus"] == pytest.approx(5 * found["user_cpus"])
