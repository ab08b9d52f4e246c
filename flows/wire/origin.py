"""Where a message of the internal topic comes from, as its headers say."""

from typing import NamedTuple

from flows.wire.messages import Headers, Message

__all__ = ["Origin", "origin_headers", "origin_of", "original"]

TOPIC, PARTITION, OFFSET = "oodl-origin-topic", "oodl-origin-partition", "oodl-origin-offset"
KEY, TIMESTAMP = "oodl-origin-key", "oodl-origin-timestamp"
LONGEST_NUMBER = 18  # digits; more are none of ours, and may have no place in 64 bits
OURS = frozenset({TOPIC, PARTITION, OFFSET, KEY, TIMESTAMP})


class Origin(NamedTuple):
    """Where a message was read that is written to the internal topic."""

    partition: int
    offset: int


def origin_headers(message: Message) -> Headers:
    """Return a message's headers, and with them where it is, its key and its time.

    >>> message = Message("in", 3, 14, b"heat", b"{}", [], 1.5)
    >>> origin_of(origin_headers(message))
    Origin(partition=3, offset=14)
    """
    said: Headers = [
        (TOPIC, message.topic.encode()),
        (PARTITION, b"%d" % message.partition),
        (OFFSET, b"%d" % message.offset),
    ]
    if message.key is not None:
        said.append((KEY, message.key))
    if message.timestamp >= 0:
        said.append((TIMESTAMP, b"%d" % round(1000 * message.timestamp)))
    return [*_own(message.headers), *said]


def origin_of(headers: Headers) -> Origin | None:
    """Return where a message was before; None where its headers do not say."""
    said = dict(headers)
    partition, offset = _number(said.get(PARTITION)), _number(said.get(OFFSET))
    return None if partition is None or offset is None else Origin(partition, offset)


def original(message: Message) -> Message:
    """Return a message as it was where it came from; one that came from nowhere as it is.

    >>> message = Message("in", 3, 14, b"heat", b"{}", [("h", b"1")], 1.5)
    >>> internal = Message("internal", 0, 9, b"oven", b"{}", origin_headers(message), 7.0)
    >>> original(internal) == message
    True
    """
    place, said = origin_of(message.headers), dict(message.headers)
    if place is None:
        return message
    stamp = _number(said.get(TIMESTAMP))
    return Message(
        (said.get(TOPIC) or b"").decode(errors="replace"),
        *place,
        said.get(KEY),
        message.value,
        _own(message.headers),
        -1.0 if stamp is None else stamp / 1000,
    )


def _number(text: bytes | None) -> int | None:
    """Return a number as we write it; None where anyone else has written something."""
    if text is None or len(text) > LONGEST_NUMBER or not text.isdigit():
        return None
    return int(text)


def _own(headers: Headers) -> Headers:
    return [(name, value) for name, value in headers if name not in OURS]
