"""Prometheus and Alertmanager take the options that compose gives them, and are found well.

By Debian's binaries, which are older than the images; Grafana and Kafka's image are not run here.
"""

import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.brokers import free_port
from tests.compose import ROOT, SERVICES

PROGRAMS = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
SECONDS = 30.0


@pytest.mark.parametrize("service", PROGRAMS)
def test_it_starts_with_the_options_of_compose_and_its_health_check_says_so(
    service: str, tmp_path: Path
) -> None:
    # given the container's mounts, as they are on this machine
    address = f"127.0.0.1:{free_port()}"
    options = [here(option, service, tmp_path, address) for option in SERVICES[service]["command"]]
    asked = health_url(service)
    assert f"127.0.0.1:{published(service)}" in asked
    asked = asked.replace(f"127.0.0.1:{published(service)}", address)
    assert not answers(asked)
    # when it runs
    with running([program(service), *options, f"--web.listen-address={address}"]) as process:
        deadline = time.monotonic() + SECONDS
        while not answers(asked):
            assert process.poll() is None, f"{service} ended with {process.returncode}"
            assert time.monotonic() < deadline
            time.sleep(0.1)
    # then its data is where a volume is
    assert list(tmp_path.iterdir())


def test_amtool_accepts_the_routes_of_alerts() -> None:
    found = shutil.which("amtool")
    if found is None:
        absent("amtool not found (Debian: prometheus-alertmanager)")

    checked = subprocess.run(
        [str(found), "check-config", ROOT / "infra" / "prometheus" / "alertmanager.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert checked.returncode == 0, checked.stdout + checked.stderr


def here(option: str, service: str, data: Path, address: str) -> str:
    """An option with this machine's paths: what is mounted from the project, and a volume."""
    for volume in SERVICES[service]["volumes"]:
        source, inside, *_ = volume.split(":")
        outside = str(ROOT / source) if source.startswith(".") else str(data)
        option = re.sub(rf"={re.escape(inside)}(?=/|$)", f"={outside}", option)
    return option.replace(f"127.0.0.1:{published(service)}", address)


def published(service: str) -> str:
    [port] = SERVICES[service]["ports"]
    return str(port).rpartition(":")[2]


def health_url(service: str) -> str:
    command: list[str] = SERVICES[service]["healthcheck"]["test"]
    assert command[:2] == ["CMD", "wget"]
    return command[-1]


def program(service: str) -> str:
    found = shutil.which(PROGRAMS[service])
    if found is None:
        absent(f"{PROGRAMS[service]} not found (Debian has a package of that name)")
    return str(found)


def absent(reason: str) -> None:
    """Skip; in CI fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def running(command: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(SECONDS)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
