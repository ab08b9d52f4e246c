"""What a recovery folder belongs to: written beside the snapshots, checked before they are read.

A snapshot taken under other topics, partitions or sink parts cannot be gone on from: the engine
ends in a panic, or codes come twice. A folder names its pipeline, and one process at a time has it.
"""

import fcntl
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, TextIO

import msgspec

from flows import private
from flows.snapshots import FILES
from oodl.errors import OodlError

__all__ = [
    "FILE",
    "LOCK",
    "REBALANCED",
    "Manifest",
    "ManifestError",
    "check_or_create",
    "check_snapshots",
    "check_workers",
    "differences",
    "lock",
    "open_lock",
    "read",
    "remember_epoch",
    "write",
]

FILE, LOCK = "manifest.json", "lock"
REMEDY = "undo the change, or name a new folder as recovery.folder"
UNWRITABLE = "give this user room and the right to write there, or name another recovery.folder"
REBALANCE = "undo the change, or move what is there with `oodl rebalance`"
REBALANCED = "rebalanced"  # new folders that were not put in the place of the old ones yet
DAMAGED = "delete the folder: the flow goes on from what its consumer group has committed"


class ManifestError(OodlError, RuntimeError):
    """A recovery folder that cannot be gone on from."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What must not change between two runs over one folder.

    Parameters
    ----------
    cluster : str
        Kafka's own id of the cluster.
    group : str
        The consumer group, which names the pipeline to the brokers.
    topics : dict of str to str
        The topics by their role, as in the settings.
    partitions : int
        Of the topic that is read; more may come, fewer may not.
    sink_parts : int
        Fixed at first start.
    state_format : int
    epoch_seconds : float
        Seconds between two snapshots; the longer of this and the settings' is in force.
    worker, workers : int
        Which of how many pipelines that share the partitions.
    gathering : dict of str to object
        The settings that put readings together, by their paths; {} where it is not known.
    """

    cluster: str
    group: str
    topics: dict[str, str]
    partitions: int
    sink_parts: int
    state_format: int
    epoch_seconds: float
    worker: int = 0
    workers: int = 1
    gathering: dict[str, Any] = {}

    @property
    def source(self) -> str:
        """The topic that is read: the internal one, where there is one."""
        return self.topics.get("repartitioned", self.topics["readings"])


def check_or_create(folder: Path, expected: Manifest) -> Manifest:
    """Compare a folder's manifest with what is about to run; a new folder gets it.

    Returns
    -------
    Manifest
        `expected`, with the number of sink parts and the longer epoch that the folder remembers.

    Raises
    ------
    ManifestError
        If the folder belongs to something else, with a line for every difference.
    """
    found = read(folder)
    if found is None:
        write(folder, expected)
        return expected
    if problems := differences(folder, found, expected):
        raise ManifestError("\n".join(problems))
    longer = max(found.epoch_seconds, expected.epoch_seconds)
    current = msgspec.structs.replace(expected, epoch_seconds=longer)
    if current != found:
        write(folder, current)
    return current


def check_workers(folder: Path, workers: int) -> None:
    """See that what lies in a folder is of so many workers: what another number had is to be moved.

    Raises
    ------
    ManifestError
        If it is not, or if moving it was interrupted.
    """
    if (folder / REBALANCED).exists():
        msg = f"{folder}: expected what `oodl rebalance` has moved, got half of it; run it again"
        raise ManifestError(msg)
    for each in (folder, *sorted(folder.glob("worker-*"))):
        found = read(each)
        if found is not None and found.workers != workers:
            msg = (
                f"{each / FILE}: expected workers.count = {found.workers}, got {workers}; "
                f"{REBALANCE}"
            )
            raise ManifestError(msg)


def check_snapshots(folder: Path) -> bool:
    """Tell whether there are snapshots, which can be read and written.

    Raises
    ------
    ManifestError
        If they are damaged, or not ours to write.
    """
    files = sorted(folder.glob(FILES))
    for path in files:
        if not os.access(path, os.W_OK):
            msg = f"{path}: expected a file to write to, got one that is read-only; {UNWRITABLE}"
            raise ManifestError(msg)
        if problem := _damage(path):
            msg = f"{path}: expected snapshots, got {problem}; {DAMAGED}"
            raise ManifestError(msg)
    return bool(files)


def write(folder: Path, manifest: Manifest) -> None:
    """Write a folder's manifest; a crash leaves the old one or the new one."""
    private.make_folder(folder)
    fresh = folder / f"{FILE}.new"
    with open(fresh, "wb", opener=private.opener) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / FILE)


def remember_epoch(folder: Path, seconds: float) -> None:
    """Let the next start over a folder have an epoch of so many seconds at least."""
    found = read(folder)
    if found is not None and found.epoch_seconds < seconds:
        write(folder, msgspec.structs.replace(found, epoch_seconds=seconds))


def lock(folder: Path, name: str = LOCK) -> TextIO:
    """Hold a folder for this process: until the returned file is closed, or the process ends.

    Holders of another `name` do not mind: one has the folder, another one what is done to it.

    Raises
    ------
    ExposedError
        If anyone else could write in it.
    ManifestError
        If another process holds it, or it cannot be written to.
    """
    file = open_lock(folder, name)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as taken:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        named = f"process {holder}" if holder.isdigit() else f"the cluster at {holder}"
        msg = (
            f"{folder}: expected to hold this recovery folder alone, but {named} does; "
            "stop that one, or name another recovery.folder"
        )
        raise ManifestError(msg) from taken
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    try:
        file.flush()
    except OSError as problem:
        raise _unwritable(folder, problem) from problem
    return file


def open_lock(folder: Path, name: str) -> TextIO:
    """Open a file of a folder to lock it; both are made where they are missing.

    Raises
    ------
    ExposedError
        If anyone else could write in it.
    ManifestError
        If the folder cannot be written to.
    """
    try:
        private.make_folder(folder)
        private.check(folder)
        return open(folder / name, "a+", encoding="ascii", opener=private.opener)
    except private.ExposedError:
        raise
    except OSError as problem:
        raise _unwritable(folder, problem) from problem


def _unwritable(folder: Path, problem: OSError) -> ManifestError:
    got = problem.strerror
    return ManifestError(f"{folder}: expected a folder to write to, got: {got}; {UNWRITABLE}")


def _damage(path: Path) -> str:
    """What is wrong with a database, "" when nothing is."""
    try:
        with closing(sqlite3.connect(path)) as database:
            if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return "an empty database"
            [found] = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as problem:
        return str(problem)
    return "" if found == "ok" else str(found)


def read(folder: Path) -> Manifest | None:
    """Read a folder's manifest; None in a new one.

    Raises
    ------
    ManifestError
        If it is damaged, or missing beside snapshots.
    """
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        if any(folder.glob(FILES)):
            msg = f"{path}: missing beside snapshots; put it back, or name a new recovery.folder"
            raise ManifestError(msg) from None
        return None
    except (msgspec.DecodeError, UnicodeError) as damaged:
        msg = f"{path}: expected a manifest, got {damaged}; name a new folder as recovery.folder"
        raise ManifestError(msg) from damaged


def differences(folder: Path, found: Manifest, expected: Manifest) -> list[str]:
    """Say in what a folder's manifest is of something else, a line each."""
    problems = [
        f"{name}: expected {was!r}, got {is_now!r}; {REMEDY}"
        for name in ("cluster", "group", "topics", "sink_parts", "state_format")
        if (was := getattr(found, name)) != (is_now := getattr(expected, name))
    ]
    if found.worker != expected.worker:
        told = f"expected {found.worker}, got {expected.worker}"
        problems.append(f"workers.index: {told}; undo the change")
    if expected.partitions < found.partitions:
        fewer = f"expected at least {found.partitions}, got {expected.partitions}"
        problems.append(f"partitions of {expected.source}: {fewer}; {REMEDY}")
    return [f"{folder / FILE}: {problem}" for problem in problems]
