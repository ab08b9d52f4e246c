"""What a release left behind is read by this one, or refused with the remedy: tests/golden."""

import json
import pickle
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flows import groups, state
from flows.dataflow import assemble
from flows.events import Tally
from flows.kafka import StopFlag, describe
from flows.manifest import FILE, ManifestError
from flows.private import make_folder
from flows.settings import Settings
from flows.state import StateError
from flows.tools.letters import Letter, parse
from flows.wire import DeadLetter, dead_letter
from tests.broker.test_flow import run, send_readings
from tests.golden.record import HERE, LETTERS, LIMIT, earlier_readings, letters, text_of
from tests.traffic import codes_by_position, machine, read

RECOVERIES = sorted(HERE.glob("recovery-*"))
GOES_ON = [folder for folder in RECOVERIES if folder.name == f"recovery-{state.FORMAT}"]
EARLIER = [folder for folder in RECOVERIES if folder not in GOES_ON]


def test_there_is_a_recovery_folder_of_this_release() -> None:
    assert GOES_ON


@pytest.mark.parametrize("golden", GOES_ON, ids=lambda folder: folder.name)
def test_a_flow_goes_on_from_the_folder_of_a_release_with_its_format(
    settings: Settings, golden: Path
) -> None:
    # given a topic as that release had it, and readings that came since
    left(settings, golden)
    send_readings(settings, earlier_readings())
    sent = send_readings(settings, machine(["press-0", "oven"], 20, first=100))
    # when this release goes on
    tally = run(settings, lambda tally: tally.codes_sent == len(sent))
    # then the rest is coded, once, at first with the versions that were there
    coded = codes_by_position(read(settings.kafka.bootstrap, settings.topics.codes))
    assert tally.readings_received == len(sent)
    assert tally.oddities.keys() <= {"stop_requested"}
    assert tally.groups_begun == 0
    assert {place: len(codes) for place, codes in coded.items()} == {
        each.position: 1 for each in sent
    }
    known = json.loads((golden / "versions.json").read_text())
    first = {code.group: code.id for place, [code] in sorted(coded.items(), reverse=True)}
    assert first == known


def test_a_folder_of_a_newer_format_is_refused_with_the_remedy(settings: Settings) -> None:
    folder = left(settings, GOES_ON[0])
    change(folder / FILE, state_format=state.FORMAT + 1)

    with pytest.raises(ManifestError) as refused:
        assemble(settings, Tally(), StopFlag())

    assert str(refused.value) == (
        f"{folder / FILE}: state_format: expected {state.FORMAT + 1}, got {state.FORMAT}; "
        "undo the change, or name a new folder as recovery.folder"
    )


@pytest.mark.parametrize("golden", EARLIER, ids=lambda folder: folder.name)
def test_a_folder_of_an_earlier_format_is_refused_with_the_remedy(
    settings: Settings, golden: Path
) -> None:
    folder = left(settings, golden)

    with pytest.raises(ManifestError) as refused:
        assemble(settings, Tally(), StopFlag())

    told = f"{folder / FILE}: state_format: expected 1, got {state.FORMAT}; "
    assert str(refused.value).startswith(told)
    assert str(refused.value).endswith("name a new folder as recovery.folder")


def newer_source(snapshot: tuple[int, bytes]) -> tuple[int, bytes]:
    packed = msgspec.msgpack.decode(snapshot[1])
    return snapshot[0], msgspec.msgpack.encode([groups.FORMAT + 1, *packed[1:]])


def newer_group(snapshot: bytes) -> bytes:
    return bytes([state.FORMAT + 1]) + snapshot[1:]


@pytest.mark.parametrize(
    ("step", "renewed", "told"),
    [
        ("oodl.readings", newer_source, f"state of the source: expected format {groups.FORMAT}"),
        ("oodl.groups", newer_group, f"group state: expected format {state.FORMAT}"),
    ],
)
def test_a_state_of_a_newer_format_ends_the_flow_with_the_remedy(
    settings: Settings, step: str, renewed: Callable[[Any], Any], told: str
) -> None:
    # given a folder of this release in which one kind of state is a newer one's
    folder = left(settings, GOES_ON[0])
    send_readings(settings, earlier_readings() + machine(["press-0", "oven"], 1, first=100))
    change_states(folder / "part-0.sqlite3", step, renewed)
    # when the flow reads what that state is for, then it ends by name
    with pytest.raises(StateError) as refused, assemble(settings, Tally(), StopFlag()) as pipeline:
        pipeline.run()
    assert str(refused.value).startswith(f"{told}, got ")
    assert str(refused.value).endswith(
        "start this release with an empty recovery folder, or the release that wrote this one"
    )


def test_dead_letters_are_still_written_byte_by_byte_and_read() -> None:
    golden = json.loads(LETTERS.read_text())
    written = [dead_letter(each, LIMIT) for each in letters()]

    assert [text_of(each) for each in written] == golden
    for rejected, letter in zip(letters(), written, strict=True):
        found = parse(_Lying(letter))
        assert isinstance(found, Letter)
        assert (found.reason, found.detail, found.times) == (rejected.reason, "naïve", 1)
        origin = rejected.message
        assert found.origin == (origin.topic, origin.partition, origin.offset)
        assert found.stamp == (origin.timestamp if origin.timestamp >= 0 else -1.0)
        if found.size is None:
            assert (found.key, found.value) == (origin.key, origin.value)


class _Lying:
    """A letter as it lies in its topic."""

    topic, partition, offset, timestamp = "sensors.dead-letters", 0, 0, 1764000001000

    def __init__(self, letter: DeadLetter) -> None:
        self.key, self.value, self.headers = letter


def left(settings: Settings, golden: Path) -> Path:
    """Lay a release's folder where this one looks, as if it had been on this cluster."""
    folder = settings.recovery.folder
    make_folder(folder)
    for path in golden.iterdir():
        (folder / path.name).touch(0o600)
        shutil.copyfile(path, folder / path.name)
    change(folder / FILE, cluster=describe(settings.kafka).id)
    return folder


def change(manifest: Path, **fields: object) -> None:
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | fields))


def change_states(file: Path, step: str, renewed: Callable[[Any], Any]) -> None:
    """Write the states of a step anew, but for those of partitions that had no readings."""
    with closing(sqlite3.connect(file)) as snapshots:
        kept = snapshots.execute(
            "SELECT rowid, ser_change FROM snaps WHERE step_id = ? AND length(ser_change) > 50",
            [step],
        ).fetchall()
        assert kept
        for row, pickled in kept:
            changed = pickle.dumps(renewed(pickle.loads(pickled)))
            snapshots.execute("UPDATE snaps SET ser_change = ? WHERE rowid = ?", [changed, row])
        snapshots.commit()
