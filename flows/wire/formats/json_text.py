"""JSON: lists, named channels, and base64 of float32; one reading a message, or several.

What is well formed takes the fast way, one typed decode; whatever that refuses is read a second
time by the standard library, which knows NaN, Infinity and numbers beyond float64: such values are
missing, not wrong.
"""

import json
import math
from typing import Any

import msgspec

from flows.wire.formats.body import Body, Content, Fields, Quick, Shape, none_quick
from flows.wire.messages import Fault, Headers

__all__ = ["JsonText"]


class JsonText:
    """Read messages of JSON.

    Parameters
    ----------
    fields : Fields
        Where the parts of a reading are.

    Examples
    --------
    >>> read = JsonText(Fields())
    >>> read(b'{"values": [1, NaN]}', []).values
    [1.0, None]
    >>> read(b'{"ts": [1, 2], "values": [[1, 0.5], [2, 0.25]]}', []).values
    [[1.0, 0.5], [2.0, 0.25]]
    """

    def __init__(self, fields: Fields) -> None:
        self._shape = Shape(fields)
        self._one = msgspec.json.Decoder(self._shape.one.type)
        self._plain, self._body = self._shape.one.plain, self._shape.one.body
        self.quick = Quick(self._one.decode if self._plain else none_quick, text=True)
        self._many = msgspec.json.Decoder(self._shape.many.type)

    def __call__(self, value: bytes, headers: Headers) -> Body | Fault:  # noqa: ARG002
        """Read what a message says."""
        try:
            if not value.isascii():
                value.decode()  # the typed decode looks only at the strings that it keeps
            found: Any = self._one.decode(value)
            return found if self._plain else self._body(found)
        except msgspec.ValidationError as problem:
            if self._shape.several(str(problem)):
                return self._several(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass
        return self._reread(value)

    def _several(self, value: bytes) -> Body | Fault:
        try:
            return self._shape.many.body(self._many.decode(value))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return self._reread(value)

    def _reread(self, value: bytes) -> Body | Fault:
        """Read what the fast way refused, with missing values where float64 has no number."""
        try:
            found = json.loads(value.decode("utf-8-sig"), parse_int=_integer)
        except UnicodeError as problem:
            return Fault("encoding", str(problem))
        except (ValueError, RecursionError) as problem:
            return Fault("json", str(problem))
        body = self._convert(found, self._shape.one)
        if isinstance(body, Fault) and self._shape.several(body.detail):
            return self._convert(found, self._shape.many)
        return body

    def _convert(self, found: Any, content: Content) -> Body | Fault:
        try:
            body = content.body(msgspec.convert(found, content.type))
            if isinstance(body.values, dict):
                "".join(body.values).encode()  # a lone surrogate has no UTF-8
            (body.sensor or "").encode()
        except msgspec.ValidationError as problem:
            return Fault(self._shape.reason(str(problem)), str(problem))
        except UnicodeError as problem:
            return Fault("encoding", str(problem))
        body.values, body.value = _with_missing(body.values), _with_missing(body.value)
        return body


def _integer(text: str) -> float:
    """An integer's value; far beyond float64 the number of digits alone decides, it is inf."""
    return int(text) if len(text) < 300 else float(text)


def _with_missing(values: Any) -> Any:
    """Return the same with None where float64 has no number."""
    if isinstance(values, dict):
        return {name: _with_missing(value) for name, value in values.items()}
    if isinstance(values, list):
        return [_with_missing(value) for value in values]
    if isinstance(values, float):
        return values if math.isfinite(values) else None
    return values
