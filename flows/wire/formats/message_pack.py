"""MessagePack: the same objects as in JSON, with numbers as float32 or float64, or all as one bin.

A bin of little-endian float32 is decoded fastest by far: as a block of bytes.
"""

from typing import Any

import msgspec

from flows.wire.formats.body import Body, Fields, Quick, Shape, none_quick
from flows.wire.messages import LONGEST_DETAIL, Fault, Headers

__all__ = ["MessagePack"]

MALFORMED = (msgspec.DecodeError, UnicodeError, RecursionError)


class MessagePack:
    r"""Read messages of MessagePack.

    Parameters
    ----------
    fields : Fields
        Where the parts of a reading are.

    Examples
    --------
    >>> read = MessagePack(Fields())
    >>> read(msgspec.msgpack.encode({"ts": [1, 2], "values": bytes(16)}), []).ts
    [1.0, 2.0]
    >>> read(b"\x81", []).detail
    'expected MessagePack: Input data was truncated'
    """

    def __init__(self, fields: Fields) -> None:
        self._shape = Shape(fields)
        self._one = msgspec.msgpack.Decoder(self._shape.one.type)
        self._plain, self._body = self._shape.one.plain, self._shape.one.body
        self.quick = Quick(self._one.decode if self._plain else none_quick)
        self._many = msgspec.msgpack.Decoder(self._shape.many.type)

    def __call__(self, value: bytes, headers: Headers) -> Body | Fault:  # noqa: ARG002
        """Read what a message says."""
        try:
            found: Any = self._one.decode(value)
            return found if self._plain else self._body(found)
        except msgspec.ValidationError as problem:
            told = str(problem)
            if not self._shape.several(told):
                return Fault(self._shape.reason(told), told)
        except MALFORMED as problem:
            return _malformed(problem)
        try:
            return self._shape.many.body(self._many.decode(value))
        except msgspec.ValidationError as problem:
            return Fault(self._shape.reason(str(problem)), str(problem))
        except MALFORMED as problem:
            return _malformed(problem)


def _malformed(problem: Exception) -> Fault:
    return Fault("encoding", f"expected MessagePack: {problem}"[:LONGEST_DETAIL])
