"""A CSV file as readings: its columns understood, then its rows in order."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt

from flows.tables.cells import literal, missing, seconds, value
from flows.tables.columns import Columns, Meaning, TableError, decide, kinds_of, left_out
from flows.tables.dialect import LONGEST_TEXT, Broken, Dialect, broken_lines, sniff
from flows.wire import EARLIEST, LATEST, LONGEST_GROUP, Reason

__all__ = ["BadRow", "Batch", "Extent", "Table", "open_table", "stem"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

QUOTED = 40  # characters of a cell that a message repeats
NOTHING_ASKED = Columns()
NO_GROUP = -1  # what is at fault in a row, where it is no single column


class BadRow(NamedTuple):
    """A row that is no reading; `line` counts from 1, as editors do."""

    offset: int
    line: int
    reason: Reason
    detail: str
    text: str


class Batch(NamedTuple):
    """Consecutive rows; a missing value is NaN, `sizes` are bytes of text."""

    groups: list[str]
    offsets: Ints
    times: Floats
    sizes: Ints
    values: Floats
    bad: list[BadRow]


class Extent(NamedTuple):
    """How many readings a group has, and the channels it has any value of, by their place."""

    rows: int
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file whose columns are understood; made by `open_table`.

    Parameters
    ----------
    path : Path
    channels : tuple of str
        The columns of numbers that are read, in the file's order or in that asked for.
    time : str or None
        The column of the time; None where the row number stands for it.
    style : str
        How the time is written.
    groups : dict of str to Extent
        Every group that has a reading.
    unreadable : int
        Rows that will be bad.
    left_out : dict of str to str
        Columns that are not read though nobody asked for that, and what they hold.
    perhaps_groups : tuple of str
        Columns of text that might name the group.
    """

    path: Path
    channels: tuple[str, ...]
    time: str | None
    style: str
    groups: dict[str, Extent]
    unreadable: int
    left_out: dict[str, str]
    perhaps_groups: tuple[str, ...]
    _connection: duckdb.DuckDBPyConnection
    _dialect: Dialect
    _meaning: Meaning
    _broken: list[Broken]

    def batches(self, size: int = 4096) -> Iterator[Batch]:
        """Read the rows in order, `size` at a time; memory does not grow with the file."""
        counter = _Counter(self._dialect, self._meaning, self._broken)
        query = _rows(self.path, self._dialect, self._meaning, "ignore_errors")
        rows = self._connection.execute(query)
        while fetched := rows.fetchmany(size):
            yield counter.batch(fetched)
        if rest := counter.rest():
            yield _batch([], rest, len(self.channels))


def open_table(path: Path, asked: Columns = NOTHING_ASKED) -> Table:
    """Find out what a CSV file holds; what gzip made is read as it is.

    Parameters
    ----------
    path : Path
    asked : Columns

    Raises
    ------
    TableError
        If the file is not there or is no CSV file, a column is not there or not of its kind, or no
        column holds numbers.
    """
    if not path.is_file():
        msg = f"{path}: expected a CSV file, found no file; {_near_file(path)}"
        raise TableError(msg)
    connection = _connect()
    try:
        dialect = sniff(connection, path)
        kinds = kinds_of(connection, dialect)
        meaning = decide(path.name, kinds, asked)
        groups, unreadable = _survey(connection, path, dialect, meaning)
        broken = broken_lines(connection)
    except (duckdb.Error, EOFError, gzip.BadGzipFile) as problem:
        told = str(problem).strip().splitlines()[0]
        msg = f"{path}: expected a CSV file, got: {told}; write it anew or take another"
        raise TableError(msg) from problem
    return Table(
        path=path,
        channels=tuple(dialect.names[i] for i in meaning.channels),
        time=None if meaning.time is None else dialect.names[meaning.time],
        style=meaning.style,
        groups=groups,
        unreadable=unreadable + len(broken),
        left_out={} if asked.channels else left_out(kinds, meaning),
        perhaps_groups=() if meaning.group else tuple(k.name for k in kinds if k.group),
        _connection=connection,
        _dialect=dialect,
        _meaning=meaning,
        _broken=broken,
    )


def stem(path: Path) -> str:
    """Name a file without its endings.

    >>> stem(Path("data/pumps.csv.gz"))
    'pumps'
    """
    return path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def _connect() -> duckdb.DuckDBPyConnection:
    """Start duckdb, one thread so that rows come in order, and without a look into the network.

    Its pass over IN clauses takes time that grows with the cube of the columns: 35 s for 300 of
    them, .4 s without.
    """
    offline = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    connection = duckdb.connect(config={"threads": 1, **offline})
    connection.execute("SET disabled_optimizers = 'in_clause'")
    return connection


def _rows(path: Path, dialect: Dialect, meaning: Meaning, errors: str) -> str:
    """SQL for the rows: fault, cells where there is a fault, group, time, size, breaks, values."""
    cells = ", ".join(f"c{i}" for i in range(len(dialect.names)))
    group = f"concat_ws('/', {', '.join(f'trim(c{i})' for i in meaning.group)})"
    group = group if meaning.group else literal(stem(path))
    time = "0.0" if meaning.time is None else seconds(f"c{meaning.time}", meaning.style)
    values = [value(f"c{i}", decimal_comma=meaning.decimal_comma) for i in meaning.channels]
    named = ", ".join(f"{value} AS v{place}" for place, value in enumerate(values))
    return f"""
        WITH read AS (
            SELECT *, {group} AS g, {time} AS t, concat({cells}) AS text, {named}
            FROM {dialect.source(errors)}
        ), judged AS (SELECT *, {_fault(meaning)} AS fault FROM read)
        SELECT fault, CASE WHEN fault IS NOT NULL THEN [{cells}] END, g, t,
            strlen(text) + {len(dialect.names)} AS size,
            length(text) - length(replace(text, chr(10), '')) AS breaks,
            {", ".join(f"v{place}" for place in range(len(values)))}
        FROM judged"""


def _fault(meaning: Meaning) -> str:
    """SQL for the column at fault in a row, by its place; `NO_GROUP`, or NULL for no fault."""
    nameless = " OR ".join(missing(f"c{i}") for i in meaning.group) or "false"
    checks = {NO_GROUP: f"{nameless} OR length(g) > {LONGEST_GROUP}"}
    if meaning.time is not None:
        checks[meaning.time] = f"t IS NULL OR t < {EARLIEST} OR t >= {LATEST}"
    checks |= {column: f"v{place} IS NULL" for place, column in enumerate(meaning.channels)}
    return f"{list(checks)}[list_position([{', '.join(checks.values())}], true)]"


def _survey(
    connection: duckdb.DuckDBPyConnection, path: Path, dialect: Dialect, meaning: Meaning
) -> tuple[dict[str, Extent], int]:
    """Count rows and values by group over the whole file, which also finds its broken lines.

    The sum of sizes is asked for since it looks at every cell, so none is left unchecked.
    """
    places = range(len(meaning.channels))
    counts = ", ".join(f"count(*) FILTER (fault IS NULL AND NOT isnan(v{i}))" for i in places)
    rows = _rows(path, dialect, meaning, "store_rejects")
    query = f"""SELECT g, count(*) FILTER (fault IS NULL), count(fault), sum(size), {counts}
        FROM ({rows}) GROUP BY g"""
    groups, unreadable = {}, 0
    for group, readable, bad, _, *values in connection.execute(query).fetchall():
        unreadable += bad
        if readable:
            groups[group] = Extent(readable, tuple(i for i in places if values[i]) or tuple(places))
    return groups, unreadable


class _Counter:
    """Gives every row its number and its line, and broken lines their place among the rows."""

    def __init__(self, dialect: Dialect, meaning: Meaning, broken: list[Broken]) -> None:
        self._dialect, self._meaning = dialect, meaning
        self._broken, self._between = iter(broken), iter(dialect.between)
        self._next_broken, self._next_between = next(self._broken, None), next(self._between, None)
        self._offset, self._line = 0, dialect.first_line

    def batch(self, rows: list[tuple[Any, ...]]) -> Batch:
        """Divide fetched rows into readings and bad rows."""
        bad: list[BadRow] = []
        good = []
        by_number = self._meaning.time is None
        for fault, cells, group, time, size, breaks, *values in rows:
            self._pass_lines(bad)
            if fault is None:
                at = float(self._offset) if by_number else time
                good.append((group, self._offset, at, size, values))
            else:
                bad.append(self._bad(fault, cells))
            self._offset, self._line = self._offset + 1, self._line + 1 + breaks
        return _batch(good, bad, len(self._meaning.channels))

    def rest(self) -> list[BadRow]:
        """Broken lines after the last row."""
        bad: list[BadRow] = []
        while self._next_broken:
            self._line = max(self._line, self._next_broken.line)
            self._pass_lines(bad)
        return bad

    def _pass_lines(self, bad: list[BadRow]) -> None:
        """Go on over broken lines, and such as are no rows, to the next row."""
        while True:
            if self._next_between is not None and self._next_between <= self._line:
                self._line += self._next_between == self._line
                self._next_between = next(self._between, None)
            elif self._next_broken and self._next_broken.line <= self._line:
                bad.append(BadRow(self._offset, *self._next_broken))
                self._offset += 1
                self._line += 1 + self._next_broken.text.count("\n")
                self._next_broken = next(self._broken, None)
            else:
                return

    def _bad(self, fault: int, cells: list[str | None]) -> BadRow:
        names, meaning = self._dialect.names, self._meaning
        reason: Reason = "time" if fault == meaning.time else "schema"
        expected = f"a time ({meaning.style})" if fault == meaning.time else "a number"
        columns: tuple[int, ...] = (fault,)
        if fault == NO_GROUP:
            reason, expected, columns = "group", f"1 to {LONGEST_GROUP} characters", meaning.group
        named = ", ".join(repr(names[i]) for i in columns)
        got = ", ".join(repr((cells[i] or "")[:QUOTED]) for i in columns)
        detail = f"expected {expected} in {named}, got {got}"
        text = self._dialect.line(cells)[:LONGEST_TEXT]
        return BadRow(self._offset, self._line, reason, detail, text)


def _batch(good: list[tuple[Any, ...]], bad: list[BadRow], width: int) -> Batch:
    groups, offsets, times, sizes, values = zip(*good, strict=True) if good else ((),) * 5
    return Batch(
        list(groups), np.array(offsets, np.int64), np.array(times, np.float64),
        np.array(sizes, np.int64), np.array(values, np.float64).reshape(len(good), width), bad,
    )  # fmt: skip


def _near_file(path: Path) -> str:
    there = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, there, n=1)
    return f"did you mean {path.parent / near[0]}?" if near else "name one that is there"
