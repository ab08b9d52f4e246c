"""How the bytes of a CSV file become rows of text cells, and which of its lines are no rows."""

import csv
import gzip
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import duckdb

from flows.tables.cells import literal
from flows.wire import Reason

__all__ = ["LONGEST_TEXT", "Broken", "Dialect", "broken_lines", "sniff"]

HEAD = 65536  # bytes that decide the encoding
LONGEST_TEXT = 65536  # characters that are kept of a row that cannot be read
REASONS: dict[str, Reason] = {
    "INVALID ENCODING": "encoding",
    "LINE SIZE OVER MAXIMUM": "size",
    "MISSING COLUMNS": "length",
    "TOO MANY COLUMNS": "length",
}


class Broken(NamedTuple):
    """A line that is no row."""

    line: int
    reason: Reason
    detail: str
    text: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """How bytes become rows of text cells; `between` are lines that are none."""

    options: str
    delimiter: str
    names: tuple[str, ...]
    first_line: int
    between: tuple[int, ...]

    def source(self, errors: str) -> str:
        """SQL for the rows, columns c0, c1, ...; `errors` says what happens to broken lines."""
        types = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(self.names)))
        return f"read_csv({self.options}, columns={{{types}}}, {errors}=true)"

    def line(self, cells: Sequence[str | None]) -> str:
        """Join cells to a line again."""
        line = io.StringIO()
        csv.writer(line, delimiter=self.delimiter, lineterminator="").writerow(cells)
        return line.getvalue()


def sniff(connection: duckdb.DuckDBPyConnection, path: Path) -> Dialect:
    """Find encoding, separator, quotes and header."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    encoding = _encoding(path, packed=packed)
    options = (
        f"{literal(path)}, compression='{'gzip' if packed else 'none'}', encoding='{encoding}'"
    )
    try:
        found = _sniffed(connection, options)
    except duckdb.InvalidInputException:
        options += ", strict_mode=false"  # takes mixed line ends and stray quotes
        found = _sniffed(connection, options)
    delimiter, quote, escape, comment = ("" if sign == "(empty)" else sign for sign in found[:4])
    skip, header, columns = found[4:]
    signs = {"delim": delimiter, "quote": quote, "escape": escape, "comment": comment}
    told = ", ".join(f"{name}={literal(sign)}" for name, sign in signs.items())
    options += f", auto_detect=false, {told}, skip={skip}, header={header}"
    names = tuple(column["name"].strip() for column in columns)
    with _opened(path, encoding, packed=packed) as lines:
        first, between = _first_and_between(lines, comment, skip + header + 1)
    if len(names) == 1:  # then an empty line is a missing value
        between = ()
    return Dialect(options, delimiter, names, first, between)


def _sniffed(connection: duckdb.DuckDBPyConnection, options: str) -> tuple[Any, ...]:
    """What duckdb sees when it passes over broken rows, or over lines before the header."""
    told = "Delimiter, Quote, Escape, Comment, SkipRows, HasHeader, Columns"
    found: list[tuple[Any, ...]] = []
    for passes in ("true", "false"):
        query = f"SELECT {told} FROM sniff_csv({options}, ignore_errors={passes})"
        try:
            found += connection.execute(query).fetchall()
        except duckdb.InvalidInputException:
            if passes == "false" and not found:
                raise
    return max(found, key=lambda answer: len(answer[-1]))


def _first_and_between(lines: IO[str], comment: str, first: int) -> tuple[int, tuple[int, ...]]:
    """Line of the first row, and the blank lines and comments, which are no rows."""
    between = []
    for number, line in enumerate(lines, start=1):
        commented = bool(comment) and line.startswith(comment)
        first += commented and number <= first
        if commented or line == "\n":
            between.append(number)
    return first, tuple(between)


def _encoding(path: Path, *, packed: bool) -> str:
    """UTF-8, unless the file's beginning says UTF-16 or is mostly not UTF-8."""
    with gzip.open(path) if packed else path.open("rb") as file:
        head = file.read(HEAD)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    lines = head.splitlines()[:-1] or [head]
    strange = sum(not _is_utf8(line) for line in lines)
    return "latin-1" if 2 * strange > len(lines) or not _is_utf8(lines[0]) else "utf-8"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _opened(path: Path, encoding: str, *, packed: bool) -> IO[str]:
    if packed:
        return gzip.open(path, "rt", encoding=encoding, errors="replace")
    return path.open(encoding=encoding, errors="replace")


def broken_lines(connection: duckdb.DuckDBPyConnection) -> list[Broken]:
    """Lines that the last reading with `store_rejects` could not take as rows."""
    query = f"""SELECT line, min(error_type), min(error_message),
        left(min(csv_line), {LONGEST_TEXT}) FROM reject_errors GROUP BY line ORDER BY line"""
    return [
        Broken(line, REASONS.get(kind, "schema"), _spoken(message), text.strip("\r\n"))
        for line, kind, message, text in connection.execute(query).fetchall()
    ]


def _spoken(message: str) -> str:
    """Say what duckdb found, in our words.

    >>> _spoken("Expected Number of Columns: 3 Found: 2")
    'expected 3 columns, got 2'
    """
    counts = re.match(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    return f"expected {counts[1]} columns, got {counts[2]}" if counts else message.splitlines()[0]
