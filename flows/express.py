"""The ordinary messages of settled groups, laid out without a detour.

A message that is just what its group's lane expects goes from its bytes to a row of its block in
one loop. Whatever is otherwise in any way is left to the way that looks at everything; both lead to
the same rows.
"""

from collections.abc import Callable
from typing import Any

from confluent_kafka import Message as Raw
from msgspec import DecodeError

from flows.bucketing import Bucket
from flows.groups import Groups
from flows.wire import Reader, are_seconds
from oodl.channels import UNFIT
from oodl.packed import Kind

__all__ = ["Express"]

LONGEST_KEY = 4 * 249  # bytes; with a longer value than is left the key is looked at
FAR = 1e11  # a `ts` from here on is looked at more closely

# What ends the short way: numbers that the group does not have, bytes that are no such format, or
# no value at all.
OTHERWISE = (
    DecodeError, *UNFIT, LookupError, TypeError, UnicodeError, RecursionError, SystemError,
    AttributeError,
)  # fmt: skip


class Express:
    """Takes what is ordinary of a partition's messages.

    Parameters
    ----------
    read : Reader
    groups : Groups
    otherwise : callable
        Takes every other message, into the same bucket.
    """

    def __init__(
        self, read: Reader, groups: Groups, otherwise: Callable[[Raw, Bucket], None]
    ) -> None:
        self._quicks = read.quicks
        self._most = read.max_bytes - LONGEST_KEY
        self._lanes, self._otherwise = groups.lanes, otherwise

    def take(self, raws: list[Raw], bucket: Bucket) -> None:
        """Lay messages out, in order.

        All of it in one function: a call for each would cost a twentieth of decoding it.
        """
        lanes, quicks, growing = self._lanes, self._quicks, bucket.growing
        message: Any
        for message in raws:
            try:
                lane, headers, value = lanes[message.key()], message.headers(), message.value()
                # of several headers the format is looked for: a list is no key
                header = (headers[0] if len(headers) == 1 else headers) if headers else None
                decode, text = quicks[header]
                if text and not value.isascii():
                    value.decode()
                body = decode(value)
                values, ts = body.values, body.ts
                if values.__class__ is list and body.group is None:
                    kind: Kind = "<f8"
                    packed = lane.pack(*values)
                else:
                    kind, packed = lane.other(body)
                known, stamp = message.timestamp()
                stamp = stamp / 1000 if known else -1.0
                if ts.__class__ is not float or len(value) > self._most or not 0.0 <= ts < FAR:
                    ts = self._times(ts, stamp, values, len(value))
            except OTHERWISE:
                self._otherwise(message, bucket)
                continue
            rows = growing.get(lane.group)
            if rows is None or rows.lane is not lane or rows.kind != kind:
                rows = bucket.open(lane, kind)
            if ts.__class__ is list or rows.numbers:
                bucket.number(rows, packed, ts, message.offset(), stamp)
            else:
                rows.packed.append(packed)
                rows.times.append(ts)
                rows.offsets.append(message.offset())
                rows.stamps.append(stamp)

    def _times(self, ts: Any, stamp: float, values: Any, size: int) -> Any:
        """Return the message's own time where `ts` is None, and a list of times that are near."""
        if size <= self._most:
            if ts is None and 0.0 <= stamp < FAR:
                return stamp
            if ts.__class__ is list and values.__class__ is bytes and are_seconds(ts):
                return ts
        raise LookupError(ts)
