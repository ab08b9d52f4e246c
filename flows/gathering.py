"""What puts readings together may not change between a kill and the next start, with exactly-once.

A restart makes again what came after the snapshot, and leaves out by its position what was
committed by then. Where samples make other readings than before, or readings other frames, what is
left out is not what was committed: some are lost, others come twice. After a clean end nothing is
made again.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path

from flows import access, manifest, snapshots
from flows.kafka import Cluster, committed
from flows.manifest import Manifest, ManifestError
from flows.settings import GroupSettings, Settings
from flows.snapshots import READINGS

__all__ = ["check", "gathering"]

REMEDY = "undo the change, start, and end it by SIGTERM: then it may change"


def gathering(settings: Settings) -> dict[str, object]:
    """Return the settings that put readings together, by their paths.

    >>> pattern = {"sensors": {"every": 2.0}, "coding": {"atoms": 8}}
    >>> found = gathering(Settings(groups={"press-*": pattern}))
    >>> found["sensors.every"], found['groups."press-*".sensors.every']
    (1.0, 2.0)
    """
    found: dict[str, object] = {}
    for place, section in (("", settings), *_patterns(settings)):
        said = section.model_dump(
            mode="json",
            exclude_unset=bool(place),
            include={
                "sensors": True,
                "messages": True,
                "coding": {"window"},
                "time": {"max_ahead", "max_gap"},
            },
        )
        found |= _flat(place, said)
    return found


def check(folder: Path, settings: Settings, cluster: Cluster, sink_parts: int) -> None:
    """Refuse a change of these settings where outputs were committed beyond the last snapshot.

    Raises
    ------
    ManifestError
        With a line for every difference.
    BrokerError
        When the broker does not tell what was committed.
    """
    found = manifest.read(folder)
    if found is None or settings.recovery.delivery != "exactly-once":
        return
    changes = [*_changes(found, gathering(settings))]
    if not changes:
        return
    known = {int(key): pickle.loads(packed)[0] for key, packed in snapshots.read(folder, READINGS)}
    reached = _reached(settings, cluster, sink_parts)
    own = settings.workers.own(cluster.partitions[settings.topics.source])
    ahead = [number for number in own if reached.get(number, 0) > (known.get(number) or 0)]
    if ahead:
        after = f"{folder}: outputs of partitions {ahead} were committed after the last snapshot"
        raise ManifestError("\n".join(f"{after}; {change}; {REMEDY}" for change in changes))


def _patterns(settings: Settings) -> list[tuple[str, GroupSettings]]:
    return [(f'groups."{name}".', own) for name, own in settings.groups.patterns.items()]


def _flat(place: str, said: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in said.items():
        here = f"{place}{name}"
        found |= _flat(f"{here}.", value) if isinstance(value, dict) else {here: value}
    return found


def _changes(found: Manifest, now: Mapping[str, object]) -> list[str]:
    """Name what differs; a folder of an earlier release does not say what it was."""
    was = found.gathering
    return [
        f"{name}: expected {was.get(name)!r}, got {now.get(name)!r}"
        for name in sorted({*was, *now})
        if was and was.get(name) != now.get(name)
    ]


def _reached(settings: Settings, cluster: Cluster, sink_parts: int) -> dict[int, int]:
    """Ask how far committed outputs reach: the next offset by partition."""
    topic, reached = settings.topics.source, dict[int, int]()
    for number in range(sink_parts):
        group = access.group_of_part(settings.kafka.group, f"{number:05d}", sink_parts)
        answer = committed(settings.kafka, group, topic, cluster.partitions[topic])
        for partition, offset in answer.items():
            reached[partition] = max(offset, reached.get(partition, 0))
    return reached
