"""Who may have a recovery folder beside whom, and how the processes of a cluster end together."""

import os
import threading
from pathlib import Path

import pytest

from flows import members
from flows.manifest import ManifestError
from flows.members import ALONE, Hold, Member, hold

HERE, ELSEWHERE = ("a:1", "b:1"), ("a:2", "b:2")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for longer than a test may take."""
    monkeypatch.setattr(members, "PATIENCE", 0.2)
    monkeypatch.setattr(members, "ENDING_PATIENCE", 0.4)
    monkeypatch.setattr(members, "LOOK", 0.0)


def test_the_processes_of_a_cluster_share_a_folder(tmp_path: Path) -> None:
    with hold(tmp_path / "recovery", Member(0, HERE)), hold(tmp_path / "recovery", Member(1, HERE)):
        pass
    # and when all are gone anybody can have it
    with hold(tmp_path / "recovery", Member(1, ELSEWHERE)):
        pass
    with hold(tmp_path / "recovery"):
        pass


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (Member(0, HERE), ALONE, "but the cluster at a:1;b:1 does; stop that one"),
        (Member(0, HERE), Member(1, ELSEWHERE), "but the cluster at a:1;b:1 does; stop that one"),
        (Member(0, HERE), Member(0, HERE), "process 0 of its cluster, but process {}"),
        (ALONE, Member(1, HERE), "but process {} does; stop that one"),
        (ALONE, ALONE, "but process {} does; stop that one"),
    ],
)
def test_whoever_is_no_other_process_of_the_cluster_is_refused(
    tmp_path: Path, first: Member, second: Member, told: str
) -> None:
    with hold(tmp_path, first):
        with pytest.raises(ManifestError, match=told.format(os.getpid())):
            hold(tmp_path, second)
        # and has changed nothing for those who may come
        if not first.alone:
            hold(tmp_path, Member(1, HERE)).__exit__(None, None, None)
    hold(tmp_path, second).__exit__(None, None, None)


def test_what_asks_one_process_to_end_is_heard_by_the_others(tmp_path: Path) -> None:
    with hold(tmp_path, Member(0, HERE)) as one, hold(tmp_path, Member(1, HERE)) as other:
        assert heard(one, other) == ["", ""]

        other.ask("SIGTERM")
        one.ask("SIGTERM of process 1")

        assert heard(one, other) == ["SIGTERM of process 1"] * 2
        # and nobody joins a cluster that is about to end
        with pytest.raises(ManifestError, match="the cluster at a:1;b:1 does, and has not ended"):
            hold(tmp_path, Member(1, HERE))
    # but the next one knows nothing of it
    with hold(tmp_path, Member(0, HERE)) as one:
        assert heard(one) == [""]


def test_a_cluster_that_is_about_to_end_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "ENDING_PATIENCE", 30.0)
    ending = hold(tmp_path, Member(0, HERE))
    ending.ask("SIGTERM")
    later = threading.Timer(0.5, ending.__exit__, (None, None, None))
    later.start()

    with hold(tmp_path, Member(0, HERE)) as begun:
        assert heard(begun) == [""]
    later.join()


def test_one_alone_asks_nobody(tmp_path: Path) -> None:
    with hold(tmp_path) as alone:
        alone.ask("SIGTERM")
        assert heard(alone) == [""]
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    with (
        hold(tmp_path, Member(0, HERE, parent=os.getppid())) as living,
        hold(tmp_path, Member(1, HERE, parent=os.getppid() + 1)) as orphan,
    ):
        assert heard(living, orphan) == ["", f"end of process {os.getppid() + 1}"]


def test_one_process_after_the_other_prepares_the_folder(tmp_path: Path) -> None:
    # given two processes, of which one makes the folder ready
    with hold(tmp_path, Member(0, HERE)) as first, hold(tmp_path, Member(1, HERE)) as second:
        order: list[str] = []

        def prepare() -> None:
            with second.preparing():
                order.append("second")

        with first.preparing():
            other = threading.Thread(target=prepare)
            other.start()
            other.join(0.2)
            order.append("first")
        other.join()

    assert order == ["first", "second"]


def heard(*holds: Hold) -> list[str]:
    return [each.asked() for each in holds]
