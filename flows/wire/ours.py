"""Messages that we wrote ourselves, read back: they fit, or they were damaged or are another's."""

from typing import TypeVar

import msgspec

from oodl.errors import OodlError

__all__ = ["Place", "WireError", "place", "read", "same"]

T = TypeVar("T")


class WireError(OodlError, ValueError):
    """Bytes of ours, codes or a dictionary, that cannot be read."""


class Place(msgspec.Struct):
    """Where an output comes from; a list of offsets tells the layout ``block``."""

    partition: int
    offset: int | list[int]


_PLACE = msgspec.json.Decoder(Place)


def place(value: bytes) -> Place:
    """Return where an output comes from, be it codes or a dictionary.

    Raises
    ------
    WireError
        If the bytes do not say it.
    """
    return read(_PLACE, value)


def read(decoder: msgspec.json.Decoder[T], value: bytes) -> T:
    """Read bytes by their type.

    Raises
    ------
    WireError
        If they are none of it.
    """
    try:
        return decoder.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        message = f"message of {len(value)} bytes: {problem}; is this the right topic?"
        raise WireError(message) from problem


def same(thing: str, got: object, expected: object) -> None:
    """Compare what a message says of itself with what it has.

    Raises
    ------
    WireError
        If they differ.
    """
    if got != expected:
        problem = (
            f"{thing}: expected {expected}, got {got}; the message was damaged or made elsewhere"
        )
        raise WireError(problem)
