"""``oodl rebalance``: what independent workers have learned, shared out for another number of them.

New folders are made beside the old ones, named as the right ones in one step, and then put in their
place; interrupted anywhere, the next call begins anew or brings it to its end.
"""

import pickle
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from msgspec import structs
from rich.console import Console

from flows import manifest, private, snapshots
from flows.dataflow import make_snapshots
from flows.groups import Groups
from flows.kafka import describe
from flows.manifest import REBALANCED, Manifest, ManifestError
from flows.settings import Settings, WorkerSettings, load, worker_folder
from flows.snapshots import FILES, GROUPS, READINGS
from flows.tools.progress import progress
from oodl.errors import ValueFault

__all__ = ["rebalance"]

UNFINISHED = f"{REBALANCED}.new"
MOVING = "rebalancing"  # the lock of whoever moves states: two at once would lose them
State = tuple[str, bytes]  # a key, and what the engine has pickled for it


def rebalance(
    *,
    workers: Annotated[int, Parameter(validator=Number(gte=1))],
    settings: Path | None = None,
) -> None:
    """Share out what independent workers have learned for another number of them, all stopped.

    Independent workers share the partitions by workers.index and workers.count, each with its own
    folder in recovery.folder. Their number changes only here: states of partitions and of groups
    are moved to the folders of those that have the partitions then.

    Parameters
    ----------
    workers
        How many there are to be; then set workers.count to it.
    settings
        TOML file; without it the defaults and the environment hold.

    Examples
    --------
    All workers stopped, for three of them from now on:
    $ oodl rebalance --workers 3 --settings workers.toml
    """
    chosen, console = load(settings), Console(highlight=False)
    top = chosen.recovery.folder
    if not top.is_dir():
        raise _nothing(top)
    with ExitStack() as held:
        held.enter_context(manifest.lock(top, MOVING))
        if (top / REBALANCED).is_dir():
            _put_in_place(top)
        shutil.rmtree(top / UNFINISHED, ignore_errors=True)
        known = _hold_all(top, held)
        if len(known) == workers:
            console.print(f"{workers} workers already: nothing to move")
            return
        partitions = _partitions(chosen, known[0], workers)
        old = [worker_folder(top, one.worker, one.workers) for one in known]
        homes = _homes(chosen, old)
        with progress("moving", "workers") as tell:
            for index in range(workers):
                tell(index, workers)
                place = {"worker": index, "workers": workers, "partitions": partitions}
                _make(top / UNFINISHED, structs.replace(known[0], **place), old, homes)
        (top / UNFINISHED).rename(top / REBALANCED)
        _put_in_place(top)
    moved = f"{partitions} partitions, {len(homes)} groups"
    console.print(f"{len(known)} workers to {workers}: {moved}")


def _hold_all(top: Path, held: ExitStack) -> list[Manifest]:
    """Hold the folders of all workers, and return their manifests; none may be missing or at work.

    Raises
    ------
    ManifestError
        When one is, or they do not belong together.
    """
    places = [top, *sorted(top.glob("worker-*"))]
    known = [one for place in places if (one := manifest.read(place)) is not None]
    if not known:
        raise _nothing(top)
    expected = [
        structs.replace(known[0], worker=index, epoch_seconds=known[index].epoch_seconds)
        for index in range(min(len(known), known[0].workers))
    ]
    if known != expected or len(known) != known[0].workers:
        told = ", ".join(f"{one.worker} of {one.workers}" for one in known)
        msg = (
            f"{top}: expected the folders of all workers of one pipeline, got those of {told}; "
            "bring the others here"
        )
        raise ManifestError(msg)
    for one in known:
        folder = worker_folder(top, one.worker, one.workers)
        held.enter_context(manifest.lock(folder))
        manifest.check_snapshots(folder)
    longest = max(one.epoch_seconds for one in known)
    return [structs.replace(one, epoch_seconds=longest) for one in known]


def _partitions(settings: Settings, known: Manifest, workers: int) -> int:
    """Ask how many partitions there are.

    Raises
    ------
    ManifestError
        When the folders belong to another cluster.
    ValueFault
        When there are fewer partitions than workers.
    """
    cluster = describe(settings.kafka)
    cluster.require(readings=known.source)
    if cluster.id != known.cluster:
        msg = (
            f"{settings.recovery.folder}: expected to be of cluster {cluster.id}, got "
            f"{known.cluster}; correct kafka.bootstrap or recovery.folder"
        )
        raise ManifestError(msg)
    partitions = cluster.partitions[known.source]
    if workers > partitions:
        msg = (
            f"--workers: expected at most the {partitions} partitions of "
            f"{known.source}, got {workers}; take fewer"
        )
        raise ValueFault(msg)
    return partitions


def _homes(settings: Settings, folders: list[Path]) -> dict[str, int]:
    """Find the partition of each group; of one that is on two, the first one counts."""
    homes: dict[str, int] = {}
    for name, packed in _states(folders):
        _, known, *_ = pickle.loads(
            packed
        )  # of a folder that nobody else can write: `manifest.lock` sees to it
        for group in Groups(settings, known):
            homes[group] = min(int(name), homes.get(group, int(name)))
    return homes


def _states(folders: list[Path]) -> Iterator[State]:
    """Yield what these folders have of partitions."""
    for folder in folders:
        yield from snapshots.read(folder, READINGS)


def _states_of_groups(folders: list[Path], homes: dict[str, int], own: range) -> Iterator[State]:
    """Yield the states of groups at home in these partitions, of the worker that had their home.

    A group on partitions of two workers has a state with either.
    """
    for index, folder in enumerate(folders):
        for key, content in snapshots.read(folder, GROUPS):
            home = homes.get(key, index)
            if home in own and home % len(folders) == index:
                yield key, content


def _make(top: Path, described: Manifest, old: list[Path], homes: dict[str, int]) -> None:
    """Make the folder of a worker, with the states of its partitions and of their groups."""
    folder = worker_folder(top, described.worker, described.workers)
    own = WorkerSettings(count=described.workers, index=described.worker).own(described.partitions)
    private.make_folder(folder)
    manifest.write(folder, described)
    make_snapshots(folder)
    partitions = ((key, content) for key, content in _states(old) if int(key) in own)
    snapshots.write(folder, READINGS, partitions)
    snapshots.write(folder, GROUPS, _states_of_groups(old, homes, own))


def _put_in_place(top: Path) -> None:
    """Put the new folders in the place of the old ones; what was done already is left."""
    ready = top / REBALANCED
    removed = ready / "removed"
    if any(ready.iterdir()):  # else all was done but for removing it
        if not removed.exists():
            _remove_old(top)
            removed.touch()
        for path in sorted(ready.iterdir()):
            if path != removed:
                path.rename(top / path.name)
        removed.unlink()
    ready.rmdir()


def _remove_old(top: Path) -> None:
    """Remove the folders of the workers that were, or what a single one had."""
    for path in top.glob("worker-*"):
        shutil.rmtree(path)
    for path in (*top.glob(f"{FILES}*"), top / manifest.FILE):
        path.unlink(missing_ok=True)


def _nothing(top: Path) -> ManifestError:
    msg = f"{top}: expected the recovery folders of a pipeline, got none; correct recovery.folder"
    return ManifestError(msg)
