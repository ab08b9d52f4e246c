import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from flows.manifest import (
    Manifest,
    ManifestError,
    check_or_create,
    check_snapshots,
    lock,
    write,
)

HERE = Manifest(
    cluster="kTiz4",
    group="oodl",
    topics={"readings": "sensors.readings", "codes": "sensors.codes"},
    partitions=6,
    sink_parts=2,
    state_format=1,
    epoch_seconds=1.0,
)
change = msgspec.structs.replace


def test_a_new_folder_gets_a_manifest_and_is_known_by_it(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "recovery"
    assert check_or_create(folder, HERE) == HERE
    assert check_or_create(folder, HERE) == HERE
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]


def test_every_difference_is_named_with_the_remedy(tmp_path: Path) -> None:
    # given a folder of one pipeline
    check_or_create(tmp_path, HERE)
    before = (tmp_path / "manifest.json").read_bytes()
    # when another one comes
    other = change(
        HERE,
        cluster="Zm9v",
        group="press",
        topics={"readings": "x"},
        partitions=5,
        sink_parts=3,
        state_format=2,
    )
    with pytest.raises(ManifestError) as caught:
        check_or_create(tmp_path, other)
    # then it is told what differs, and the folder stays as it was
    told = str(caught.value).splitlines()
    for line, problem in zip(
        told,
        ["cluster: expected 'kTiz4', got 'Zm9v'", "group: expected 'oodl', got 'press'",
         "topics: expected {'readings': 'sensors.",
         "sink_parts: expected 2, got 3", "state_format: expected 1, got 2",
         "partitions of x: expected at least 6, got 5"],
        strict=True,
    ):  # fmt: skip
        assert line.startswith(f"{tmp_path / 'manifest.json'}: {problem}")
        assert line.endswith("undo the change, or name a new folder as recovery.folder")
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_new_partitions_are_taken_in_and_not_given_up_again(tmp_path: Path) -> None:
    check_or_create(tmp_path, HERE)
    assert check_or_create(tmp_path, change(HERE, partitions=8)).partitions == 8
    with pytest.raises(ManifestError, match="expected at least 8, got 6"):
        check_or_create(tmp_path, HERE)


def test_the_longer_epoch_is_remembered(tmp_path: Path) -> None:
    # given a folder whose snapshots took too long
    check_or_create(tmp_path, HERE)
    write(tmp_path, change(HERE, epoch_seconds=4.0))
    # then the next start goes on with the longer epoch, unless the settings ask for more
    assert check_or_create(tmp_path, HERE).epoch_seconds == 4.0
    assert check_or_create(tmp_path, change(HERE, epoch_seconds=9.0)).epoch_seconds == 9.0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"cluster": 3}', b"\xff"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ManifestError, match=r"manifest.json: expected a manifest, got"):
        check_or_create(tmp_path, HERE)


def test_snapshots_without_a_manifest_are_refused(tmp_path: Path) -> None:
    (tmp_path / "part-0.sqlite3").touch()
    with pytest.raises(ManifestError, match=r"manifest.json: missing beside snapshots"):
        check_or_create(tmp_path, HERE)


def test_a_half_written_manifest_does_not_count(tmp_path: Path) -> None:
    # given a manifest, and a crash while a newer one was written
    check_or_create(tmp_path, HERE)
    (tmp_path / "manifest.json.new").write_bytes(b"{")
    # then the old one holds
    assert check_or_create(tmp_path, HERE) == HERE


def test_a_second_holder_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    # given a folder that this process holds
    with (
        lock(tmp_path / "recovery"),
        pytest.raises(ManifestError, match=f"but process {os.getpid()} does; stop that one"),
    ):
        # then no other may have it
        lock(tmp_path / "recovery")
    # until it is let go
    lock(tmp_path / "recovery").close()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    # given a process that took the lock and died without a word
    script = "import sys, os, pathlib; from flows.manifest import lock; held = lock(pathlib.Path("
    script += "sys.argv[1])); os.kill(os.getpid(), 9)"
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert ended.returncode == -9
    # then another one can have it
    with lock(tmp_path) as held:
        held.seek(0)
        assert held.read() == f"{os.getpid()}\n"


def snapshots(folder: Path) -> Path:
    path = folder / "part-0.sqlite3"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE snaps (content BLOB)")
        database.executemany("INSERT INTO snaps VALUES (?)", [(bytes(4000),)] * 100)
    database.close()
    return path


def test_snapshots_that_can_be_read_are_fine_and_none_are_too(tmp_path: Path) -> None:
    assert not check_snapshots(tmp_path)
    snapshots(tmp_path)
    assert check_snapshots(tmp_path)


@pytest.mark.parametrize("left", [0, 5000, 200_000])
def test_snapshots_that_were_cut_off_are_refused_with_the_remedy(tmp_path: Path, left: int) -> None:
    path = snapshots(tmp_path)
    os.truncate(path, left)
    with pytest.raises(ManifestError, match=r"part-0.sqlite3: expected snapshots, got .*; delete"):
        check_snapshots(tmp_path)


def test_a_folder_that_is_none_cannot_be_held(tmp_path: Path) -> None:
    (tmp_path / "recovery").touch()
    with pytest.raises(ManifestError, match=r"expected a folder to write to, .*right to write"):
        lock(tmp_path / "recovery")
