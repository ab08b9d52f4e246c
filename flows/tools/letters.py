"""Dead letters as they lie in their topic, and the notes beside them that say what became of them.

A note has no reason; it names the letter whose message was sent again, and where that went.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import NamedTuple, Protocol

from flows.wire import Message
from oodl.errors import ValueFault

__all__ = ["Letter", "Note", "Place", "Record", "Selection", "parse", "position", "shown"]

OURS = "oodl-"
SENT_AGAIN = "oodl-sent-again"
NOTE_OF, NOTE_TO = "oodl-sent-again-of", "oodl-sent-to"
POSITION = re.compile(r"([0-9]{1,9})/([0-9]{1,18})")

Headers = list[tuple[str, bytes]]


class Record(Protocol):
    """A record as kafka-python hands it on; its time is in ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Names and values."""


class Place(NamedTuple):
    """Where a record is.

    >>> str(Place("sensors.readings", 3, 4711))
    'sensors.readings/3/4711'
    """

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that could not be read, or an output that the broker refused.

    Parameters
    ----------
    at : Place
        Where the letter is.
    written : float
        When it was written, in seconds.
    key, value : bytes or None
        As they came; the value may be cut.
    headers : list of (str, bytes)
        The message's own.
    reason, detail : str
    origin : Place
        Where the message was.
    stamp : float
        The message's own time in seconds, negative where it is not known.
    times : int
        How often the message had been sent again before it became this letter.
    size : int or None
        Bytes of the whole value, where it was cut.
    sha256 : str
        Of the whole value, where it was cut.
    """

    at: Place
    written: float
    key: bytes | None
    value: bytes | None
    headers: Headers
    reason: str
    detail: str
    origin: Place
    stamp: float
    times: int
    size: int | None
    sha256: str

    @property
    def group(self) -> str:
        """The group by the key, else by the value where that can be read, else ""."""
        if self.key is not None:
            return self.key.decode(errors="replace")
        try:
            body = json.loads(self.value or b"")
        except (ValueError, RecursionError):
            return ""
        return str(body.get("group", "")) if isinstance(body, dict) else ""

    def message(self) -> Message:
        """Return the message as it came, to be read once more."""
        return Message(*self.origin, self.key, self.value, [*self.headers], self.stamp)


@dataclass(frozen=True, slots=True)
class Note:
    """That a letter's message was sent again.

    Parameters
    ----------
    of : tuple of int
        Partition and offset of the letter.
    to : str
        Where the message went.
    written : float
        When, in seconds.
    """

    of: tuple[int, int]
    to: str
    written: float

    @staticmethod
    def headers(letter: Letter, to: Place) -> Headers:
        """Return what makes a record such a note."""
        of = f"{letter.at.partition}/{letter.at.offset}"
        return [(NOTE_OF, of.encode()), (NOTE_TO, str(to).encode())]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: those that fit everything that is said.

    Parameters
    ----------
    reasons : sequence of str
        One of them; empty: any.
    group : str or None
        A pattern of the group's name.
    since, until : datetime or None
        When the letter was written; without a zone it is UTC.

    Examples
    --------
    >>> Selection(since=datetime(2026, 11, 24)).first
    1795478400.0
    """

    reasons: Sequence[str] = ()
    group: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def first(self) -> float | None:
        """The earliest time that is meant, in seconds."""
        return None if self.since is None else _seconds(self.since)

    def __bool__(self) -> bool:
        return self != Selection()

    def fits(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (self.group is None or fnmatchcase(letter.group, self.group))
            and (self.since is None or letter.written >= _seconds(self.since))
            and (self.until is None or letter.written <= _seconds(self.until))
        )


def parse(record: Record) -> Letter | Note | None:
    """Read a record of the topic; None: it is none of ours."""
    said = {name: value or b"" for name, value in record.headers if name.startswith(OURS)}
    try:
        if NOTE_OF in said and "oodl-reason" not in said:
            of = position(said[NOTE_OF].decode())
            return Note(of, said[NOTE_TO].decode(), record.timestamp / 1000)
        return _letter(record, said)
    except (KeyError, ValueError):
        return None


def position(text: str) -> tuple[int, int]:
    """Read ``partition/offset``.

    Raises
    ------
    ValueFault
        If it is none.

    Examples
    --------
    >>> position("3/4711")
    (3, 4711)
    """
    found = POSITION.fullmatch(text)
    if found is None:
        msg = f"expected the position of a dead letter like 0/17, got {text!r}; see the list"
        raise ValueFault(msg)
    return int(found[1]), int(found[2])


def shown(text: str) -> str:
    r"""Spell out what a terminal would not show.

    >>> shown("press-7"), shown("a\x1b[2Jb")
    ('press-7', 'a\\x1b[2Jb')
    """
    return text if text.isprintable() else repr(text)[1:-1]


def _letter(record: Record, said: dict[str, bytes]) -> Letter:
    own = [(name, value or b"") for name, value in record.headers if not name.startswith(OURS)]
    return Letter(
        at=Place(record.topic, record.partition, record.offset),
        written=record.timestamp / 1000,
        key=record.key,
        value=record.value,
        headers=own,
        reason=said["oodl-reason"].decode(),
        detail=said["oodl-detail"].decode(errors="replace"),
        origin=Place(
            said["oodl-topic"].decode(), _number(said, "partition"), _number(said, "offset")
        ),
        stamp=_number(said, "timestamp") / 1000 if "oodl-timestamp" in said else -1.0,
        times=_number(said, "sent-again") if SENT_AGAIN in said else 0,
        size=_number(said, "size") if "oodl-size" in said else None,
        sha256=said.get("oodl-sha256", b"").decode(),
    )


def _number(said: dict[str, bytes], name: str) -> int:
    return int(said[OURS + name][:20])


def _seconds(when: datetime) -> float:
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
