"""Plain numbers: the value of a message is little-endian float32 or float64, and nothing else.

The key names the group. The time is in the header `ts`, written as in JSON; else it is the
message's own.
"""

from contextlib import suppress

import msgspec

from flows.wire.formats.body import Body, Quick
from flows.wire.messages import Fault, Headers
from oodl.packed import Kind, Packed

__all__ = ["PlainFloats"]

TIME = "ts"


class _Singles(msgspec.Struct, gc=False):
    """The numbers as bytes, as other formats have float32; made without a call of ours."""

    values: bytes
    group: None = None
    ts: None = None


class PlainFloats:
    """Read messages of plain numbers.

    Parameters
    ----------
    kind : {"<f4", "<f8"}
        What they are.

    Examples
    --------
    >>> body = PlainFloats("<f4")(bytes(8), [("ts", b"1764000000.25")])
    >>> body.values.rows(), body.ts
    ([[0.0, 0.0]], 1764000000.25)
    >>> PlainFloats("<f4")(bytes(7), []).detail
    'expected a multiple of 4 bytes, got 7'
    """

    def __init__(self, kind: Kind) -> None:
        self.quick = Quick(_Singles if kind == "<f4" else lambda value: Body(Packed(value, kind)))
        self._kind, self._size = kind, 4 if kind == "<f4" else 8

    def __call__(self, value: bytes, headers: Headers) -> Body | Fault:
        """Read what a message says."""
        if len(value) % self._size:
            told = f"expected a multiple of {self._size} bytes, got {len(value)}"
            return Fault("schema", told)
        return Body(Packed(value, self._kind), None, _time(headers) if headers else None)


def _time(headers: Headers) -> float | str | None:
    """Return what the last header `ts` says, a number where it is one."""
    said = dict(headers).get(TIME)
    if said is None:
        return None
    text = said.decode(errors="replace")
    with suppress(ValueError):
        return float(text)
    return text
