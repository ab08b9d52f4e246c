"""Several readings of a group in one message, with a time for each; all of them fit, or none does.

Their values are lists of numbers by reading, or by channel, or the bytes of all one after another.
"""

from collections.abc import Sequence
from itertools import chain
from math import nan
from struct import Struct, error
from typing import Any

from flows.wire.formats import Body
from flows.wire.messages import LONGEST_DETAIL, Fault, Readings
from flows.wire.moments import are_seconds, moment
from oodl.packed import Packed

__all__ = ["no_values", "packed", "readings_of", "several"]

FLOAT32 = 4  # bytes of a number where values are bytes in a field
ROOM = 20  # characters of a detail that say where


def several(body: Body) -> bool:
    """Tell whether a body is of several readings: by its times, else by its values."""
    ts, values = body.ts, body.values
    if isinstance(ts, list):
        return True
    if isinstance(values, dict):
        return isinstance(next(iter(values.values()), None), list)
    return isinstance(values, list) and len(values) > 0 and isinstance(values[0], list)


def readings_of(group: str, body: Body, stamp: float, odd: tuple[str, ...]) -> Readings | Fault:
    """Lay several readings out at once, or say what does not fit."""
    count = _count(body)
    if isinstance(count, Fault):
        return count
    times = _times(body.ts, count, stamp)
    if isinstance(times, Fault):
        return times
    values = _laid(body.values, count)
    return values if isinstance(values, Fault) else Readings(group, times, values, odd)


def packed(values: bytes, count: int) -> Packed | Fault:
    """Take the bytes of a field as float32, so many readings of them."""
    size = FLOAT32 * count
    if not values:
        return no_values()
    if len(values) % size:
        told = f"expected a multiple of {size} bytes, {FLOAT32} a number of a reading"
        return Fault("schema", f"{told}, got {len(values)} - at `$.values`")
    return Packed(values, "<f4", count)


def no_values() -> Fault:
    """Say that a message has no number."""
    return Fault("schema", "Expected at least one value, got none - at `$.values`")


def _count(body: Body) -> int | Fault:
    ts, values = body.ts, body.values
    if isinstance(ts, list):
        return len(ts) or Fault("time", "expected a time for each reading, got none - at `$.ts`")
    count = len(values) if isinstance(values, list) else len(next(iter(values.values())))
    if ts is None:
        return count or no_values()
    return Fault("time", f"expected a list of {count} times, got one - at `$.ts`")


def _times(ts: Any, count: int, stamp: float) -> list[float] | Fault:
    if ts is None:
        time = moment(None, stamp)
        return time if isinstance(time, Fault) else [time] * count
    try:
        if are_seconds(ts):
            return list(ts)
    except TypeError:
        pass  # some are text
    times: list[float] = []
    for each in ts:
        time = moment(each, stamp)
        if isinstance(time, Fault):
            return time
        times.append(time)
    return times


def _laid(values: Any, count: int) -> Packed | Fault:
    """Return the values of several readings as rows."""
    if isinstance(values, bytes):
        return packed(values, count)
    lists = list(values.values()) if isinstance(values, dict) else values
    if not lists:
        return no_values()
    if not all(isinstance(each, list) for each in lists):
        return Fault("schema", f"expected lists of {count} readings, got one - at `$.values`")
    if isinstance(values, dict):
        return _by_channel(tuple(values), lists, count)
    return _by_reading(lists, count)


def _by_reading(rows: list[list[float | None]], count: int) -> Packed | Fault:
    lengths = sorted(set(map(len, rows)))
    if len(rows) != count or len(lengths) > 1:
        told = f"expected {count} lists of one length, got {len(rows)} of {lengths}"
        return Fault("schema", f"{told[: LONGEST_DETAIL - ROOM]} - at `$.values`")
    return _rows(rows, ()) if lengths[0] else no_values()


def _by_channel(
    names: tuple[str, ...], columns: list[list[float | None]], count: int
) -> Packed | Fault:
    lengths = sorted(set(map(len, columns)))
    if lengths != [count]:
        told = f"expected {count} values a channel, got {lengths}"
        return Fault("schema", f"{told[: LONGEST_DETAIL - ROOM]} - at `$.values`")
    return _rows(list(zip(*columns, strict=True)), names)


def _rows(rows: Sequence[Sequence[float | None]], names: tuple[str, ...]) -> Packed:
    layout = Struct(f"<{len(rows) * len(rows[0])}d")
    try:
        data = layout.pack(*chain.from_iterable(rows))
    except error:
        data = layout.pack(*[nan if value is None else value for row in rows for value in row])
    return Packed(data, "<f8", len(rows), names)
