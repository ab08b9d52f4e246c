"""Sends readings at a rate, each with the moment of its sending as its time; a process of its own.

``python -m benchmarks.pipeline.feeding FEED`` prints how many it sent, and by how much it was late.
"""

import sys
import time

import msgspec

from benchmarks.pipeline.traffic import Fleet, names, sender

__all__ = ["Fed", "Feed"]

TICK = 0.005  # seconds between two handfuls
ROWS = 500
LINGER_MS = 1


class Feed(msgspec.Struct, kw_only=True):
    """What to send.

    Parameters
    ----------
    bootstrap, topic : str
    groups, channels : int
    rate : int
        Readings a second.
    seconds : float
    """

    bootstrap: str
    topic: str
    groups: int
    channels: int
    rate: int
    seconds: float


class Fed(msgspec.Struct):
    """Readings that were sent, and the most seconds that a handful was late."""

    sent: int
    late: float


def feed(given: Feed) -> Fed:
    """Send, and return when all is confirmed."""
    fleet = Fleet(groups=given.groups, channels=given.channels, rows=ROWS)
    keys, texts, producer = names(fleet.groups), fleet.texts(), sender(given.bootstrap, LINGER_MS)
    sent, late, began = 0, 0.0, time.perf_counter()
    total = round(given.rate * given.seconds)
    while sent < total:
        due = min(total, int((time.perf_counter() - began) * given.rate) + 1)
        late = max(late, (due - sent) / given.rate)
        while sent < due:
            row, group = divmod(sent, given.groups)
            text = texts[group % fleet.kinds][(row + group) % ROWS]
            producer.produce(
                given.topic, b'{"ts":%.6f,"values":%s}' % (time.time(), text), keys[group]
            )
            sent += 1
        producer.poll(0)
        time.sleep(TICK)
    producer.flush()
    return Fed(sent, late)


if __name__ == "__main__":
    told = feed(msgspec.json.decode(sys.argv[1], type=Feed))
    print(msgspec.json.encode(told).decode())
