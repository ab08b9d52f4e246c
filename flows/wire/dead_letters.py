"""Dead letters: a message as it came, with headers that tell why it is here and where from."""

import hashlib
from typing import NamedTuple

from flows.wire.messages import LONGEST_DETAIL, MAX_MESSAGE_BYTES, Headers, Message, Rejected
from flows.wire.ours import place

__all__ = ["DeadLetter", "dead_letter", "record_size", "refused"]

CUT = 65536  # what is kept of a message that is too large to be kept whole
ENVELOPE = 512  # more than a record batch's own header and the lengths inside of it


class DeadLetter(NamedTuple):
    """What is written to the dead letters: the bytes as they came, and headers that tell why."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def dead_letter(rejected: Rejected, max_bytes: int = MAX_MESSAGE_BYTES) -> DeadLetter:
    """Wrap a rejected message: its bytes, key and headers as they came, and why and where from.

    Its own time goes along in ms, so that a reading without `ts` keeps it when it is sent again.

    A message too large to be written again with these headers gives its first 64 KiB, its size
    and its SHA-256 instead. Where a header's name comes twice, the last one is ours.
    """
    message = rejected.message
    said: Headers = [
        ("oodl-reason", rejected.reason.encode()),
        ("oodl-detail", rejected.detail[:LONGEST_DETAIL].encode(errors="replace")),
        ("oodl-topic", message.topic.encode()),
        ("oodl-partition", b"%d" % message.partition),
        ("oodl-offset", b"%d" % message.offset),
    ]
    if message.timestamp >= 0:
        said.append(("oodl-timestamp", b"%d" % round(1000 * message.timestamp)))
    whole = DeadLetter(message.key, message.value, [*message.headers, *said])
    return (
        whole if record_size(*whole) <= max_bytes else _cut(message, said, min(CUT, max_bytes // 4))
    )


def refused(topic: str, key: bytes | None, value: bytes, detail: str) -> Rejected:
    """Make an output that the broker refused for itself a rejected message.

    Parameters
    ----------
    topic : str
        The topic of the reading that the output belongs to; its partition and offset are read
        from the output (of a block the first offset, the detail names the last one).
    key, value : bytes
        The output as it was to be written.
    detail : str
        The broker's words.
    """
    where = place(value)
    offsets = where.offset if isinstance(where.offset, list) else [where.offset]
    until = f" (offsets up to {offsets[-1]})" if len(offsets) > 1 else ""
    message = Message(topic, where.partition, offsets[0], key, value, [], -1.0)
    return Rejected(message, "refused", detail + until)


def record_size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Bytes that a record takes, seen from above.

    >>> record_size(b"oven", b"{}", [("é", None)])
    528
    """
    said = sum(len(name.encode()) + len(content or b"") + 8 for name, content in headers)
    return ENVELOPE + len(key or b"") + len(value or b"") + said


def _cut(message: Message, said: Headers, room: int) -> DeadLetter:
    value = message.value or b""
    size = str(len(value)).encode()
    digest = hashlib.sha256(value).hexdigest().encode()
    own = message.headers if record_size(None, None, message.headers) <= room else []
    headers = [*own, *said, ("oodl-size", size), ("oodl-sha256", digest)]
    return DeadLetter(message.key and message.key[:room], value[:room], headers)
