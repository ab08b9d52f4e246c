"""Lanes: what the ordinary readings of a settled group look like, ready to be laid out.

A group rests while its readings are as its settled channels have it; then one more of them changes
nothing that is known of it, and its lane is all that has to be asked.
"""

from operator import itemgetter
from struct import Struct
from typing import Any

from oodl.packed import Kind, Packed

__all__ = ["Lane"]

NEVER = -1  # bytes that nothing has


class Lane:
    """How ordinary readings of a group become rows.

    Parameters
    ----------
    group : str
    channels : tuple of str
        The settled ones.
    listed : bool
        Whether readings are lists; else they have names.

    Attributes
    ----------
    pack : callable
        Lays a list of numbers out.
    singles : int
        Bytes of a reading of float32; less than none where readings have names.

    Raises
    ------
    LookupError, struct.error
        By `pack` and `other`, where a reading is not ordinary.

    Examples
    --------
    >>> lane = Lane("press-7", ("flow", "speed"), listed=True)
    >>> len(lane.pack(1.0, 2.0))
    16
    """

    __slots__ = ("_named", "_struct", "channels", "group", "listed", "pack", "singles")

    def __init__(self, group: str, channels: tuple[str, ...], *, listed: bool) -> None:
        self.group, self.channels, self.listed = group, channels, listed
        self._struct = Struct(f"<{len(channels)}d").pack
        self.pack = self._struct if listed else _not_listed
        self.singles = 4 * len(channels) if listed else NEVER
        self._named = itemgetter(*channels, channels[0])  # one name more: a tuple also of one

    def other(self, values: Any, ts: Any) -> tuple[Kind, bytes]:
        """Lay out what is no list: names, or bytes of several readings or of float64."""
        if values.__class__ is dict and len(values) == len(self.channels):
            return "<f8", self._struct(*self._named(values)[:-1])
        kind: Kind = "<f4"
        if values.__class__ is Packed:
            kind, values = values.kind, values.data
        count = len(ts) if ts.__class__ is list else 1
        size = self.singles * count * (2 if kind == "<f8" else 1)
        if values.__class__ is bytes and len(values) == size:
            return kind, values
        raise LookupError(values)


def _not_listed(*_: float) -> bytes:
    problem = "expected names"
    raise LookupError(problem)
