"""What is read of the engine's snapshots is what the engine goes on from."""

import pickle
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, run_main

from flows import snapshots
from flows.dataflow import make_snapshots
from flows.snapshots import GROUPS, READINGS, read, write


class Numbers(StatefulSourcePartition[tuple[str, int], int]):
    """Numbers up to a bound, each under the name of its last digit."""

    def __init__(self, first: int, last: int) -> None:
        self._next, self._last = first, last

    def next_batch(self) -> list[tuple[str, int]]:
        if self._next > self._last:
            raise StopIteration
        self._next += 1
        return [(str((self._next - 1) % 10), self._next - 1)]

    def snapshot(self) -> int:
        return self._next


class Source(FixedPartitionedSource[tuple[str, int], int]):
    """One partition that goes on where it was."""

    def __init__(self, last: int) -> None:
        self._last = last

    def list_parts(self) -> list[str]:
        return ["00000"]

    def build_part(self, _step: str, _part: str, resume_state: int | None) -> Numbers:
        return Numbers(resume_state or 0, self._last)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A new recovery folder."""
    init_db_dir(tmp_path, 1)  # type: ignore[no-untyped-call]
    return tmp_path


def run(folder: Path, last: int) -> list[tuple[str, list[int]]]:
    """Go on up to a number; a total a name, as the steps of the pipeline are called."""
    found: list[tuple[str, list[int]]] = []
    flow = Dataflow("oodl")
    numbers = op.input("readings", flow, Source(last))

    def add(total: list[int] | None, number: int) -> tuple[list[int], list[int]]:
        return [*(total or []), number], [*(total or []), number]

    op.output("outputs", op.stateful_map("groups", numbers, add), TestingSink(found))
    recovery = RecoveryConfig(folder, timedelta(0))  # type: ignore[no-untyped-call]
    run_main(flow, epoch_interval=timedelta(0), recovery_config=recovery)  # type: ignore[no-untyped-call]
    return found


def unpickled(folder: Path, step: str) -> dict[str, object]:
    return {key: pickle.loads(content) for key, content in read(folder, step)}


def test_a_new_folder_has_nothing_to_go_on_from(folder: Path) -> None:
    assert unpickled(folder, READINGS) == {}


def test_each_step_s_last_state_is_read(folder: Path) -> None:
    run(folder, 34)
    run(folder, 57)

    assert unpickled(folder, READINGS) == {"00000": 58}
    # a step inside an operator has the operator's name before its own
    (totals,) = {step for (step,) in rows(folder, "SELECT step_id FROM snaps") if "groups" in step}
    found = unpickled(folder, totals)
    assert found == {str(n): [*range(n, 58, 10)] for n in range(10)}


def test_what_was_not_completed_is_not_gone_on_from(folder: Path) -> None:
    # given an execution that was killed: one of its two workers is an epoch behind the other
    snaps = [(READINGS, "00000", epoch, pickle.dumps(epoch)) for epoch in (1, 2, 3)]
    with sqlite3.connect(folder / "part-0.sqlite3") as database:
        database.execute("INSERT INTO exs (ex_num, worker_count, resume_epoch) VALUES (0, 2, 1)")
        database.executemany(
            "INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change) VALUES (?, ?, ?, ?)",
            [*snaps, (GROUPS, "press-0", 1, pickle.dumps(7)), (GROUPS, "press-0", 2, None)],
        )
        fronts = "INSERT INTO fronts (ex_num, worker_index, worker_frontier) VALUES (0, ?, ?)"
        database.executemany(fronts, [(0, 4), (1, 3)])
    database.close()
    # then the slower one's epoch decides, for us
    assert unpickled(folder, READINGS) == {"00000": 2}
    assert unpickled(folder, GROUPS) == {}  # discarded in epoch 2
    # as for the engine
    assert [number for _, (*_, number) in run(folder, 5)] == [2, 3, 4, 5]


def test_what_is_written_is_gone_on_from(folder: Path) -> None:
    write(folder, READINGS, [("00000", pickle.dumps(3))])
    write(folder, GROUPS, [("press-0", pickle.dumps([1, 2]))])

    assert unpickled(folder, READINGS) == {"00000": 3}
    assert unpickled(folder, GROUPS) == {"press-0": [1, 2]}
    assert [number for _, (*_, number) in run(folder, 5)] == [3, 4, 5]


def rows(folder: Path, query: str) -> list[tuple[str, ...]]:
    with sqlite3.connect(folder / "part-0.sqlite3") as database:
        found = database.execute(query).fetchall()
    database.close()
    return found


def test_files_of_snapshots_have_larger_pages_and_stay_what_they_were(tmp_path: Path) -> None:
    make_snapshots(tmp_path)
    [path] = tmp_path.glob(snapshots.FILES)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA page_size").fetchone() == (snapshots.PAGE,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert path.stat().st_mode & 0o777 == 0o600
