"""Independent workers, and what is moved between their folders, on the embedded broker."""

import pickle
import shutil
import threading
import time
from pathlib import Path

import pytest

from flows import manifest, snapshots
from flows.dataflow import assemble
from flows.events import Tally
from flows.kafka import StopFlag
from flows.manifest import ManifestError
from flows.settings import Settings, worker_folder
from flows.snapshots import GROUPS, READINGS
from flows.tools import rebalance as tool
from flows.tools.rebalance import rebalance
from oodl.errors import ValueFault
from tests.traffic import Record, codes_by_position, machine, read, send

GROUPS_SENT = [f"press-{number}" for number in range(12)]
PARTITIONS = 4
PATIENCE = 60.0


def of(settings: Settings, index: int, count: int) -> Settings:
    """The same settings for one of several workers."""
    workers = settings.workers.model_copy(update={"index": index, "count": count})
    return settings.model_copy(update={"workers": workers})


def run(settings: Settings, count: int, sent: list[Record]) -> list[Tally]:
    """Let so many workers read what was sent, one after the other."""
    tallies = []
    for index in range(count):
        own = sum(record.partition % count == index for record in sent)
        tallies.append(run_one(of(settings, index, count), own))
    return tallies


def run_one(settings: Settings, readings: int) -> Tally:
    tally, stop = Tally(), StopFlag()

    def watch() -> None:
        deadline = time.monotonic() + PATIENCE
        while tally.codes_sent < readings and time.monotonic() < deadline:
            time.sleep(0.02)
        stop.set()

    watcher = threading.Thread(target=watch)
    with assemble(settings, tally, stop) as pipeline:
        watcher.start()
        try:
            pipeline.run()
        finally:
            stop.set()
            watcher.join()
    return tally


def send_rows(settings: Settings, rows: int) -> list[Record]:
    records = machine(GROUPS_SENT, rows)
    return send(settings.kafka.bootstrap, settings.topics.readings, records)


@pytest.fixture
def file(settings: Settings, tmp_path: Path) -> Path:
    """The settings of all workers, as the command reads them."""
    path = tmp_path / "oodl.toml"
    path.write_text(
        f'[kafka]\nbootstrap = "{settings.kafka.bootstrap}"\n'
        f'[recovery]\nfolder = "{settings.recovery.folder}"\nepoch_seconds = 0.2\n'
    )
    return path


def held(settings: Settings, count: int) -> list[tuple[list[int], set[str]]]:
    """Partitions and groups in the folder of each worker."""
    folders = [worker_folder(settings.recovery.folder, index, count) for index in range(count)]
    return [
        (
            sorted(int(key) for key, _ in snapshots.read(folder, READINGS)),
            {key for key, _ in snapshots.read(folder, GROUPS)},
        )
        for folder in folders
    ]


def offsets(folder: Path) -> dict[int, int]:
    return {int(key): pickle.loads(at)[0] for key, at in snapshots.read(folder, READINGS)}


def test_workers_share_the_partitions_and_each_group_is_with_its_partition(
    settings: Settings,
) -> None:
    sent = send_rows(settings, 40)

    tallies = run(settings, 2, sent)

    codes = codes_by_position(read(settings.kafka.bootstrap, settings.topics.codes))
    assert sorted(codes) == sorted(record.position for record in sent)
    assert sum(tally.readings_received for tally in tallies) == len(sent)
    (evens, of_evens), (odds, of_odds) = held(settings, 2)
    assert (evens, odds) == ([0, 2], [1, 3])
    assert of_evens | of_odds == set(GROUPS_SENT)
    assert not of_evens & of_odds
    assert not any(tally.oddities["warm_start"] for tally in tallies)


@pytest.mark.parametrize("way", [(2, 3), (2, 1), (1, 4), (4, 2, 1, 3)])
def test_after_a_move_each_group_goes_on_where_it_was(
    settings: Settings, file: Path, way: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    sent = send_rows(settings, 100)
    run(settings, way[0], sent)
    for count in way[1:]:
        rebalance(workers=count, settings=file)
        capsys.readouterr()
        # every worker has its partitions with their groups, and nothing else is left
        found = held(settings, count)
        assert [partitions for partitions, _ in found] == [
            [*range(index, PARTITIONS, count)] for index in range(count)
        ]
        assert sum(len(groups) for _, groups in found) == len(GROUPS_SENT)

    more = send_rows(settings, 30)
    tallies = run(settings, way[-1], more)

    # and nobody reads a reading again, nor begins with a group anew
    codes = codes_by_position(read(settings.kafka.bootstrap, settings.topics.codes))
    assert all(len(codes[record.position]) == 1 for record in [*sent, *more])
    assert sum(tally.groups_begun for tally in tallies) == 0
    assert all(codes[record.position][0].version > 0 for record in more)
    top = settings.recovery.folder
    assert not (top / "rebalanced").exists()
    assert len([*top.glob("worker-*")]) == way[-1] * (way[-1] > 1)


def test_a_group_that_two_workers_have_goes_on_beside_its_first_partition(
    settings: Settings, file: Path
) -> None:
    """Its two states ended each move with a traceback of the database."""
    rows = [
        record._replace(partition=partition)
        for partition in (0, 1)
        for record in machine(["press-0"], 40)
    ]
    run(settings, 2, send(settings.kafka.bootstrap, settings.topics.readings, rows))
    kept = dict(snapshots.read(settings.recovery.folder / "worker-00000", GROUPS))

    rebalance(workers=3, settings=file)

    assert [groups for _, groups in held(settings, 3)] == [{"press-0"}, set(), set()]
    assert dict(snapshots.read(settings.recovery.folder / "worker-00000", GROUPS)) == kept


@pytest.mark.parametrize("stop_at", range(1, 10))
def test_a_move_that_was_interrupted_is_begun_anew_or_brought_to_its_end(
    settings: Settings, file: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    sent = send_rows(settings, 40)
    run(settings, 2, sent)
    before = {**offsets(settings.recovery.folder / "worker-00000"),
              **offsets(settings.recovery.folder / "worker-00001")}  # fmt: skip
    # given a process that dies after some changes of the file system
    steps = iter(range(stop_at))

    def dying(call: object) -> object:
        def change(*args: object, **kwargs: object) -> object:
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return call(*args, **kwargs)  # type: ignore[operator]

        return change

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", dying(Path.rename))
        patch.setattr(Path, "touch", dying(Path.touch))
        patch.setattr(Path, "rmdir", dying(Path.rmdir))
        patch.setattr(shutil, "rmtree", dying(shutil.rmtree))
        try:
            rebalance(workers=3, settings=file)
        except KeyboardInterrupt:
            interrupted = (settings.recovery.folder / "rebalanced").exists()
            if interrupted:  # then no worker of either number starts
                for count in (2, 3):
                    with pytest.raises(ManifestError, match="got half of it; run it again"):
                        assemble(of(settings, 0, count), Tally(), StopFlag())

    rebalance(workers=3, settings=file)

    assert [partitions for partitions, _ in held(settings, 3)] == [[0, 3], [1], [2]]
    after = [offsets(settings.recovery.folder / f"worker-{index:05d}") for index in range(3)]
    assert {**after[0], **after[1], **after[2]} == before


def test_who_is_not_of_that_many_workers_does_not_start(settings: Settings) -> None:
    run(settings, 2, send_rows(settings, 3))
    for index, count in ((0, 1), (0, 3), (2, 3)):
        with pytest.raises(ManifestError, match=f"workers.count = 2, got {count}; .*rebalance"):
            assemble(of(settings, index, count), Tally(), StopFlag())
    # nor in the place of another one
    first, second = (worker_folder(settings.recovery.folder, index, 2) for index in range(2))
    shutil.rmtree(second)
    first.rename(second)
    with pytest.raises(ManifestError, match=r"workers.index: expected 0, got 1"):
        assemble(of(settings, 1, 2), Tally(), StopFlag())


def test_more_workers_than_partitions_are_refused(settings: Settings, file: Path) -> None:
    with pytest.raises(ValueFault, match=r"got 4 partitions of .* for 5 processes"):
        assemble(of(settings, 0, 5), Tally(), StopFlag())
    run(settings, 2, send_rows(settings, 3))
    with pytest.raises(ValueFault, match="expected at most the 4 partitions"):
        rebalance(workers=5, settings=file)


def test_what_is_at_work_or_missing_or_not_there_is_not_moved(
    settings: Settings, file: Path
) -> None:
    with pytest.raises(ManifestError, match="expected the recovery folders of a pipeline, got no"):
        rebalance(workers=2, settings=file)
    run(settings, 2, send_rows(settings, 3))
    before = held(settings, 2)
    one, other = (worker_folder(settings.recovery.folder, index, 2) for index in range(2))

    with (
        manifest.lock(other),
        pytest.raises(ManifestError, match=r"worker-00001: expected to hold .* does; stop that"),
    ):
        rebalance(workers=3, settings=file)
    with (
        manifest.lock(settings.recovery.folder, tool.MOVING),
        pytest.raises(ManifestError, match="expected to hold"),
    ):
        rebalance(workers=3, settings=file)  # beside another one it lost what that had moved
    away = settings.recovery.folder.parent / "away"
    one.rename(away)
    with pytest.raises(ManifestError, match="got those of 1 of 2; bring the others here"):
        rebalance(workers=3, settings=file)
    away.rename(one)

    assert held(settings, 2) == before


def test_the_same_number_moves_nothing(
    settings: Settings, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(settings, 2, send_rows(settings, 3))

    rebalance(workers=2, settings=file)

    assert capsys.readouterr().out == "2 workers already: nothing to move\n"
    assert tool.UNFINISHED not in {path.name for path in settings.recovery.folder.iterdir()}
