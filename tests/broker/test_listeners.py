"""Nothing listens, and nothing is spoken to, but where the settings say."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from flows.settings import Settings
from tests.fault.workers import free_port, wait_until, write_settings
from tests.traffic import machine, read, send

ROOT = Path(__file__).parents[2]
HERE = {"127.0.0.1"}


@contextmanager
def process(*arguments: str) -> Iterator[psutil.Process]:
    started = subprocess.Popen(
        [sys.executable, "-m", "flows", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield psutil.Process(started.pid)
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(60)


def listening(running: psutil.Process) -> set[tuple[str, int]]:
    """Addresses and ports at which a process can be reached, as /proc/net has them."""
    return {
        (each.laddr.ip, each.laddr.port)
        for each in running.net_connections("inet")
        if each.status == psutil.CONN_LISTEN or not each.raddr
    }


def test_a_worker_listens_on_the_host_itself_and_speaks_to_the_broker_alone(
    settings: Settings, tmp_path: Path
) -> None:
    port = free_port()
    sections: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap": settings.kafka.bootstrap},
        "recovery": {"folder": str(tmp_path / "recovery")},
        "metrics": {"port": port},
    }
    bootstrap, codes = settings.kafka.bootstrap, settings.topics.codes
    sent = send(bootstrap, settings.topics.readings, machine(["press-0"], 70))

    with process("run", "--settings", str(write_settings(tmp_path, sections))) as worker:
        wait_until(lambda: len(read(bootstrap, codes)) == len(sent))
        spoken_to = {each.raddr for each in worker.net_connections("inet") if each.raddr}

        assert listening(worker) == {("127.0.0.1", port)}
        assert {f"{each.ip}:{each.port}" for each in spoken_to} == {bootstrap}


def test_the_processes_of_a_cluster_speak_to_each_other_on_the_host_itself(
    settings: Settings, tmp_path: Path
) -> None:
    port = free_port()
    sections: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap": settings.kafka.bootstrap},
        "recovery": {"folder": str(tmp_path / "recovery")},
        "metrics": {"port": port},
    }
    bootstrap, codes = settings.kafka.bootstrap, settings.topics.codes
    groups = [f"press-{number}" for number in range(8)]
    sent = send(bootstrap, settings.topics.readings, machine(groups, 10))
    file = str(write_settings(tmp_path, sections))

    with process("run", "--settings", file, "--processes", "2") as parent:
        wait_until(lambda: len(read(bootstrap, codes)) == len(sent))
        workers = parent.children()
        reached = {place for each in workers for place in listening(each)}
        remote = {each.raddr for one in workers for each in one.net_connections("inet")}

        assert len(workers) == 2
        assert listening(parent) == set()
        assert {("127.0.0.1", port), ("127.0.0.1", port + 1)} <= reached
        assert {address for address, _ in reached} == HERE
        assert {place.ip for place in remote if place} == HERE
        modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "recovery").iterdir()}
        assert modes == {0o600}


def test_a_worker_listens_elsewhere_once_it_is_told(tmp_path: Path) -> None:
    port = free_port()
    sections: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap": f"127.0.0.1:{free_port()}"},
        "recovery": {"folder": str(tmp_path / "recovery")},
        "metrics": {"port": port, "address": "0.0.0.0"},
    }
    with process("run", "--settings", str(write_settings(tmp_path, sections))) as worker:
        wait_until(lambda: bool(listening(worker)))

        assert listening(worker) == {("0.0.0.0", port)}


def test_the_demo_with_its_broker_listens_on_the_host_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OODL_METRICS__ADDRESS", "0.0.0.0")  # a pipeline's, which the demo is not
    with process("demo", "--seconds", "60") as demo:
        wait_until(lambda: len(listening(demo)) >= 2)  # metrics, and the broker
        wait_until(lambda: any(each.raddr for each in demo.net_connections("inet")))
        addresses = {address for address, _ in listening(demo)}
        remote = {each.raddr.ip for each in demo.net_connections("inet") if each.raddr}

    assert addresses == remote == HERE
