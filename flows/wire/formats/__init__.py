"""The formats that readings come in: a file each, and here a line each.

A message's header `content-type` names its format, by its own name or by a media type; where it
says nothing that is known here, the settings do.
"""

from typing import Literal

from flows.wire.formats.body import Body, Fields, Quick, Read
from flows.wire.formats.json_text import JsonText
from flows.wire.formats.message_pack import MessagePack
from flows.wire.formats.plain_floats import PlainFloats

__all__ = ["FORMATS", "Body", "Fields", "Format", "Quick", "Read", "named"]

Format = Literal["json", "msgpack", "float32", "float64"]

FORMATS: dict[Format, tuple[str, ...]] = {
    "json": ("application/json",),
    "msgpack": ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack"),
    "float32": ("application/x-float32",),
    "float64": ("application/x-float64",),
}


def named(name: Format, fields: Fields) -> Read:
    """Return how messages of a format are read, with the fields that they have."""
    match name:
        case "json":
            return JsonText(fields)
        case "msgpack":
            return MessagePack(fields)
        case "float32":
            return PlainFloats("<f4")
        case "float64":
            return PlainFloats("<f8")
