"""What came out of what was sent: every reading has its place in it."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from flows.wire import CodeMessage, origins
from oodl.coding import Version
from tests.traffic import (
    Position,
    Record,
    codes_by_position,
    position_of_letter,
    rebuilt,
    same,
    versions,
)

__all__ = ["Ledger", "ledger"]

TOLERANCE = 0.1


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
    readings = {record.position: record for record in sent}
    coded, known = codes_by_position(codes), versions(dictionaries)
    buried = [position_of_letter(letter) for letter in letters]
    places = coded.keys() | buried
    return Ledger(
        sent=len(readings),
        coded=len(coded.keys() & readings.keys()),
        buried=len(set(buried) & readings.keys()),
        missing=len(readings.keys() - places),
        both=len(coded.keys() & set(buried)),
        strange=len(places - readings.keys()),
        off=sum(
            not _within(code, readings, known)
            for at in coded.keys() & readings.keys()
            for code in coded[at]
        ),
        repeats=sum(map(len, coded.values())) - len(coded) + _more(buried),
        unlike=sum(not same(first, code) for first, *rest in coded.values() for code in rest),
    )


def _more(places: Collection[Position]) -> int:
    return len(places) - len(set(places))


def _within(
    code: CodeMessage, readings: dict[Position, Record], known: dict[tuple[str, str], Version]
) -> bool:
    """Tell whether a code gives back its readings within the tolerance; version 0 exactly."""
    of_code = [readings.get(each) for each in origins(code)]
    values = [json.loads(each.value or b"")["values"] for each in of_code if each is not None]
    if len(values) < len(of_code):
        return False
    scale = known[code.group, code.id].scale
    off = (rebuilt(code, known).reshape(len(values), -1) - np.array(values)) / scale
    return bool(np.sqrt((off**2).mean()) <= TOLERANCE * bool(code.version))
