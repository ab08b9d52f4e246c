"""What `oodl check` finds on this host, and how it is told; a broker is not needed here."""

import io
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from flows import manifest
from flows.dataflow import belonging, make_snapshots
from flows.kafka import Cluster
from flows.settings import Settings
from flows.tools.check import as_json, check, table
from flows.tools.checks import CHECKS, Check, Finding, Looked, broker, clock, host, look, recovery
from flows.tools.checks.findings import Scene
from tests.fault.workers import be_ordinary, free_port, write_settings

SECRET = "right-horse-battery"
TOPICS = Settings().topics.model_dump()
CLUSTER = Cluster("cluster-1", dict.fromkeys(TOPICS.values(), 6))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A folder of this pipeline, as it is when nothing is wrong with it."""
    settings = Settings.model_validate(
        {"recovery": {"folder": tmp_path / "recovery"}, "metrics": {"port": free_port()}}
    )
    manifest.write(settings.folder, belonging(settings, CLUSTER))
    make_snapshots(settings.folder)
    return Scene(settings, CLUSTER)


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.name: (path.stat().st_mode, path.read_bytes()) for path in sorted(folder.iterdir())
    }


def found(scene: Scene) -> list[Finding]:
    """What is found of a folder, as it is told."""
    [looked] = [
        each for each in look_at(scene, "recovery") if each.check.name == "recovery"
    ]  # fmt: skip
    return list(looked.findings)


def look_at(scene: Scene, *names: str) -> Iterator[Looked]:
    """Do some checks on a scene whose broker has answered."""

    def answered(other: Scene) -> Iterator[Finding]:
        other.cluster = scene.cluster
        yield from ()

    begin = Check("broker", "answered", answered, asks=False)
    yield from look(scene.settings, [begin, *(each for each in CHECKS if each.name in names)])


def test_a_folder_of_this_pipeline_is_fine_and_stays_as_it_is(scene: Scene) -> None:
    before = files(scene.settings.folder)
    assert found(scene) == []
    assert files(scene.settings.folder) == before


def test_a_folder_that_is_not_there_is_fine_and_not_made(tmp_path: Path) -> None:
    settings = Settings.model_validate({"recovery": {"folder": tmp_path / "a" / "b"}})
    assert found(Scene(settings, CLUSTER)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "place", "remedy"),
    [
        ({"cluster": "another"}, "cluster", "undo the change"),
        ({"group": "another"}, "group", "undo the change"),
        ({"topics": {**TOPICS, "codes": "another"}}, "topics", "undo the change"),
        ({"partitions": 8}, "partitions of sensors.readings", "undo the change"),
        ({"state_format": 1}, "state_format", "undo the change"),
        ({"workers": 3}, "", "oodl rebalance"),
    ],
    ids=repr,
)
def test_a_folder_of_something_else_is_told_with_what_differs(
    scene: Scene, change: dict[str, object], place: str, remedy: str
) -> None:
    folder = scene.settings.folder
    own = belonging(scene.settings, CLUSTER)
    manifest.write(folder, msgspec.structs.replace(own, **change))
    [finding] = found(scene)
    assert finding.place == f"{folder / 'manifest.json'}{f': {place}' if place else ''}"
    assert remedy in finding.remedy


def test_a_folder_is_looked_into_wherever_its_name_begins(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = belonging(scene.settings, CLUSTER)
    manifest.write(scene.settings.folder, msgspec.structs.replace(own, group="another"))
    monkeypatch.chdir(scene.settings.folder.parent)
    named = scene.settings.recovery.model_copy(update={"folder": Path("recovery")})
    [finding] = found(Scene(scene.settings.model_copy(update={"recovery": named}), CLUSTER))
    assert finding.place == "recovery/manifest.json: group"


def test_a_folder_without_its_manifest_is_told(scene: Scene) -> None:
    (scene.settings.folder / "manifest.json").unlink()
    [finding] = found(scene)
    assert "missing beside snapshots" in finding.told


def test_damaged_snapshots_are_told(scene: Scene) -> None:
    [path] = scene.settings.folder.glob("*.sqlite3")
    path.write_bytes(b"no database, but long enough to be looked at as if it were one")
    [finding] = found(scene)
    assert (finding.place, finding.grade) == (str(path), "problem")
    assert "delete the folder" in finding.remedy


def test_a_folder_that_others_can_write_is_told_and_not_looked_into(scene: Scene) -> None:
    scene.settings.folder.chmod(0o777)
    [path] = scene.settings.folder.glob("*.sqlite3")
    path.write_bytes(b"what may be anybody's")
    [finding] = found(scene)
    assert "chmod go-w" in finding.remedy


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = Settings.model_validate({"recovery": {"folder": tmp_path / "file" / "recovery"}})
    [finding] = found(Scene(settings, CLUSTER))
    assert "which is none" in finding.told


def test_a_folder_that_a_process_has_is_told_with_the_process(scene: Scene) -> None:
    before = files(scene.settings.folder)
    with closing(manifest.lock(scene.settings.folder)):
        [finding] = found(scene)
    assert f"process {os.getpid()} does" in finding.told
    # and one that is free again is not
    assert found(scene) == []
    assert before.items() <= files(scene.settings.folder).items()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(0o500)
    sections: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap": "127.0.0.1:1"},
        "recovery": {"folder": str(tmp_path / "closed" / "recovery")},
    }
    script = (
        "import sys; from flows.settings import load; from pathlib import Path;"
        "from flows.tools.checks.findings import Scene; from flows.tools.checks import recovery;"
        "[print(each) for each in recovery.fits(Scene(load(Path(sys.argv[1]))))]"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, write_settings(tmp_path, sections)],
        capture_output=True, text=True, check=True, preexec_fn=be_ordinary,
    ).stdout  # fmt: skip
    assert told.startswith(f"{tmp_path / 'closed' / 'recovery'}: expected a folder to write to")


def test_a_disk_without_room_is_told_by_what_is_needed(scene: Scene) -> None:
    assert list(host.has_room(scene)) == []
    [finding] = host.has_room(scene, free=lambda _: 100 << 20)
    assert finding.told == "expected 256 MB of room, got 100 MB"
    large = scene.settings.folder / "large"
    with large.open("wb") as file:
        file.truncate(1 << 30)
    [finding] = host.has_room(scene, free=lambda _: 500 << 20)
    assert finding.told.endswith("got 500 MB")
    assert "expected 1024 MB" in finding.told


def test_a_taken_port_is_told_with_who_has_it(scene: Scene) -> None:
    assert list(host.has_a_free_port(scene)) == []
    with closing(socket.create_server(("127.0.0.1", scene.settings.metrics.port))):
        [finding] = host.has_a_free_port(scene)
        assert f"process {os.getpid()} listens there" in finding.told
        # but not when it is the pipeline that has the folder
        scene.holder = str(os.getpid())
        assert list(host.has_a_free_port(scene)) == []


def test_an_address_of_another_host_is_told() -> None:
    settings = Settings.model_validate({"metrics": {"address": "192.0.2.1"}})
    [finding] = host.has_a_free_port(Scene(settings))
    assert finding.place == "metrics.address"


def test_a_broker_that_is_not_where_it_says_is_told(scene: Scene) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        here, nowhere = server.getsockname()[1], free_port()
        scene.settings = Settings.model_validate(
            {"kafka": {"bootstrap": f"127.0.0.1:{here},PLAINTEXT://127.0.0.1:{nowhere}"}}
        )
        away = broker.Place("127.0.0.1", free_port())
        findings = list(
            broker.can_be_reached(scene, lambda _: {broker.Place("127.0.0.1", here): 1, away: 2})
        )
    assert [(each.place, each.grade) for each in findings] == [
        ("kafka.bootstrap", "advice"), ("broker 2", "problem"),
    ]  # fmt: skip
    assert "advertised.listeners" in findings[1].remedy


@pytest.mark.parametrize(
    ("there", "ahead"),
    [(100.0, 0.0), (101.0, 0.0), (99.0, -1.0), (161.0, 60.0), (40.0, -60.0)],
)
def test_a_clock_is_apart_by_what_no_delay_explains(there: float, ahead: float) -> None:
    assert clock.skew(clock.Glimpse(100.0, there, 101.0)) == ahead


def test_without_an_answer_only_this_host_is_looked_at(scene: Scene) -> None:
    nowhere = {"bootstrap": f"127.0.0.1:{free_port()}"}
    settings = scene.settings.model_copy(
        update={"kafka": scene.settings.kafka.model_copy(update=nowhere)}
    )

    def unanswered(_: Scene) -> Iterator[Finding]:
        yield Finding("kafka.bootstrap", "expected an answer, got none", "start it")

    checks = [Check("broker", "", unanswered, asks=False), *CHECKS[1:]]
    told = as_json(look(settings, checks))
    grades = {each["check"]: each["grade"] for each in told["checks"]}
    assert grades == {
        "settings": "fine", "broker": "problem", "addresses": "unknown", "rights": "unknown",
        "topics": "unknown", "recovery": "fine", "disk": "fine", "metrics": "fine",
        "group": "unknown", "offsets": "unknown", "clock": "unknown",
    }  # fmt: skip
    assert told["ok"] is False


def test_all_problems_of_settings_are_told_at_once_and_end_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "oodl.toml"
    file.write_text(
        f'[kafka]\nbootstrop = "a:1"\nsecurity = "{SECRET}"\n[coding]\ntolerance = -1\n'
    )
    assert check(settings=file, json=True) == 1
    told = json.loads(capsys.readouterr().out)
    [settings] = told["checks"]
    assert [each["place"] for each in settings["findings"]] == [
        "oodl.toml: kafka.security", "oodl.toml: kafka.bootstrop", "oodl.toml: coding.tolerance",
    ]  # fmt: skip
    assert all(each["remedy"] for each in settings["findings"])
    assert SECRET not in json.dumps(told)


def test_what_a_check_ends_with_is_a_finding(scene: Scene) -> None:
    def fails(_: Scene) -> Iterator[Finding]:
        raise PermissionError(13, "Permission denied", "/var/lib/oodl")

    [_, looked] = look(scene.settings, [Check("disk", "", fails, asks=False)])
    assert str(looked.findings[0]).startswith("/var/lib/oodl: expected to look at it, got: Perm")


def test_only_problems_end_with_1_and_the_table_has_every_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = [
        Finding("topic", "expected more", "add [bold]some[/bold]", "advice"),
        Finding("clock", "expected to know", "ask", "unknown"),
        Finding("folder", "expected another", "name it", "problem"),
    ]
    looked = [Looked(CHECKS[0], ()), *(Looked(CHECKS[3], (each,)) for each in findings)]
    for given, code in ((looked[:3], 0), (looked, 1)):
        monkeypatch.setattr("flows.tools.check.look", lambda _, given=given: iter(given))
        assert check() == code
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "ok       broker: answers and lets this client in"
        assert len(lines) == len(given)
    shown = io.StringIO()
    Console(file=shown, force_terminal=True, width=100).print(table(looked))
    for finding in findings:
        assert finding.remedy in shown.getvalue()


def test_looking_at_snapshots_leaves_nothing_beside_them(scene: Scene) -> None:
    # given a database with a log beside it, as a killed worker leaves it
    [path] = scene.settings.folder.glob("*.sqlite3")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert found(scene) == []
    assert {each.name for each in scene.settings.folder.iterdir()} == {"manifest.json", path.name}
    assert list(recovery.fits(scene)) == []
