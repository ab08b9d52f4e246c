"""Bytes from Kafka to a reading or the sample of a sensor; any give a value, if only a `Fault`.

What is well formed takes the fast way, one typed decode; whatever that refuses is read a second
time by the standard library, which knows NaN, Infinity and numbers beyond float64: such values are
missing, not wrong.
"""

import json
import math

import msgspec
from msgspec import UNSET, UnsetType

from flows.wire.messages import MAX_MESSAGE_BYTES, Fault, Message, Reading, Reason, Sample
from flows.wire.moments import moment
from flows.wire.names import LONGEST_GROUP, group_name

__all__ = ["decode"]


class _Body(msgspec.Struct):
    """What we look at in a message's JSON; all else in it is ignored."""

    values: list[float | None] | dict[str, float | None] | UnsetType = UNSET
    group: str | None = None
    ts: float | str | None = None
    sensor: str | None = None
    value: float | UnsetType | None = UNSET


_BODY = msgspec.json.Decoder(_Body)

# Fields whose wrong type has a reason of its own; any other is a matter of `schema`.
_REASON_OF_FIELD: dict[str, Reason] = {"`$.group`": "group", "`$.ts`": "time"}


def decode(message: Message, max_bytes: int = MAX_MESSAGE_BYTES) -> Reading | Sample | Fault:
    """Read a message, or say why it cannot be read; no bytes raise an exception.

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
    size = len(message.value or b"") + len(message.key or b"")
    if size > max_bytes:
        return Fault("size", f"expected at most {max_bytes} bytes, got {size}")
    body = _body(message.value)
    if isinstance(body, Fault):
        return body
    group = group_name(message.key, body.group)
    if isinstance(group, Fault):
        return group
    time = moment(body.ts, message.timestamp)
    if isinstance(time, Fault):
        return time
    differ = message.key is not None and body.group is not None and body.group != group
    oddities = ("key_and_field_differ",) if differ else ()
    if body.values is not UNSET:
        return Reading(group, time, body.values, oddities)
    return _sample(group, time, body, oddities)


def _sample(group: str, time: float, body: _Body, oddities: tuple[str, ...]) -> Sample | Fault:
    sensor, value = body.sensor, body.value
    if sensor is None:
        return Fault("schema", "Object missing required field `values`")
    if value is UNSET:
        return Fault("schema", "Object missing required field `value`")
    if not 0 < len(sensor) <= LONGEST_GROUP:
        told = f"expected a sensor of 1 to {LONGEST_GROUP} characters, got {len(sensor)}"
        return Fault("channel", told)
    return Sample(group, time, sensor, value, oddities)


def _body(value: bytes | None) -> _Body | Fault:
    if not value:
        return Fault(
            "schema", f"expected a JSON object, got {'no' if value is None else 'an empty'} value"
        )
    try:
        if not value.isascii():
            value.decode()  # the typed decode looks only at the strings that it keeps
        body = _BODY.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _reread(value)
    return body if body.values or body.values is UNSET else _no_values()


def _reread(value: bytes) -> _Body | Fault:
    """Read what the fast way refused, with missing values where float64 has no number."""
    try:
        found = json.loads(value.decode("utf-8-sig"), parse_int=_integer)
        body = msgspec.convert(found, _Body)
        if isinstance(body.values, dict):
            "".join(body.values).encode()  # a lone surrogate has no UTF-8
        (body.sensor or "").encode()
    except msgspec.ValidationError as problem:
        field = str(problem).rpartition(" - at ")[2]
        return Fault(_REASON_OF_FIELD.get(field, "schema"), str(problem))
    except UnicodeError as problem:
        return Fault("encoding", str(problem))
    except (ValueError, RecursionError) as problem:
        return Fault("json", str(problem))
    if body.values or body.values is UNSET:
        return _with_missing(body)
    return _no_values()


def _integer(text: str) -> float:
    """An integer's value; far beyond float64 the number of digits alone decides, it is inf."""
    return int(text) if len(text) < 300 else float(text)


def _with_missing(body: _Body) -> _Body:
    values = body.values
    if values is UNSET:
        body.value = body.value if body.value is UNSET else _finite(body.value)
    elif isinstance(values, dict):
        body.values = {name: _finite(value) for name, value in values.items()}
    else:
        body.values = [_finite(value) for value in values]
    return body


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _no_values() -> Fault:
    return Fault("schema", "Expected at least one value, got none - at `$.values`")
