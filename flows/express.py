"""The ordinary messages of settled groups, laid out without a detour.

A message that is just what its group's lane expects goes from its bytes to a row of its block in
one loop. Whatever is otherwise in any way is left to the way that looks at everything; both lead to
the same rows.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

from confluent_kafka import Message as Raw
from msgspec import UNSET, DecodeError

from flows.assembling import Assembler
from flows.bucketing import Bucket
from flows.groups import Groups
from flows.wire import LONGEST_GROUP, Headers, Quick, Reader, Sample, are_seconds, record_size
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
    waiting : Assembler
        What waits of samples.
    assemble : callable
        Takes a sample that opens or closes something.
    otherwise : callable
        Takes every other message, into the same bucket.
    """

    def __init__(
        self,
        read: Reader,
        groups: Groups,
        waiting: Assembler,
        assemble: Callable[[Raw, Headers, Sample, Bucket], None],
        otherwise: Callable[[Raw, Bucket], None],
    ) -> None:
        self._quicks = read.quicks
        self._most = read.max_bytes - LONGEST_KEY
        self._lanes, self._waiting = groups.lanes, waiting
        self._assemble, self._otherwise = assemble, otherwise

    def take(self, raws: list[Raw], bucket: Bucket) -> None:
        """Lay messages out, in order: as readings, and as samples from the first of these on."""
        rest = iter(raws)
        while self._take_readings(rest, bucket) and self._take_samples(rest, bucket):
            pass

    def _take_samples(self, rest: Iterator[Raw], bucket: Bucket) -> bool:  # noqa: C901
        """Take messages of one sensor each; True where readings come between."""
        waiting, most = self._waiting, self._most
        lanes = waiting.lanes
        said: Any = None
        beside = record_size(None, None, [])  # what a record takes without key and value
        decode, text = self._quicks[None]
        message: Any
        waiting.touch()
        for message in rest:
            try:
                key, headers = message.key(), message.headers()
                state, silence = lanes[key]
                if headers is not said and headers != said:
                    decode, text = self._quick(headers)
                    said, beside = headers, record_size(None, None, headers or [])
                value = message.value()
                if text and not value.isascii():
                    value.decode()
                body = decode(value)
                time, sensor = body.ts, body.sensor
                if (
                    time.__class__ is not float
                    or not 0.0 <= time < FAR
                    or body.values is not UNSET
                    or body.value is UNSET
                    or not 0 < len(sensor) <= LONGEST_GROUP
                    or body.group is not None
                    or len(value) > most
                ):
                    raise LookupError(time)
            except OTHERWISE:
                self._otherwise(message, bucket)
                if message.key() in self._lanes:
                    return True
                continue
            number, offset, size = body.value, message.offset(), beside + len(key) + len(value)
            if (
                time >= waiting.due
                or waiting.bytes + size > waiting.most_bytes
                or not state.take(time, sensor, number, offset, message, size)
            ):
                sample = Sample(state.group, time, sensor, number)
                self._assemble(message, headers or [], sample, bucket)
                continue
            waiting.bytes += size
            if state.seen != silence.elapsed:
                state.seen = silence.ages.see(state.group)
        return False

    def _take_readings(self, rest: Iterator[Raw], bucket: Bucket) -> bool:  # noqa: C901
        """Lay readings out; True where a sample comes between.

        All of it in one function: a call for each would cost a twentieth of decoding it.
        """
        lanes, growing, most = self._lanes, bucket.growing, self._most
        said: Any = None  # by the headers of the message before: mostly the same again
        decode, text = self._quicks[None]
        message: Any
        for message in rest:
            try:
                lane, headers, value = lanes[message.key()], message.headers(), message.value()
                if headers is not said and headers != said:
                    decode, text = self._quick(headers)
                    said = headers
                if text and not value.isascii():
                    value.decode()
                body = decode(value)
                values, ts = body.values, body.ts
                if body.group is not None and body.group != lane.group:
                    raise LookupError(body.group)
                kind: Kind = "<f8"
                if values.__class__ is list:
                    packed = lane.pack(*values)
                elif values.__class__ is bytes and len(values) == lane.singles:
                    kind, packed = "<f4", values
                else:
                    kind, packed = lane.other(values, ts)
                known, stamp = message.timestamp()
                stamp = stamp / 1000 if known else -1.0
                if ts.__class__ is not float:
                    ts = _times(ts, stamp, values)
                elif not 0.0 <= ts < FAR:
                    raise LookupError(ts)
                if len(value) > most:
                    raise LookupError(value)
            except OTHERWISE:
                self._otherwise(message, bucket)
                if message.key() in self._waiting.lanes:
                    return True
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
        return False

    def _quick(self, headers: Any) -> Quick:
        """Return what reads a message that has these headers and no others, if they are ordinary.

        Of several headers the format is looked for: a list is no key.
        """
        return self._quicks[(headers[0] if len(headers) == 1 else headers) if headers else None]


def _times(ts: Any, stamp: float, values: Any) -> float | list[float]:
    """Return the message's own time where `ts` is None, and a list of times that are near."""
    if ts is None and 0.0 <= stamp < FAR:
        return stamp
    if ts.__class__ is list and values.__class__ is bytes and are_seconds(ts):
        return cast(list[float], ts)
    raise LookupError(ts)
