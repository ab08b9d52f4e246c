"""Times in a message moved, so that what is replayed is now: in its fields, or in a header."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from flows.settings import Settings
from flows.wire.formats import FORMATS
from flows.wire.moments import MILLISECONDS_FROM

__all__ = ["Shift"]

TIME, KIND = "ts", "content-type"
Headers = list[tuple[str, bytes]]
Decode = Callable[[bytes], Any]
Encode = Callable[[Any], bytes]

UNREADABLE = (
    msgspec.DecodeError, ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError,
)  # fmt: skip
BODIES: dict[str, tuple[Decode, Encode]] = {
    "json": (json.loads, lambda body: json.dumps(body, ensure_ascii=False).encode()),
    "msgpack": (msgspec.msgpack.decode, msgspec.msgpack.encode),
}


class Shift:
    """Moves the time of messages, in the format and the fields that they have.

    What cannot be read stays as it is: bad input remains the same bad input.

    Parameters
    ----------
    settings : Settings
        Of the readings: what the format of messages is and which field has the time.

    Examples
    --------
    >>> shift = Shift(Settings())
    >>> shift(10.0, b'{"ts": 1.5, "values": [1]}', [])
    (b'{"ts": 11.5, "values": [1]}', [])
    >>> shift(10.0, b'{"ts": "2026-03-02T08:00:01Z"}', [])[0]
    b'{"ts": "2026-03-02T08:00:11+00:00"}'
    >>> shift(10.0, b"poison", [])
    (b'poison', [])
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.messages.fields.time.split(".")
        self._default = settings.messages.format
        self._names = {kind: name for name in FORMATS for kind in (name, *FORMATS[name])}

    def __call__(
        self, seconds: float, value: bytes | None, headers: Headers
    ) -> tuple[bytes | None, Headers]:
        """Return value and headers of a message, so many seconds later."""
        body = BODIES.get(self._format(headers))
        if body is None:
            return value, [(name, _in_header(name, said, seconds)) for name, said in headers]
        return self._in_body(value, seconds, *body), headers

    def _format(self, headers: Headers) -> str:
        said = [value for name, value in headers if name.lower() == KIND]
        kind = said[-1].decode(errors="replace").partition(";")[0].strip().lower() if said else ""
        return self._names.get(kind, self._default)

    def _in_body(
        self, value: bytes | None, seconds: float, decode: Decode, encode: Encode
    ) -> bytes | None:
        try:
            body = decode(value or b"")
            holder = _holder(body, self._path)
            holder[self._path[-1]] = _moved(holder[self._path[-1]], seconds)
            return encode(body)
        except UNREADABLE:
            return value


def _holder(body: Any, path: Sequence[str]) -> Any:
    for name in path[:-1]:
        body = body[name]
    return body


def _in_header(name: str, said: bytes, seconds: float) -> bytes:
    if name.lower() != TIME:
        return said
    text = said.decode(errors="replace")
    try:
        return str(_moved(float(text), seconds)).encode()
    except ValueError:
        pass
    try:
        return str(_moved(text, seconds)).encode()
    except ValueError:
        return said


def _moved(ts: Any, seconds: float) -> Any:
    """Move a time as messages have it: seconds, ms from 1e11 on, ISO 8601, or a list of them."""
    if isinstance(ts, list):
        return [_moved(each, seconds) for each in ts]
    if isinstance(ts, str):
        return (datetime.fromisoformat(ts) + timedelta(seconds=seconds)).isoformat()
    if isinstance(ts, bool) or not isinstance(ts, int | float):
        return ts
    return ts + (seconds * 1000 if ts >= MILLISECONDS_FROM else seconds)
