"""The ledger: every reading that was sent, until its code or its dead letter has been read.

A code is decoded twice, by the product's decoder and by a second one that knows the message format
alone, and compared with what was sent. What was compared is forgotten: an endless run holds only
what is on its way. A code that does not decode leaves its reading in the ledger.
"""

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from msgspec import structs

from flows.tools.feed import Sent
from flows.tools.second_decoder import SecondDecoder, content_id
from flows.wire import CodeMessage, DictionaryMessage, WireError, positions, to_version
from oodl.coding import Version

__all__ = ["Compared", "Ledger"]

Floats = npt.NDArray[np.float64]
Position = tuple[int, int, int]  # partition, offset, and which reading of the message
T = TypeVar("T")

PATIENCE = 10.0
"""Seconds that a code waits for its dictionary and for the news that its reading was sent."""

VERSIONS_KEPT = 16
"""Dictionaries kept for each group; codes name the latest one or version 0."""


@dataclass(frozen=True, slots=True)
class Edition:
    """A published dictionary, as each of the two decoders reads it."""

    version: Version
    second: SecondDecoder


@dataclass(frozen=True, slots=True)
class Compared:
    """A code that was decoded, and what had been sent.

    Attributes
    ----------
    code : CodeMessage
    version : Version
        What it was coded with.
    sent : (N,) array
        The reading in the order of the version's channels, NaN where there was none; of a frame one
        after another.
    error : float
        RMS of what was sent less what was decoded, in the version's units.
    """

    code: CodeMessage
    version: Version
    sent: Floats
    error: float


class Ledger:
    """What was sent and what came back, for one reader's thread.

    Attributes
    ----------
    readings, codes, dead_letters, decoded, versions : int
        Readings sent; codes and dead letters read; readings decoded and compared; dictionaries
        published, without version 0.
    codes_version_0 : int
        Codes that name a version 0.
    largest_error : float
        In the units of the versions, over all codes decoded.
    recomputed_error_difference : float
        The largest difference between the error a code states and the second decoder's.
    problems : dict
        What did not decode, each sentence with how often.
    """

    def __init__(self) -> None:
        self.readings = self.codes = self.dead_letters = self.decoded = self.versions = 0
        self.codes_version_0 = 0
        self.largest_error = self.recomputed_error_difference = 0.0
        self.problems: dict[str, int] = {}
        self._open: dict[Position, Sent] = {}
        self._editions: dict[str, dict[str, Edition]] = {}
        self._waiting: deque[tuple[float, CodeMessage]] = deque()
        self._dead: deque[tuple[float, tuple[int, int]]] = deque()

    def sent(self, reading: Sent) -> None:
        """Enter a reading that the broker confirmed."""
        self.readings += 1
        self._open[reading.partition, reading.offset, reading.row] = reading

    def dictionary(self, document: DictionaryMessage) -> None:
        """Enter a published dictionary, if its content has the name it goes by."""
        named = f"dictionary {document.group}/{document.id}"
        editions = self._editions.setdefault(document.group, {})
        if document.id in editions:
            return
        if content_id(document) != document.id:
            self._problem(f"{named}: its content is named {content_id(document)}")
            return
        try:
            editions[document.id] = Edition(to_version(document), SecondDecoder(document))
        except WireError as problem:
            self._problem(str(problem))
            return
        self.versions += document.version > 0
        _forget_oldest(editions)

    def code(self, code: CodeMessage, now: float) -> None:
        """Enter a code; `settle` compares it once its reading and its dictionary are known."""
        self.codes += 1
        self.codes_version_0 += code.version == 0
        self._waiting.append((now, code))

    def dead_letter(self, position: tuple[int, int], now: float) -> None:
        """Enter a message that came back as a dead letter, with all its readings."""
        self.dead_letters += 1
        self._dead.append((now, position))

    def settle(self, now: float) -> list[Compared]:
        """Compare what can be compared by now, in the order it was read."""
        compared = []
        for read, code in _drain(self._waiting):
            outcome = self._compare(code)
            if isinstance(outcome, Compared):
                compared.append(outcome)
            elif now - read < PATIENCE:
                self._waiting.append((read, code))
            else:
                self._problem(outcome)
        for read, position in _drain(self._dead):
            if not self._bury(position) and now - read < PATIENCE:
                self._dead.append((read, position))
        return compared

    @property
    def settled(self) -> bool:
        """Whether every reading entered so far is accounted for."""
        return not self._open

    def lost(self, before: float) -> int:
        """Count the readings sent by `before` for which neither code nor dead letter was read."""
        return sum(reading.ts <= before for reading in self._open.values())

    def _bury(self, position: tuple[int, int]) -> bool:
        """Let go of the readings of a message; tell whether there were any."""
        row = 0
        while self._open.pop((*position, row), None) is not None:
            row += 1
        return row > 0

    def _compare(self, code: CodeMessage) -> Compared | str:
        """Compare a code with its reading, or say what it waits for."""
        places = positions(code)
        readings = [reading for place in places if (reading := self._open.get(place))]
        if len(readings) < len(places):
            return f"codes of {code.group}: stand for a position at which nothing was sent"
        edition = self._editions.get(code.group, {}).get(code.id)
        if edition is None:
            return f"codes of {code.group}: name the dictionary {code.id}, which is not there"
        try:
            sent = _frame(readings, edition.version, code.times)
            error = _error(edition.version, code, sent)
            recomputed = edition.second.error(code, sent)
            if not math.isfinite(error + recomputed):
                return f"codes of {code.group}: give no finite error with {code.id}"
        except (IndexError, ValueError) as problem:
            return f"codes of {code.group}: do not decode with {code.id} ({problem})"
        for place in places:
            del self._open[place]
        self.decoded += len(places)
        self.largest_error = max(self.largest_error, error)
        difference = abs(recomputed - (code.error or 0.0))
        self.recomputed_error_difference = max(self.recomputed_error_difference, difference)
        return Compared(code, edition.version, sent, error)

    def _problem(self, sentence: str) -> None:
        self.problems[sentence] = self.problems.get(sentence, 0) + 1


def _frame(readings: list[Sent], version: Version, times: Sequence[float]) -> Floats:
    """Lay a frame's readings out one after another, NaN where there are none."""
    if len(readings) > len(times):
        readings = [_assembled(samples) for samples in _by_time(readings, times)]
    frame = np.full((version.window, len(version.channels)), np.nan)
    for place, reading in enumerate(readings):
        frame[place] = _by_channel(reading, version.channels)
    return frame.ravel()


def _by_time(samples: list[Sent], times: Sequence[float]) -> list[list[Sent]]:
    """Tell which samples make up each reading: those from its time on, up to the next one's."""
    found: list[list[Sent]] = [[] for _ in times]
    for sample in samples:
        found[max(0, bisect_right(times, sample.ts) - 1)].append(sample)
    if not all(found):
        problem = f"expected samples of {len(times)} readings, got none of some"
        raise ValueError(problem)
    return found


def _assembled(samples: list[Sent]) -> Sent:
    """Put samples of a sensor each together to one reading; of each the latest one counts."""
    values: dict[str, float] = {}
    for sample in sorted(samples, key=lambda each: each.ts):
        values |= sample.values if isinstance(sample.values, dict) else {}
    return structs.replace(samples[-1], values=values)


def _by_channel(reading: Sent, channels: tuple[str, ...]) -> Floats:
    """Lay a reading out in the order of the channels, NaN where it has none."""
    values = reading.values
    if isinstance(values, dict):
        return np.array([values.get(channel, np.nan) for channel in channels])
    if len(values) != len(channels):
        problem = f"expected {len(channels)} values, got {len(values)}"
        raise ValueError(problem)
    return np.array(values)


def _error(version: Version, code: CodeMessage, sent: Floats) -> float:
    """Return the error of the product's own decoder, in the version's units."""
    present = np.isfinite(sent)
    decoded = version.decode(code.atoms, code.values, code.missing)
    decoded[len(code.times) * len(version.channels) :] = np.nan
    if not np.array_equal(np.isfinite(decoded), present):
        problem = "expected the channels that were sent, got others"
        raise ValueError(problem)
    off = ((sent - decoded) / np.tile(version.scale, version.window))[present]
    return float(np.sqrt(np.mean(off**2))) if off.size else 0.0


def _forget_oldest(editions: dict[str, Edition]) -> None:
    learned = [name for name, edition in editions.items() if edition.version.number > 0]
    for name in learned[:-VERSIONS_KEPT]:
        del editions[name]


def _drain(queue: deque[T]) -> Iterator[T]:
    """Yield what is in the queue by now; what is put back stays for the next time."""
    for _ in range(len(queue)):
        yield queue.popleft()
