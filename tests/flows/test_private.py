import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import private
from flows.manifest import ManifestError, lock
from flows.private import ExposedError


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "recovery"
    private.make_folder(made)
    (made / "part-0.sqlite3").touch(0o600)
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_what_is_made_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "deeper" / "recovery"

    lock(folder).close()

    assert mode(folder) == 0o700
    assert mode(folder / "lock") == 0o600
    assert not (mode(folder.parent) | mode(folder.parent.parent)) & private.OTHERS_WRITE


def test_a_folder_that_others_can_only_read_is_taken(folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "part-0.sqlite3").chmod(0o644)

    private.check(folder)

    assert mode(folder) == 0o755


@pytest.mark.parametrize("bits", [0o020, 0o002, 0o022])
@pytest.mark.parametrize("name", ["", "part-0.sqlite3", "part-0.sqlite3-wal", "manifest.json"])
def test_what_others_can_write_is_refused_with_its_mode_and_the_remedy(
    folder: Path, name: str, bits: int
) -> None:
    path = folder / name
    path.touch()
    path.chmod((0o700 if path.is_dir() else 0o600) | bits)

    with pytest.raises(ExposedError) as told:
        lock(folder)

    said = f"{path}: expected no one else to write it, got mode {mode(path):04o}; "
    assert str(told.value).startswith(said)
    assert f"`chmod go-w {path}`" in str(told.value)
    assert "or name another recovery.folder" in str(told.value)
    assert len(str(told.value).splitlines()) == 1


def test_what_belongs_to_somebody_else_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(private, "ROOT", -1)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    with pytest.raises(ExposedError) as told:
        private.check(folder)

    said = f"expected user {owner + 1} as its owner, got user {owner}"
    lines = str(told.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [str(folder), str(folder / "part-0.sqlite3")]
    assert all(said in line for line in lines)


def test_a_folder_that_everybody_can_exchange_for_another_is_refused(folder: Path) -> None:
    folder.parent.chmod(0o777)

    with pytest.raises(ExposedError, match="everybody can rename what is in"):
        private.check(folder)

    folder.parent.chmod(0o1777)  # as /tmp has it: only owners rename there
    private.check(folder)


def test_a_link_counts_as_what_it_leads_to(folder: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.touch()
    away.chmod(0o666)
    (folder / "part-1.sqlite3").symlink_to(away)

    with pytest.raises(ExposedError, match=r"part-1\.sqlite3: expected no one else to write it"):
        private.check(folder)


def test_a_folder_is_judged_before_it_is_held(folder: Path) -> None:
    with lock(folder):
        folder.chmod(0o770)

        with pytest.raises(ExposedError):
            lock(folder)

        folder.chmod(0o700)
        with pytest.raises(ManifestError):
            lock(folder)
