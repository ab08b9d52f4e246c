"""How a reading is written: the messages of each format that the pipeline reads.

What has only bytes for its numbers has no names: a machine's channels then go by their order.
"""

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from flows.tools.feed import Values
from flows.wire import Headers
from oodl.packed import Kind

__all__ = [
    "FORMATS", "SEVERAL", "Batches", "FormatName", "Writing", "Written", "one_sensor_each",
    "writing",
]  # fmt: skip

FormatName = Literal[
    "json", "base64", "msgpack", "float32", "float64", "json-batch", "msgpack-batch"
]
SEVERAL = 8  # readings of a message that has several
MSGPACK: Headers = [("content-type", b"msgpack")]


class Written(NamedTuple):
    """A message, and the readings in it.

    Parameters
    ----------
    value : bytes
    headers : list of (str, bytes)
    readings : list of (float, Values)
        The time of each, and its values.
    """

    value: bytes
    headers: Headers
    readings: list[tuple[float, Values]]


Writing = Callable[[str, float, Values], Iterable[Written]]


def one_sensor_each(group: str, ts: float, values: Values) -> Iterator[Written]:
    """Write a message a sensor.

    >>> for message in one_sensor_each("oven", 1.5, {"flow": 2.0, "speed": 3.0}):
    ...     print(message.value.decode())
    {"group":"oven","ts":1.5,"sensor":"flow","value":2.0}
    {"group":"oven","ts":1.5,"sensor":"speed","value":3.0}
    """
    named = (
        values if isinstance(values, dict) else {str(at): each for at, each in enumerate(values)}
    )
    for name, value in named.items():
        body = {"group": group, "ts": ts, "sensor": name, "value": value}
        yield Written(msgspec.json.encode(body), [], [(ts, {name: value})])


class Batches:
    """Write several readings of a group in one message; `rest` gives those that wait for more.

    Parameters
    ----------
    encode : callable
        Returns the bytes of an object.
    headers : list of (str, bytes)
    packed : bool
        Whether numbers are one field of bytes, float32; else they are lists.
    count : int
        Readings of a message.

    Examples
    --------
    >>> writing = Batches(msgspec.json.encode, [], packed=False, count=2)
    >>> list(writing("oven", 1.0, [20.0]))
    []
    >>> [message.value for message in writing("oven", 2.0, [20.5])]
    [b'{"group":"oven","ts":[1.0,2.0],"values":[[20.0],[20.5]]}']
    """

    def __init__(
        self,
        encode: Callable[[object], bytes],
        headers: Headers,
        *,
        packed: bool,
        count: int = SEVERAL,
    ) -> None:
        self._encode, self._headers = encode, headers
        self._packed, self._count = packed, count
        self._waiting: dict[str, list[tuple[float, Values]]] = {}

    def __call__(self, group: str, ts: float, values: Values) -> Iterator[Written]:
        """Write what is complete with this reading."""
        waiting = self._waiting.setdefault(group, [])
        waiting.append((ts, values))
        if len(waiting) == self._count:
            yield self._write(group)

    def rest(self) -> Iterator[tuple[str, Written]]:
        """Write what waits, each with its group."""
        for group in list(self._waiting):
            yield group, self._write(group)

    def _write(self, group: str) -> Written:
        readings = self._waiting.pop(group)
        rows = [_listed(values) for _, values in readings]
        flat = [each for row in rows for each in row]
        numbers = _floats("<f4", flat) if self._packed else rows
        times = [ts for ts, _ in readings]
        body = {"group": group, "ts": times, "values": numbers}
        return Written(self._encode(body), self._headers, readings)


def writing(format_: FormatName) -> Writing:
    """Return how readings are written in a format.

    >>> [message] = writing("float64")("oven", 1.5, {"flow": 2.0})
    >>> message.value.hex(), message.headers
    ('0000000000000040', [('content-type', b'float64'), ('ts', b'1.5')])
    """
    return FORMATS[format_]()


def _json(group: str, ts: float, values: Values) -> Iterator[Written]:
    body = {"group": group, "ts": ts, "values": values}
    yield Written(msgspec.json.encode(body), [], [(ts, values)])


def _base64(group: str, ts: float, values: Values) -> Iterator[Written]:
    text = base64.b64encode(_floats("<f4", _listed(values))).decode()
    body = {"group": group, "ts": ts, "values": text}
    yield Written(msgspec.json.encode(body), [], [(ts, values)])


def _msgpack(group: str, ts: float, values: Values) -> Iterator[Written]:
    body = {"group": group, "ts": ts, "values": _floats("<f4", _listed(values))}
    yield Written(msgspec.msgpack.encode(body), MSGPACK, [(ts, values)])


def _plain(kind: Kind, name: str) -> Writing:
    def write(_group: str, ts: float, values: Values) -> Iterator[Written]:
        headers: Headers = [("content-type", name.encode()), ("ts", repr(ts).encode())]
        yield Written(_floats(kind, _listed(values)), headers, [(ts, values)])

    return write


FORMATS: dict[FormatName, Callable[[], Writing]] = {
    "json": lambda: _json,
    "base64": lambda: _base64,
    "msgpack": lambda: _msgpack,
    "float32": lambda: _plain("<f4", "float32"),
    "float64": lambda: _plain("<f8", "float64"),
    "json-batch": lambda: Batches(msgspec.json.encode, [], packed=False),
    "msgpack-batch": lambda: Batches(msgspec.msgpack.encode, MSGPACK, packed=True),
}


def _listed(values: Values) -> list[float]:
    return list(values.values()) if isinstance(values, dict) else values


def _floats(kind: Kind, numbers: list[float]) -> bytes:
    return np.array(numbers, kind).tobytes()
