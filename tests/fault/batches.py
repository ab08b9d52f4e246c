"""The 20,000 readings, several in a message: JSON and MessagePack, one in a hundred is poison."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import cycle

import msgspec

from tests.fault.readings import CHANNELS, GROUPS, ROWS
from tests.traffic import Record, machine

__all__ = ["batches", "whole_batches"]

SIZES = 1, 2, 4, 3  # readings of a group's messages, in turn
SETTLED = 30 * len(GROUPS)
MSGPACK = (("content-type", b"application/msgpack"),)
POISON = [  # what is sent in the place of a message, whether read as JSON or as MessagePack
    b'{"ts": [1, 2], "values": [[1, 2',
    json.dumps({"ts": [1, 2, 3], "values": [[1.0, 2.0, 3.0]] * 3}).encode(),
    json.dumps({"ts": [1, 2], "values": [[1.0] * CHANNELS, [1.0]]}).encode(),
    json.dumps({"ts": [1], "values": [[1.0] * CHANNELS] * 2}).encode(),
    msgspec.msgpack.encode({"ts": [1.0, 2.0], "values": [[1.0, 2.0, 3.0]] * 2}),
]


@cache
def batches() -> list[Record]:
    """All of them with poison, once the groups' channels are settled."""
    kinds, changed = cycle(POISON), list(whole_batches())
    for number in range(SETTLED, len(changed), 97):  # which has no divisor in common with groups
        changed[number] = changed[number]._replace(value=next(kinds))
    return changed


@cache
def whole_batches() -> list[Record]:
    """All of them, in the order in which they are sent."""
    return list(_batches(machine(GROUPS, ROWS, channels=CHANNELS)))


def _batches(readings: Sequence[Record]) -> Iterator[Record]:
    """Put what a group has next in a message; the format changes by sizes' turn and group."""
    first, turns = 0, ROWS // sum(SIZES)
    for turn in range(turns):
        for size in SIZES:
            for place, group in enumerate(GROUPS):
                rows = range(first, first + size)
                taken = [readings[row * len(GROUPS) + place].value or b"" for row in rows]
                yield _message(group, list(map(json.loads, taken)), packed=(turn + place) % 2 > 0)
            first += size


def _message(group: str, bodies: list[dict[str, object]], *, packed: bool) -> Record:
    """Write readings as one message."""
    body = {name: [each[name] for each in bodies] for name in ("ts", "values")}
    if packed:
        return Record(group.encode(), msgspec.msgpack.encode(body), MSGPACK)
    return Record(group.encode(), json.dumps(body).encode())
