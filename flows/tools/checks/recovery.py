"""Whether the recovery folder is this pipeline's own, and fit to be written to.

Nothing is made or changed: a folder that is not there yet would be made by `oodl run`.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows import gathering, manifest, private
from flows.dataflow import SINK_PARTS, belonging
from flows.kafka import Cluster
from flows.tools.checks.findings import Finding, Scene, of_line
from oodl.errors import OodlError

__all__ = ["existing", "fits"]

REMEDY = "give this user the right to write there, or name another recovery.folder"


def fits(scene: Scene) -> Iterator[Finding]:
    """Look at the folder as a start would; one that a process has is not looked into."""
    settings = scene.settings
    folder = settings.folder
    there = existing(folder)
    if not there.is_dir():
        yield Finding(str(folder), f"expected a folder, got {there}, which is none", REMEDY)
        return
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(str(folder), f"expected a folder to write to, got: {there} is not", REMEDY)
        return
    manifest.check_workers(settings.recovery.folder, settings.workers.count)
    if there != folder.absolute():
        return
    private.check(folder)
    with _held(folder) as holder:
        scene.holder = holder
        yield from _own(scene, folder)
        if holder:
            named = f"process {holder}" if holder.isdigit() else f"the cluster at {holder}"
            told = f"expected nobody to have this recovery folder, but {named} does"
            yield Finding(
                str(folder), told, "it runs already: stop that one, or name another recovery.folder"
            )
        elif manifest.check_snapshots(folder) and (cluster := _with_readings(scene)) is not None:
            gathering.check(folder, settings, cluster, SINK_PARTS)


def existing(folder: Path) -> Path:
    """Return the folder, or what there is of the folders that it is to be made in."""
    folder = folder.absolute()
    return next(each for each in (folder, *folder.parents) if each.exists())


def _own(scene: Scene, folder: Path) -> Iterator[Finding]:
    """Compare the folder's manifest with these settings and this cluster."""
    try:
        found = manifest.read(folder)
    except OodlError as damaged:
        yield of_line(str(damaged))
        return
    cluster = _with_readings(scene)
    if found is None or cluster is None:
        return
    expected = belonging(scene.settings, cluster)
    yield from map(of_line, manifest.differences(folder, found, expected))


def _with_readings(scene: Scene) -> Cluster | None:
    """Return what the broker says of itself, if it has answered and has the topic that is read."""
    cluster, source = scene.cluster, scene.settings.topics.source
    return cluster if cluster is not None and source in cluster.partitions else None


@contextmanager
def _held(folder: Path) -> Iterator[str]:
    """Say who has the folder; while nobody does, keep it for as long as it is looked into."""
    try:
        file = (folder / manifest.LOCK).open("r+", encoding="ascii")
    except FileNotFoundError:
        yield ""
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield file.read().strip()
        else:
            yield ""
