"""Codes back to readings, as rows of a CSV file.

A code is decoded with the dictionary that it names, or not at all. Every reading is written once:
a repeat is told by its position.
"""

import csv
import math
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import IO

from flows.tables import iso_time
from flows.wire import (
    CodeMessage,
    WireError,
    decode_codes,
    decode_dictionary,
    origins,
    positions,
    to_version,
)
from oodl.coding import Version

__all__ = ["Outcome", "Rebuilder"]

HEAD = ("group", "time", "partition", "offset")
DIGITS = 7  # a value is written to 1e-7 of its scale: below what is left free under a tolerance
PAGE = 65536  # positions that are remembered together, a bit each
TOLD = 5  # malformed messages, and groups passed over, that are kept to be shown


@dataclass(slots=True)
class Outcome:
    """What was written and what was not."""

    readings: int = 0
    repeats: int = 0
    missing: Counter[tuple[str, str]] = field(default_factory=Counter)
    malformed: int = 0
    problems: list[str] = field(default_factory=list)

    def malform(self, place: str, problem: WireError) -> None:
        """Note a message that is neither code nor dictionary."""
        self.malformed += 1
        if self.malformed <= TOLD:
            self.problems.append(f"{place}: {problem}")


class Rebuilder:
    """Takes dictionaries and codes, writes readings.

    The header stands before the first row, and again before a row that brings new channels; they
    are added at the end.

    Parameters
    ----------
    file : text file
        Where the rows go.
    group : str
        A pattern; other groups are passed over.

    Attributes
    ----------
    outcome : Outcome
    passed_over : set of str
        Groups whose names do not fit, a few of them.
    """

    def __init__(self, file: IO[str], group: str = "*") -> None:
        self.outcome = Outcome()
        self.passed_over: set[str] = set()
        self._group = group
        self._rows = csv.writer(file, lineterminator="\n")
        self._versions: dict[tuple[str, str], tuple[Version, list[int] | None]] = {}
        self._columns: dict[str, int] = {}
        self._headed = 0
        self._seen = _Seen()

    def dictionary(self, value: bytes, place: str) -> None:
        """Take a dictionary; `place` tells where its message stands."""
        try:
            message = decode_dictionary(value)
            version = to_version(message)
        except WireError as problem:
            self.outcome.malform(place, problem)
            return
        if not self._wants(message.group):
            return
        self._versions[message.group, message.id] = version, _decimals(version)
        for name in version.channels:
            self._columns.setdefault(name, len(self._columns))

    def codes(self, value: bytes, place: str) -> list[CodeMessage]:
        """Read the codes of a message that are wanted, none if it is malformed."""
        try:
            return [code for code in decode_codes(value) if self._wants(code.group)]
        except WireError as problem:
            self.outcome.malform(place, problem)
            return []

    def knows(self, code: CodeMessage) -> bool:
        """Whether the dictionary that a code names is there."""
        return (code.group, code.id) in self._versions

    def write(self, code: CodeMessage, place: str) -> None:
        """Write the reading of a code, if it is there to be had and new."""
        if not self.knows(code):
            self.outcome.missing[code.group, code.id] += 1
            return
        version, decimals = self._versions[code.group, code.id]
        try:
            _check(version, code)
        except WireError as problem:
            self.outcome.malform(place, problem)
            return
        places = positions(code)[: len(code.times)]  # each reading is in one code alone
        new = [self._seen.add(code.topic, *place) for place in places]
        self.outcome.repeats += new.count(False)
        self.outcome.readings += new.count(True)
        if any(new):
            self._rows_of(code, version, decimals, new)

    def _wants(self, group: str) -> bool:
        wanted = fnmatchcase(group, self._group)
        if not wanted and len(self.passed_over) < TOLD:
            self.passed_over.add(group)
        return wanted

    def _rows_of(
        self, code: CodeMessage, version: Version, decimals: list[int] | None, new: list[bool]
    ) -> None:
        """Write a code's readings that are new: a row each."""
        if self._headed < len(self._columns):
            self._headed = len(self._columns)
            self._rows.writerow([*HEAD, *self._columns])
        frame = version.decode(code.atoms, code.values, code.missing)
        places = origins(code)
        if version.window == 1 or len(places) > len(code.times):  # of readings of many messages
            places = [(code.partition, code.offset)] * len(code.times)
        readings = frame.reshape(version.window, len(version.channels)).tolist()
        for wanted, values, ts, place in zip(new, readings, code.times, places, strict=False):
            if wanted:
                cells = self._cells(version.channels, values, decimals)
                self._rows.writerow([code.group, iso_time(ts), *place, *cells])

    def _cells(
        self, channels: tuple[str, ...], values: list[float], decimals: list[int] | None
    ) -> list[str]:
        cells = [""] * self._headed
        for place, (name, value) in enumerate(zip(channels, values, strict=True)):
            if not math.isnan(value):
                shown = value if decimals is None else round(value, decimals[place]) + 0.0
                cells[self._columns[name]] = repr(shown).removesuffix(".0")
        return cells


class _Seen:
    """Positions that were met, a bit each."""

    def __init__(self) -> None:
        self._pages: dict[tuple[str | None, int, int, int], bytearray] = {}

    def add(self, topic: str | None, partition: int, offset: int, row: int) -> bool:
        """Remember the position of a reading that a code is made of; return whether it is new."""
        number, place = divmod(offset, PAGE)
        page = self._pages.setdefault((topic, partition, row, number), bytearray(PAGE // 8))
        byte, bit = divmod(place, 8)
        known = page[byte] >> bit & 1
        page[byte] |= 1 << bit
        return not known


def _check(version: Version, code: CodeMessage) -> None:
    if len(code.times) > version.window or isinstance(code.ts, float) != (version.window == 1):
        got = f"times of {len(code.times)} readings"
        msg = f"ts: expected a list of at most {version.window}, one number where 1, got {got}"
        raise WireError(msg)
    for thing, indices, most in (
        ("atoms", code.atoms, len(version.dictionary)),
        ("missing", code.missing, len(version.channels) * len(code.times)),
    ):
        if indices and not 0 <= min(indices) <= max(indices) < most:
            msg = f"{thing}: expected indices from 0 to {most - 1}, got {list(indices)}"
            raise WireError(msg)


def _decimals(version: Version) -> list[int] | None:
    """Decimals that a channel is written with; None: all, as version 0 is exact."""
    if version.number == 0:
        return None
    return [DIGITS - math.floor(math.log10(scale)) if scale > 0 else 0 for scale in version.scale]
