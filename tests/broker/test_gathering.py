"""What puts readings together, and may not change where outputs went beyond the last snapshot."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from msgspec import structs

from flows import access, gathering, manifest, snapshots
from flows.dataflow import SINK_PARTS, make_snapshots
from flows.kafka import Cluster, EmbeddedBroker
from flows.manifest import Manifest, ManifestError
from flows.settings import Settings
from flows.snapshots import READINGS

TOPIC, PARTITIONS = "sensors.readings", 4
REACHED = 40

Sections = Mapping[str, Mapping[str, Any]]


class Stopped:
    """A pipeline that came to an end: its outputs were committed up to an offset.

    Parameters
    ----------
    folder : Path
    snapshot : int
        Where the last snapshot goes on.
    """

    def __init__(self, folder: Path, snapshot: int) -> None:
        self.folder = folder
        self.broker = EmbeddedBroker(TOPIC)
        self.cluster = Cluster("here", {TOPIC: PARTITIONS})
        settings = self.settings({})
        self.manifest = Manifest(
            cluster="here",
            group="oodl",
            topics=settings.topics.model_dump(),
            partitions=PARTITIONS,
            sink_parts=SINK_PARTS,
            state_format=1,
            epoch_seconds=1.0,
            gathering=gathering.gathering(settings),
        )
        manifest.write(folder, self.manifest)
        make_snapshots(folder)
        snapshots.write(folder, READINGS, [("00002", pickle.dumps((snapshot, b"", b"")))])
        group = access.group_of_part("oodl", "00005", SINK_PARTS)
        consumer = Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": group})
        consumer.commit(offsets=[TopicPartition(TOPIC, 2, REACHED)], asynchronous=False)
        consumer.close()

    def settings(self, more: Sections, delivery: str = "exactly-once") -> Settings:
        recovery = {"delivery": delivery, "folder": f"{self.folder}"}
        kafka = {"bootstrap": self.broker.bootstrap}
        return Settings.model_validate({"kafka": kafka, "recovery": recovery, **more})

    def start(self, more: Sections, delivery: str = "exactly-once") -> None:
        gathering.check(self.folder, self.settings(more, delivery), self.cluster, SINK_PARTS)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sensors": {"every": 2.0}}, r"sensors\.every: expected 1\.0, got 2\.0"),
        ({"coding": {"window": 4}}, r"coding\.window: expected 1, got 4"),
        ({"messages": {"fields": {"sensor": "tag"}}}, r"messages\.fields\.sensor: .*got 'tag'"),
        (
            {"groups": {"press-*": {"sensors": {"wait": 9.0}}}},
            r'groups\."press-\*"\.sensors\.wait: expected None, got 9\.0',
        ),
    ],
)
def test_after_a_kill_a_change_is_refused_with_what_it_was(
    change: Sections, told: str, tmp_path: Path
) -> None:
    stopped = Stopped(tmp_path, snapshot=REACHED - 1)

    with pytest.raises(ManifestError, match=rf"partitions \[2\].*{told}; undo the change"):
        stopped.start(change)

    stopped.start({"coding": {"tolerance": 0.05}})
    stopped.start(change, delivery="at-least-once")


def test_after_a_clean_end_it_may_change(tmp_path: Path) -> None:
    Stopped(tmp_path, snapshot=REACHED).start({"sensors": {"every": 2.0}})


def test_a_folder_that_does_not_say_what_it_was_is_gone_on_from(tmp_path: Path) -> None:
    stopped = Stopped(tmp_path, snapshot=REACHED - 1)
    manifest.write(tmp_path, structs.replace(stopped.manifest, gathering={}))

    stopped.start({"sensors": {"every": 2.0}})
