"""A message from Kafka, and what it can turn out to be: a reading, or a fault with its reason."""

from typing import Literal

import msgspec

from oodl.packed import Packed

__all__ = [
    "LONGEST_DETAIL",
    "MAX_MESSAGE_BYTES",
    "Fault",
    "Headers",
    "Message",
    "Reading",
    "Readings",
    "Reason",
    "Rejected",
    "Sample",
]

Reason = Literal[
    "json",
    "encoding",
    "schema",
    "length",
    "channel",
    "group",
    "size",
    "time",
    "late",
    "groups-full",
    "refused",
]
Headers = list[tuple[str, bytes | None]]

MAX_MESSAGE_BYTES = 1048576  # the default of Kafka's topics, less their 12 bytes of overhead
LONGEST_DETAIL = 200  # characters


class Message(msgspec.Struct):
    """A record as it came from Kafka; `timestamp` in seconds, negative where there is none."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: float


class Reading(msgspec.Struct, gc=False):
    """One timed vector of a group; `time` is in seconds; None, NaN and infinite are missing."""

    group: str
    time: float
    values: list[float | None] | dict[str, float | None] | Packed
    oddities: tuple[str, ...] = ()


class Readings(msgspec.Struct, gc=False):
    """Several readings of a group that came in one message, each with its time."""

    group: str
    times: list[float]
    values: Packed
    oddities: tuple[str, ...] = ()


class Sample(msgspec.Struct):
    """What one sensor of a group gave at a time; None is a missing value, `time` is in seconds."""

    group: str
    time: float
    sensor: str
    value: float | None
    oddities: tuple[str, ...] = ()


class Fault(msgspec.Struct):
    """Why a message is no reading: one of `Reason`, and what exactly."""

    reason: Reason
    detail: str


class Rejected(msgspec.Struct):
    """A message on its way to the dead letters.

    `at` is the position of the message with which that was decided, where it is another one.
    """

    message: Message
    reason: Reason
    detail: str
    at: tuple[int, int] | None = None
