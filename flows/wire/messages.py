"""A message from Kafka, and what it can turn out to be: a reading, or a fault with its reason."""

from typing import Literal

import msgspec

__all__ = [
    "LONGEST_DETAIL",
    "MAX_MESSAGE_BYTES",
    "Fault",
    "Headers",
    "Message",
    "Reading",
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


class Reading(msgspec.Struct):
    """One timed vector of a group; None is a missing value, `time` is in seconds."""

    group: str
    time: float
    values: list[float | None] | dict[str, float | None]
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

    `at` is the offset of the message with which that was decided, where it is another one.
    """

    message: Message
    reason: Reason
    detail: str
    at: int | None = None
