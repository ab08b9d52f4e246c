"""The engine's snapshots, as the next start goes on from them.

bytewax keeps them in SQLite: what each step had at the end of an epoch, and up to which epoch each
worker of an execution came. What all of them have come to the end of is gone on from.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

__all__ = ["FILES", "GROUPS", "READINGS", "enlarge_pages", "read", "sizes", "write"]

FILES = "*.sqlite3"
READINGS, GROUPS = "oodl.readings", "oodl.groups"  # steps of the flow: keys are partitions, groups
FIRST_EPOCH = 1
PAGE = 16384  # bytes: a state of 150 KB is written in half the time that pages of 4096 take

# As the engine asks when it starts (src/recovery.rs of its sources, version 0.21.1).
LAST = """
    SELECT state_key, {} FROM snaps JOIN (
        SELECT step_id, state_key, max(snap_epoch) AS snap_epoch FROM snaps
        WHERE snap_epoch < ? AND step_id = ? GROUP BY state_key
    ) USING (step_id, state_key, snap_epoch) WHERE ser_change IS NOT NULL
"""
CONTENT, SIZE = LAST.format("ser_change"), LAST.format("length(ser_change)")
EXECUTION = "SELECT ex_num, worker_count, resume_epoch FROM exs ORDER BY ex_num DESC LIMIT 1"
FRONTIERS = "SELECT worker_index, worker_frontier FROM fronts WHERE ex_num = ?"

# An execution of one worker that has come to the end of the first epoch.
BEGIN = "INSERT OR IGNORE INTO exs (ex_num, worker_count, resume_epoch) VALUES (0, 1, ?)"
INSERT = "INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change) VALUES (?, ?, ?, ?)"


def enlarge_pages(path: Path) -> None:
    """Give a new file larger pages than SQLite's own: states are large."""
    with closing(sqlite3.connect(path)) as database:
        [mode] = database.execute("PRAGMA journal_mode").fetchone()
        database.execute("PRAGMA journal_mode=DELETE")  # with a log beside, pages stay as they are
        database.execute(f"PRAGMA page_size={PAGE}")
        database.execute("VACUUM")
        database.execute(f"PRAGMA journal_mode={mode}")


def read(folder: Path, step: str) -> Iterator[tuple[str, bytes]]:
    """Yield what the next start over a folder goes on from: a step's keys, each with its pickle.

    Nothing comes of a folder in which no snapshot was completed.
    """
    for path in folder.glob(FILES):
        with closing(sqlite3.connect(path)) as database:
            yield from database.execute(CONTENT, (_resume_epoch(database), step))


def sizes(folder: Path, step: str) -> dict[str, int]:
    """Return how many bytes each key of a step has there; a pipeline at work is not disturbed.

    Raises
    ------
    sqlite3.Error
        If they cannot be read.
    """
    found: dict[str, int] = {}
    for path in folder.glob(FILES):
        place = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(place, uri=True)) as database:
            found.update(database.execute(SIZE, (_resume_epoch(database), step)))
    return found


def write(folder: Path, step: str, states: Iterable[tuple[str, bytes]]) -> None:
    """Put states into new files of snapshots, for the next start to go on from."""
    [path] = folder.glob(FILES)
    rows = ((step, key, FIRST_EPOCH, content) for key, content in states)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(BEGIN, (FIRST_EPOCH + 1,))
        database.executemany(INSERT, rows)


def _resume_epoch(database: sqlite3.Connection) -> int:
    """Find the first epoch that some worker of the last execution has not come to the end of."""
    last = database.execute(EXECUTION).fetchone()
    if last is None:
        return FIRST_EPOCH
    execution, workers, begun_at = last
    frontiers: dict[int, int] = dict.fromkeys(range(workers), begun_at)
    for worker, frontier in database.execute(FRONTIERS, (execution,)):
        frontiers[worker] = max(frontier, begun_at)
    return min(frontiers.values())
