"""What is moved between the folders of workers, without a broker."""

import pickle
from pathlib import Path

import pytest

from flows import manifest, snapshots
from flows.dataflow import make_snapshots
from flows.kafka import Cluster
from flows.manifest import Manifest
from flows.settings import worker_folder
from flows.snapshots import READINGS
from flows.tools import rebalance as tool
from flows.tools.rebalance import rebalance


def test_all_partitions_of_the_internal_topic_are_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an internal topic that has more partitions than the topic of readings
    topics = {"readings": "in", "codes": "c", "dictionaries": "d", "dead_letters": "l",
              "repartitioned": "internal"}  # fmt: skip
    folder, file = tmp_path / "recovery", tmp_path / "oodl.toml"
    file.write_text(f'[recovery]\nfolder = "{folder}"\n')
    described = Manifest(
        cluster="here", group="oodl", topics=topics, partitions=4, sink_parts=8, state_format=2,
        epoch_seconds=10.0,
    )  # fmt: skip
    manifest.write(folder, described)
    make_snapshots(folder)
    states = {f"{number:05d}": pickle.dumps((7, b"", b"")) for number in range(4)}
    snapshots.write(folder, READINGS, states.items())
    cluster = Cluster("here", dict.fromkeys(topics.values(), 2) | {"internal": 4})
    monkeypatch.setattr(tool, "describe", lambda _: cluster)

    rebalance(workers=2, settings=file)

    moved = [dict(snapshots.read(worker_folder(folder, n, 2), READINGS)) for n in range(2)]
    assert moved[0] | moved[1] == states
