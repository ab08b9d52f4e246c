"""What came out of what was sent: every reading has its place in it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from flows.wire import CodeMessage, decode_codes, positions
from oodl.coding import Version
from tests.traffic import (
    Record,
    position_of_letter,
    rebuilt,
    same,
    versions,
)

__all__ = ["Ledger", "ledger"]

TOLERANCE = 0.1
MSGPACK = "content-type", b"application/msgpack"
Place = tuple[int, int, int]  # partition, offset, and which reading of the message


@dataclass(frozen=True, slots=True)
class Ledger:
    """What came out of what was sent, as a reader of committed outputs sees it.

    Parameters
    ----------
    sent, coded, buried : int
        Readings sent; those of them with a code, and with a dead letter.
    missing, both, strange : int
        Readings with neither, with both, and outputs of what was never sent.
    off : int
        Codes that do not give back their reading within the tolerance.
    repeats, unlike : int
        Outputs beyond the first one of a reading; codes of them that are not the first one's.
    """

    sent: int
    coded: int
    buried: int
    missing: int
    both: int
    strange: int
    off: int
    repeats: int
    unlike: int

    @property
    def outputs(self) -> int:
        """Codes and dead letters, repeats among them."""
        return self.coded + self.buried + self.repeats


def ledger(
    sent: Iterable[Record],
    codes: Iterable[Record],
    letters: Iterable[Record],
    dictionaries: Iterable[Record],
) -> Ledger:
    """Compare what was sent with what the topics hold."""
    messages = {record.position: _readings(record) for record in sent}
    readings = {place: values for each in messages.values() for place, values in each}
    coded, known = _codes_by_reading(codes), versions(dictionaries)
    told = [position_of_letter(letter) for letter in letters]
    buried = {(*at, row) for at in told for row in range(len(messages.get(at, [0])))}
    places = coded.keys() | buried
    return Ledger(
        sent=len(readings),
        coded=len(coded.keys() & readings.keys()),
        buried=len(buried & readings.keys()),
        missing=len(readings.keys() - places),
        both=len(coded.keys() & buried),
        strange=len(places - readings.keys()),
        off=sum(
            not _within(code, readings, known)
            for at in coded.keys() & readings.keys()
            for code in coded[at]
        ),
        repeats=sum(map(len, coded.values())) - len(coded) + len(told) - len(set(told)),
        unlike=sum(not same(first, code) for first, *rest in coded.values() for code in rest),
    )


def _codes_by_reading(records: Iterable[Record]) -> dict[Place, list[CodeMessage]]:
    """Sort codes by the reading that they stand for; repeats stand together."""
    found: dict[Place, list[CodeMessage]] = {}
    for record in records:
        for code in decode_codes(record.value or b""):
            for place in positions(code):
                found.setdefault(place, []).append(code)
    return found


def _readings(record: Record) -> list[tuple[Place, Any]]:
    """Return each reading of a message with its values; of one that cannot be read there is one."""
    read = msgspec.msgpack.decode if MSGPACK in record.headers else json.loads
    try:
        body = read(record.value or b"")
    except ValueError:
        body = {}
    values = body.get("values") if isinstance(body, dict) else None
    rows = values if isinstance(values, list) and isinstance((values or [0])[0], list) else [values]
    return [((*record.position, row), each) for row, each in enumerate(rows)]


def _within(
    code: CodeMessage, readings: dict[Place, Any], known: dict[tuple[str, str], Version]
) -> bool:
    """Tell whether a code gives back its readings within the tolerance; version 0 exactly."""
    values = [readings[place] for place in positions(code) if place in readings]
    if len(values) < len(positions(code)):
        return False
    scale = known[code.group, code.id].scale
    off = (rebuilt(code, known).reshape(len(values), -1) - np.array(values)) / scale
    return bool(np.sqrt((off**2).mean()) <= TOLERANCE * bool(code.version))
