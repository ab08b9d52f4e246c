"""20,000 readings of 20 machines, one in a hundred of them poison; FAULT_TIMES as many."""

import os
from collections.abc import Iterator
from functools import cache

from tests.traffic import Record, machine

__all__ = ["GROUPS", "LARGE", "POISON", "ROWS", "TIMES", "half_poison", "readings"]

TIMES = int(os.environ.get("FAULT_TIMES", "1"))  # 10 in the soak, at the same rates

GROUPS = [f"press-{number}" for number in range(20)]
ROWS, CHANNELS = 1000 * TIMES, 8
SETTLED = 30 * len(GROUPS)
LARGE = b'{"values": [' + b"1," * 1_000_000 + b"1]}"
POISON = {  # what is sent in the place of a reading, and the reason it is refused for
    b'{"ts": 1, "values": [1.5, 2': "json",
    b'{"ts": 1, "values": [1, 2, 3]}': "length",
    b"": "schema",
    LARGE: "size",
    b'{"ts": 1, "values": "many"}': "schema",
    b'{"ts": 1, "values": {"\xff": 1}}': "encoding",
}


@cache
def readings() -> list[Record]:
    """All of them, in the order in which they are sent."""
    return with_poison(machine(GROUPS, ROWS, channels=CHANNELS))


def half_poison() -> list[Record]:
    """As many of them poison, once the groups' channels are settled."""
    kinds, changed = poison(large_every=500), list(readings())
    for number in range(SETTLED, len(changed)):
        if (number + number // len(GROUPS)) % 2:
            changed[number] = changed[number]._replace(value=next(kinds))
    return changed


def with_poison(records: list[Record]) -> list[Record]:
    """Put poison in the place of one in a hundred, once the groups' channels are settled."""
    kinds, changed = poison(), list(records)
    for turn in range(len(records) // 100):
        number = SETTLED + 97 * turn  # 97 and the number of groups have no divisor in common
        changed[number] = changed[number]._replace(value=next(kinds))
    return changed


def poison(large_every: int = 10) -> Iterator[bytes]:
    """One kind after the other; what is large only now and then."""
    small = [value for value in POISON if value is not LARGE]
    turn = 0
    while True:
        yield from small
        turn += 1
        if turn % large_every == 0:
            yield LARGE
