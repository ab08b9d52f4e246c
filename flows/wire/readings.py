"""Bytes from Kafka to readings or samples of a sensor: any give a value, if only a `Fault`.

Formats differ in how they say what a reading is; what its group and its time are is told here.
"""

from functools import lru_cache
from typing import Any

from msgspec import UNSET

from flows.wire.formats import FORMATS, Body, Fields, Format, Quick, named
from flows.wire.messages import (
    MAX_MESSAGE_BYTES,
    Fault,
    Headers,
    Message,
    Reading,
    Readings,
    Sample,
)
from flows.wire.moments import MILLISECONDS_FROM, moment
from flows.wire.names import LONGEST_GROUP, group_name
from flows.wire.several import no_values, packed, readings_of, several

__all__ = ["Reader", "decode"]

FIELDS = Fields()
REMEMBERED = 100_000  # groups whose key is not read again
CONTENT_TYPE = "content-type"
ODD = ("key_and_field_differ",)


class Reader:
    """Read messages as readings; no bytes raise an exception.

    Parameters
    ----------
    max_bytes : int
        Key and value together may have this many bytes.
    format : Format
        Of messages whose header says nothing of it.
    fields : Fields
        Where an object in a message has the parts of a reading.

    Attributes
    ----------
    quicks : dict
        What reads an ordinary message that has one header, or None; it raises at any other.

    Examples
    --------
    >>> read = Reader()
    >>> read(b"press-7", b'{"ts": 1.5, "values": [1, NaN]}', [], 0.0)
    Reading(group='press-7', time=1.5, values=[1.0, None], oddities=())
    >>> read(b"press-7", bytes(8), [("content-type", b"float32")], 2.0).values.rows()
    [[0.0, 0.0]]
    """

    def __init__(
        self,
        max_bytes: int = MAX_MESSAGE_BYTES,
        format: Format = "json",  # noqa: A002  (its name in the settings)
        fields: Fields = FIELDS,
    ) -> None:
        self.max_bytes = max_bytes
        reads = {name: named(name, fields) for name in FORMATS}
        self._default = reads[format]
        self._reads = reads | {kind: reads[name] for name in FORMATS for kind in FORMATS[name]}
        self._groups: dict[bytes | None, str] = {}
        self.quicks: dict[Any, Quick] = {None: self._default.quick} | {
            (CONTENT_TYPE, kind.encode()): read.quick for kind, read in self._reads.items()
        }

    def __call__(
        self, key: bytes | None, value: bytes | None, headers: Headers, stamp: float
    ) -> Reading | Readings | Sample | Fault:
        """Read a message by its parts; `stamp` is its own time in seconds, negative for none."""
        if not value or len(value) + len(key or b"") > self.max_bytes:
            return self._unread(key, value)
        body = self._of(headers)(value, headers) if headers else self._default(value, headers)
        if isinstance(body, Fault):
            return body
        group = self._groups.get(key) or self._group(key, body.group)
        if isinstance(group, Fault):
            return group
        odd = ODD if body.group is not None and body.group != group else ()
        ts, values = body.ts, body.values
        if several(body):
            return readings_of(group, body, stamp, odd)
        plain = isinstance(ts, float) and 0.0 <= ts < MILLISECONDS_FROM
        time = ts if plain else moment(ts, stamp)
        if values is UNSET:
            return _sample(group, time, body, odd)
        return _reading(group, time, values, odd)

    def message(self, message: Message) -> Reading | Readings | Sample | Fault:
        """Read a message as a whole."""
        return self(message.key, message.value, message.headers, message.timestamp)

    def field(self, message: Message) -> str | None:
        """Return what a message's field says of its group; None where nothing does.

        >>> message = Message("in", 0, 7, b"heat", b'{"group": "oven", "value": NaN}', [], 0.0)
        >>> Reader().field(message)
        'oven'
        """
        value, headers = message.value, message.headers
        if not value or len(value) > self.max_bytes:
            return None
        body = self._of(headers)(value, headers)
        return None if isinstance(body, Fault) else body.group

    def _unread(self, key: bytes | None, value: bytes | None) -> Fault:
        """Say why a message is not even looked at."""
        size = len(value or b"") + len(key or b"")
        if size > self.max_bytes:
            return Fault("size", f"expected at most {self.max_bytes} bytes, got {size}")
        got = "no" if value is None else "an empty"
        return Fault("schema", f"expected a reading, got {got} value")

    def _of(self, headers: Headers) -> Any:
        """Return what reads the format that the last header of that name says, if it is known."""
        said = [value for name, value in headers if name.lower() == CONTENT_TYPE]
        if not said:
            return self._default
        kind = (said[-1] or b"").decode(errors="replace").partition(";")[0]
        return self._reads.get(kind.strip().lower(), self._default)

    def _group(self, key: bytes | None, field: str | None) -> str | Fault:
        """Name the group, and remember what its key is in text."""
        group = group_name(key, field)
        if key is not None and not isinstance(group, Fault):
            if len(self._groups) >= REMEMBERED:
                self._groups.clear()
            self._groups[key] = group
        return group


@lru_cache(maxsize=8)
def _reader(max_bytes: int) -> Reader:
    return Reader(max_bytes)


def decode(
    message: Message, max_bytes: int = MAX_MESSAGE_BYTES
) -> Reading | Readings | Sample | Fault:
    """Read a message by its header or as JSON, with the fields as we have them.

    Parameters
    ----------
    message : Message
        The record as it came.
    max_bytes : int
        Key and value together may have this many bytes.

    Examples
    --------
    NaN is no JSON, but it is a missing value.

    >>> message = Message("in", 0, 7, b"press-7", b'{"ts": 1.5, "values": [1, NaN]}', [], 0.0)
    >>> decode(message)
    Reading(group='press-7', time=1.5, values=[1.0, None], oddities=())
    >>> message.value = b'{"values": [1, true]}'
    >>> decode(message).detail
    'Expected `float | null`, got `bool` - at `$.values[1]`'

    Without `values` it is what one sensor gave.

    >>> message.value = b'{"sensor": "heat", "ts": 1.5, "value": 21.5}'
    >>> decode(message)
    Sample(group='press-7', time=1.5, sensor='heat', value=21.5, oddities=())
    """
    return _reader(max_bytes).message(message)


def _sample(group: str, time: Any, body: Body, odd: tuple[str, ...]) -> Sample | Fault:
    sensor, value = body.sensor, body.value
    if isinstance(time, Fault):
        return time
    if sensor is None or value is UNSET:
        absent = "values" if sensor is None else "value"
        return Fault("schema", f"Object missing required field `{absent}`")
    if not 0 < len(sensor) <= LONGEST_GROUP:
        told = f"expected a sensor of 1 to {LONGEST_GROUP} characters, got {len(sensor)}"
        return Fault("channel", told)
    return Sample(group, time, sensor, value, odd)


def _reading(group: str, time: Any, values: Any, odd: tuple[str, ...]) -> Reading | Fault:
    if isinstance(values, bytes):
        values = packed(values, 1)
    if isinstance(time, Fault):
        return time
    if isinstance(values, Fault):
        return values
    return Reading(group, time, values, odd) if values else no_values()
