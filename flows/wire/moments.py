"""When a reading was: seconds since 1970, from what its message says or from the message itself."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import isnan
from typing import Any

from flows.wire.messages import Fault

__all__ = ["EARLIEST", "LATEST", "are_seconds", "moment"]

LONGEST_QUOTE = 40  # characters of the input that a detail may repeat
MILLISECONDS_FROM = 1e11  # as seconds this would be the year 5138
EARLIEST, LATEST = -62135596800.0, 253402300800.0  # the years 1 to 9999, as seconds


def moment(ts: Any, fallback: float) -> float | Fault:
    """Seconds since 1970: of `ts`, a number or text; without it, the message's own."""
    if ts is None:
        if 0 <= fallback < LATEST:
            return fallback
        return Fault("time", "expected `ts` or a time stamp with the message, got neither")
    try:
        seconds = _seconds(ts)
    except ValueError:
        return Fault("time", f"expected ISO 8601, got {ts!r:.{LONGEST_QUOTE}} - at `$.ts`")
    if EARLIEST <= seconds < LATEST:
        return seconds
    return Fault("time", f"expected the years 1 to 9999, got {ts!r:.{LONGEST_QUOTE}} - at `$.ts`")


def are_seconds(times: Sequence[Any]) -> bool:
    """Tell whether times are seconds as they stand; of a NaN neither end of a list tells.

    >>> are_seconds([1.0, 2.0]), are_seconds([1.0, float("nan")]), are_seconds([])
    (True, False, False)

    Raises
    ------
    TypeError
        If some are no numbers.
    """
    return (
        len(times) > 0
        and 0.0 <= min(times) <= max(times) < MILLISECONDS_FROM
        and not isnan(sum(times))
    )


def _seconds(ts: float | str) -> float:
    """Read a number, ms from 1e11 on, or ISO 8601, which is UTC when it names no zone."""
    if isinstance(ts, str):
        when = datetime.fromisoformat(ts)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    return ts / 1000 if ts >= MILLISECONDS_FROM else ts
