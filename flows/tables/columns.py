"""What the columns of a CSV file are: as asked for, else as most of their cells say."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import duckdb

from flows.tables.cells import DATES, EPOCH, ISO, ROWS, missing, number, seconds
from flows.tables.dialect import Dialect
from oodl.errors import OodlError

__all__ = ["Columns", "Kind", "Meaning", "TableError", "decide", "kinds_of", "left_out"]

SAMPLE = 20480  # rows that decide what a column is, as many as duckdb's own sniffer takes
TIMES = 500  # of them, evenly apart, decide how times are written: each is tried in every way
QUOTED = 40  # characters of a cell that a message repeats
LISTED = 8  # columns that a message names
NAMES_OF_GROUPS = range(2, 101)  # so many different texts look like the names of machines
TIME_NAME = re.compile(
    r"(unix|epoch|event|sample)?[ _-]?(time|timestamp|ts|epoch|datetime)([ _-]?(s|ms|us|ns|utc))?",
    re.IGNORECASE,
)


class TableError(OodlError, ValueError):
    """A file, or a choice of its columns, that cannot be worked with."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what, as far as it is asked for; several names may be joined by commas.

    Parameters
    ----------
    group : sequence of str
        Columns that together name the group, joined by ``/``; without, the file is one group.
    time : str or None
        The column of the time; without, the first one that holds times.
    channels : sequence of str
        The channels; without, every column of numbers.
    ignore : sequence of str
        Columns to leave out.
    """

    group: Sequence[str] = ()
    time: str | None = None
    channels: Sequence[str] = ()
    ignore: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """What the sample shows of a column.

    Parameters
    ----------
    name : str
    cells : int
        How many are not missing.
    plain, comma : int
        How many of them are numbers, with a decimal point and with a decimal comma.
    style : str or None
        How most of them write times, if they do.
    texts : int
        How many different ones there are.
    example : str
    """

    name: str
    cells: int
    plain: int
    comma: int
    style: str | None
    texts: int
    example: str

    @property
    def number(self) -> bool:
        """Whether most cells are numbers."""
        return 2 * max(self.plain, self.comma) > self.cells

    @property
    def group(self) -> bool:
        """Whether this looks like the names of machines."""
        return not self.number and not self.style and self.texts in NAMES_OF_GROUPS

    @property
    def told(self) -> str:
        """What the column holds, in words."""
        if not self.cells:
            return "empty"
        if self.number:
            return "numbers"
        return "times" if self.style else f"text such as {self.example[:QUOTED]!r}"


@dataclass(frozen=True, slots=True)
class Meaning:
    """Which column is what, decided, by their places in the file."""

    group: tuple[int, ...]
    time: int | None
    style: str
    channels: tuple[int, ...]
    ignored: tuple[int, ...]
    decimal_comma: bool


def kinds_of(connection: duckdb.DuckDBPyConnection, dialect: Dialect) -> list[Kind]:
    """Look at the first rows, column by column."""
    source = dialect.source("ignore_errors")
    connection.execute(f"CREATE TEMP TABLE sample AS SELECT * FROM {source} LIMIT {SAMPLE}")
    comma = dialect.delimiter != ","  # else a comma in a cell divides thousands
    return [_kind(connection, f"c{i}", name, comma) for i, name in enumerate(dialect.names)]


def decide(file: str, kinds: list[Kind], asked: Columns) -> Meaning:
    """Decide which column is what.

    Raises
    ------
    TableError
        If a column that is asked for is not there or not of its kind, or no channel is left.
    """
    group = _places(file, kinds, "group column", asked.group)
    ignored = _places(file, kinds, "ignore", asked.ignore)
    wanted = _places(file, kinds, "channels", asked.channels)
    free = [i for i in range(len(kinds)) if i not in {*group, *ignored, *wanted}]
    if asked.time is None:
        time = _time_column(kinds, free)
    else:
        time = _place(file, kinds, "time column", asked.time)
    numbers = [i for i in free if kinds[i].number and i != time]
    channels = tuple(i for i in wanted or numbers if i not in ignored)
    _check_numbers(file, kinds, channels)
    style = ROWS if time is None else _style(file, kinds[time])
    comma = sum(kind.comma for kind in kinds) > sum(kind.plain for kind in kinds)
    return Meaning(group, time, style, channels, ignored, comma)


def left_out(kinds: list[Kind], meaning: Meaning) -> dict[str, str]:
    """Columns that nobody asked to leave out, and what they hold."""
    used = {*meaning.group, *meaning.channels, *meaning.ignored, meaning.time}
    return {kind.name: kind.told for i, kind in enumerate(kinds) if i not in used}


def _kind(connection: duckdb.DuckDBPyConnection, cell: str, name: str, comma: bool) -> Kind:  # noqa: FBT001
    counts = ", ".join(
        f"count({number(cell, decimal_comma=decimal_comma)})" for decimal_comma in (False, comma)
    )
    present = f"FROM sample WHERE NOT {missing(cell)}"
    query = f"""SELECT count(*), {counts}, count(DISTINCT {cell}), coalesce(any_value({cell}), '')
        {present}"""
    ((cells, plain, with_comma, texts, example),) = connection.execute(query).fetchall()
    style = None
    if 2 * max(plain, with_comma) <= cells:
        step = cells // TIMES + 1
        style = _style_of(connection, cell, f"(SELECT {cell} {present} AND rowid % {step} = 0)")
    return Kind(name, cells, plain, with_comma, style, texts, example)


def _style_of(connection: duckdb.DuckDBPyConnection, cell: str, rows: str) -> str | None:
    """How most cells write times, if they do."""
    for styles in ([ISO], list(DATES)):
        told = ", ".join(f"count({seconds(cell, style)})" for style in styles)
        ((cells, *found),) = connection.execute(f"SELECT count(*), {told} FROM {rows}").fetchall()
        if 2 * max(found) > cells:
            return styles[found.index(max(found))]
    return None


def _places(file: str, kinds: list[Kind], thing: str, asked: Sequence[str]) -> tuple[int, ...]:
    """Find columns by their names; a name that has commas itself is a name first."""
    names = [kind.name for kind in kinds]
    split = [part for text in asked for part in ([text] if text in names else text.split(","))]
    return tuple(dict.fromkeys(_place(file, kinds, thing, part.strip()) for part in split))


def _place(file: str, kinds: list[Kind], thing: str, name: str) -> int:
    names = [kind.name for kind in kinds]
    if name in names:
        return names.index(name)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    remedy = f"did you mean {near[0]!r}?" if near else f"it has {_listed(names)}"
    msg = f"{thing}: expected a column of {file}, got {name!r}; {remedy}"
    raise TableError(msg)


def _time_column(kinds: list[Kind], free: list[int]) -> int | None:
    """Take the first column of times, else one of numbers that is called time."""
    times = [i for i in free if kinds[i].style]
    called = [i for i in free if kinds[i].number and TIME_NAME.fullmatch(kinds[i].name)]
    return next(iter(times + called), None)


def _style(file: str, kind: Kind) -> str:
    style = EPOCH if kind.number else kind.style
    if style is None:
        msg = (
            f"time column: expected times in {kind.name!r} of {file}, got {kind.told}; write them "
            f"as ISO 8601, {', '.join(DATES)}, or seconds since 1970"
        )
        raise TableError(msg)
    return style


def _check_numbers(file: str, kinds: list[Kind], channels: tuple[int, ...]) -> None:
    for kind in (kinds[i] for i in channels):
        if kind.cells and not kind.number:
            got = f"got {kind.told}; leave it out"
            msg = f"channels: expected numbers in {kind.name!r} of {file}, {got}"
            raise TableError(msg)
    if not channels:
        got = _listed([f"{kind.name} ({kind.told})" for kind in kinds])
        msg = f"{file}: expected a column of numbers for channels, got {got}; take other columns"
        raise TableError(msg)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
