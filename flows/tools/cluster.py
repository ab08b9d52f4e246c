"""A cluster on this machine: its processes, started together and ended together."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from flows.kafka import StopFlag
from oodl.errors import OodlError

__all__ = ["ClusterError", "run_cluster"]

Process = subprocess.Popen[bytes]

# Below the ports that systems give to outgoing connections (32768 and up on Linux), so that none
# of those takes a port between here and the process that it is for.
PORTS = range(10_000, 32_000)
LOOK = 0.05  # seconds
BY_ITSELF = 5.0  # seconds in which a process ends of which another has ended; .1 s were measured
ASKED = 15.0  # seconds in which it ends when it is asked to besides
LONGEST = 30.0  # seconds that all may take to end: outputs have 5, the rest is long done then


class ClusterError(OodlError, RuntimeError):
    """A process of the cluster has failed, and the cluster has ended with it."""


def run_cluster(settings: Path | None, count: int, stop: StopFlag) -> None:
    """Run so many processes as one cluster until all have ended; a signal ends all of them.

    Parameters
    ----------
    settings : Path or None
        TOML file of each of them.
    count : int
        At least 2.
    stop : StopFlag
        Whether this process was asked to end.

    Raises
    ------
    ClusterError
        When one of them ended with another code than 0; then all have ended.
    """
    stop.defer()
    children = _start(settings, count)
    asked = False
    while any(child.poll() is None for child in children):
        if stop and not asked:
            asked = True
            _end(children, Process.terminate)
        if stop.seconds > LONGEST:
            _end(children, Process.kill)
        if not stop and any(child.poll() is not None for child in children):
            _end_others(children)
        time.sleep(LOOK)
    fine = (0, -signal.SIGTERM) if asked else (0,)  # asked before it could say what it does then
    failed = [
        f"process {number} with {child.returncode}"
        for number, child in enumerate(children)
        if child.returncode not in fine
    ]
    if failed:
        msg = (
            f"oodl run: expected {count} processes to go on until the end is asked for, got "
            f"{', '.join(failed)}; what they said is above; start again, it goes on from the last "
            "snapshot"
        )
        raise ClusterError(msg)


def _start(settings: Path | None, count: int) -> list[Process]:
    """Start each as this one was started, with its place in the cluster."""
    program = [sys.executable, *sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]]
    given = [] if settings is None else ["--settings", str(settings)]
    addresses = ";".join(f"127.0.0.1:{port}" for port in _free_ports(count))
    place = ["--addresses", addresses, "--parent", str(os.getpid())]
    children: list[Process] = []
    try:
        for number in range(count):
            command = [*program, "run", *given, *place, "--process-id", str(number)]
            children.append(subprocess.Popen(command))
    except OSError:
        _end(children, Process.terminate)
        raise
    return children


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


def _end(children: list[Process], way: Callable[[Process], None]) -> None:
    for child in children:
        if child.poll() is None:
            way(child)


def _end_others(children: list[Process]) -> None:
    """Let all end of whom one has: by themselves, asked to, or killed."""
    for seconds, way in ((BY_ITSELF, Process.terminate), (ASKED, Process.kill)):
        deadline = time.monotonic() + seconds
        while (left := [child for child in children if child.poll() is None]) and (
            time.monotonic() < deadline
        ):
            time.sleep(LOOK)
        _end(left, way)
