"""What is said of dead letters: how many there are of each reason, and everything about one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from flows.reading import reader
from flows.settings import Settings
from flows.tools.letters import Letter, Note, Selection, shown
from flows.tools.remedies import REMEDIES, Remedy
from flows.wire import Fault
from oodl.errors import ValueFault

__all__ = ["Tallied", "as_json", "explained", "newest", "table", "tally"]

SHOWN_BYTES = 2000  # of a value
LATEST = 253402300800.0  # the year 10000, as seconds
UNKNOWN = Remedy("a message of ours", "this release does not write such a letter; see its detail")


@dataclass(slots=True)
class Tallied:
    """The letters of one reason; the example is the newest."""

    example: Letter
    first: float
    letters: int = 0
    sent_again: int = 0


def tally(found: Iterable[Letter | Note], selection: Selection) -> dict[str, Tallied]:
    """Count by reason, the most frequent first; what was sent again is one however often it was."""
    tallies: dict[str, Tallied] = {}
    reasons: dict[tuple[int, int], str] = {}
    for each in found:
        if isinstance(each, Note):
            if reason := reasons.pop(each.of, None):
                tallies[reason].sent_again += 1
        elif selection.fits(each):
            reasons[each.at.partition, each.at.offset] = each.reason
            tallied = tallies.setdefault(each.reason, Tallied(each, each.written))
            tallied.letters += 1
            tallied.first = min(tallied.first, each.written)
            tallied.example = max(tallied.example, each, key=_age)
    return dict(sorted(tallies.items(), key=lambda pair: -pair[1].letters))


def newest(found: Iterable[Letter | Note], selection: Selection) -> Letter:
    """Return the letter that was written last of those that are meant.

    Raises
    ------
    ValueFault
        If none is.
    """
    meant = (each for each in found if isinstance(each, Letter) and selection.fits(each))
    last = max(meant, key=_age, default=None)
    if last is None:
        msg = "dead-letters explain: expected a letter that fits, got none; say less"
        raise ValueFault(msg)
    return last


def table(found: dict[str, Tallied]) -> Table:
    """Lay the counts out, a row a reason."""
    columns = Table(box=None, pad_edge=False)
    for name in ("reason", "letters", "sent again", "first", "last", "example", "detail"):
        columns.add_column(name, justify="right" if name in ("letters", "sent again") else "left")
    for reason, tallied in found.items():
        example = tallied.example
        cells = [reason, f"{tallied.letters:,}", f"{tallied.sent_again:,}", _iso(tallied.first),
                 _iso(example.written), _position(example), example.detail]  # fmt: skip
        columns.add_row(*(Text(shown(cell)) for cell in cells))
    return columns


def as_json(reason: str, tallied: Tallied) -> dict[str, Any]:
    """Return the counts of a reason as JSON has them."""
    example = tallied.example
    return {
        "reason": reason,
        "letters": tallied.letters,
        "sent_again": tallied.sent_again,
        "first": _iso(tallied.first),
        "last": _iso(example.written),
        "example": {
            "letter": _position(example),
            "group": example.group,
            "from": str(example.origin),
            "detail": example.detail,
        },
    }


def explained(letter: Letter, notes: list[Note], settings: Settings) -> dict[str, Any]:
    """Everything that is to be said of a letter, by name."""
    remedy = REMEDIES.get(letter.reason, UNKNOWN)  # type: ignore[call-overload]
    value = letter.value or b""
    size = len(value) if letter.size is None else letter.size
    cut = "" if letter.size is None else f", of which {len(value):,} are here"
    return {
        "letter": _position(letter),
        "written": _iso(letter.written),
        "from": str(letter.origin),
        "stamped": _iso(letter.stamp),
        "group": letter.group,
        "reason": letter.reason,
        "detail": letter.detail,
        "expected": remedy.expected,
        "remedy": remedy.remedy,
        "now": _now(letter, settings),
        "sent again": [f"{_iso(note.written)} as {note.to}" for note in notes] or "never",
        "before": f"{letter.times} times" if letter.times else "never",
        "headers": [f"{name}: {each.decode(errors='replace')}" for name, each in letter.headers],
        "bytes": f"{size:,}{cut}",
        "value": value[:SHOWN_BYTES].decode(errors="backslashreplace"),
    }


def _now(letter: Letter, settings: Settings) -> str:
    """What would become of the message today, as far as it alone tells."""
    if letter.reason == "refused":
        return "depends on the topic's limit"
    if letter.size is not None:
        return "depends on the whole message, which is fetched when it is sent again"
    found = reader(settings).message(letter.message())
    if isinstance(found, Fault):
        return f"these settings would refuse it again: {found.reason}: {found.detail}"
    return "it can be read; whether it fits its group shows when it is sent again"


def _age(letter: Letter) -> tuple[float, int]:
    return letter.written, letter.at.offset


def _position(letter: Letter) -> str:
    return f"{letter.at.partition}/{letter.at.offset}"


def _iso(seconds: float) -> str:
    """Write a time, as far as there is one.

    >>> _iso(1795478400.25), _iso(-1.0)
    ('2026-11-24T00:00:00Z', 'not known')
    """
    if not 0 <= seconds < LATEST:
        return "not known"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
