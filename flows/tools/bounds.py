"""From where and up to where: a time, or a place counted in messages or rows."""

from dataclasses import dataclass
from datetime import UTC, datetime

from oodl.errors import ValueFault

__all__ = ["Bound", "bound"]


@dataclass(frozen=True, slots=True)
class Bound:
    """An end of what is meant: one of both.

    Parameters
    ----------
    time : float or None
        Seconds since 1970.
    offset : int or None
        Of a message in each partition, or the number of a row of data, from 0 on.
    """

    time: float | None = None
    offset: int | None = None

    def passed(self, time: float, offset: int) -> bool:
        """Whether something at that time, or at that place, is there or beyond.

        >>> Bound(time=5.0).passed(5.0, 0), Bound(offset=3).passed(5.0, 2)
        (True, False)
        """
        return time >= self.time if self.time is not None else offset >= (self.offset or 0)


def bound(name: str, text: str | None) -> Bound | None:
    """Read an end as people write it: ISO 8601, UTC where it names no zone, or a whole number.

    Raises
    ------
    ValueFault
        If it is neither.

    Examples
    --------
    >>> bound("--from", "1500"), bound("--from", "2026-03-02T08:00:01").time
    (Bound(time=None, offset=1500), 1772438401.0)
    """
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return Bound(offset=int(text))
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        msg = f"{name}: expected a time or an offset, got {text!r}; try 2026-11-24T08:00 or 1500"
        raise ValueFault(msg) from None
    return Bound(time=(when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
