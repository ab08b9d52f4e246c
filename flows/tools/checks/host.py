"""Whether this host has what a pipeline needs of it: room on its disk, and the port of metrics."""

import errno
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil  # type: ignore[import-untyped]

from flows.tools.checks.findings import Finding, Scene
from flows.tools.checks.recovery import existing

__all__ = ["has_a_free_port", "has_room"]

LEAST_BYTES = 256 << 20  # some 1,700 groups of 64 channels
MEGABYTE = 1 << 20


def has_room(
    scene: Scene,
    free: Callable[[os.PathLike[str]], int] = lambda path: shutil.disk_usage(path).free,
) -> Iterator[Finding]:
    """See that there is room for what the recovery folder has once more, 256 MB in any case."""
    folder = scene.settings.folder
    there = existing(folder)
    size = 0
    if there == folder.absolute():
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    needed, got = max(LEAST_BYTES, size), free(there)
    if got < needed:
        yield Finding(
            str(folder),
            f"expected {needed // MEGABYTE} MB of room, got {got // MEGABYTE} MB",
            "make room there, or name another recovery.folder",
        )


def has_a_free_port(scene: Scene) -> Iterator[Finding]:
    """See that the metrics' port can be listened at; the pipeline that runs may have it."""
    address, port = scene.settings.metrics.address, scene.settings.metrics.port
    problem = _bind(address, port)
    if problem is None:
        return
    if problem.errno == errno.EADDRINUSE:
        owner = _listener(port)
        if owner is not None and str(owner) == scene.holder:
            return
        named = "another process" if owner is None else f"process {owner}"
        yield Finding(
            "metrics.port",
            f"expected {address}:{port} to be free, but {named} listens there",
            "stop that one, or take another port; else metrics move to a free one that nobody asks",
        )
    else:
        yield Finding(
            "metrics.address",
            f"expected to listen at {address}:{port}, got: {problem.strerror or problem}",
            "take an address of this host, such as 127.0.0.1, and a port that this user may have",
        )


def _bind(address: str, port: int) -> OSError | None:
    """Listen for a moment, as the metrics' server would; what prevents it."""
    try:
        family, kind, number, _, place = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, number) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as problem:
        return problem
    return None


def _listener(port: int) -> int | None:
    """Return the process that listens at a port, as far as this user may know."""
    with suppress(psutil.AccessDenied):
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr.port == port:
                found: int | None = each.pid
                return found
    return None
