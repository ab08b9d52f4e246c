"""What is told of each group: one row of figures, None where nothing tells it."""

from collections.abc import Callable, Iterable
from math import inf
from typing import Literal

import msgspec

from flows.tools.inspect_figures import Recent
from flows.tools.inspect_sources import Seen

__all__ = ["Order", "Row", "ordered", "row_of", "rows_of"]

Order = Literal["surprise", "error", "density", "lag", "last", "state", "version", "group"]


class Row(msgspec.Struct, kw_only=True):
    """A group as it is now.

    Attributes
    ----------
    version : int
        The dictionary in force; `id` names it.
    numbers : int
        How many a frame has: channels x window.
    error : float or None
        RMS of the last codes, in channel standard deviations.
    surprise : float or None
        Mean of the last codes; above 1 is unlike the group's past. `surprises` are theirs.
    density : float or None
        Atoms a value.
    lag : int or None
        Readings of its partition that have no snapshot yet.
    last_reading : float or None
        Its time, seconds since 1970.
    state_bytes : int or None
        Size of its state.
    """

    group: str
    version: int | None = None
    id: str | None = None
    numbers: int | None = None
    error: float | None
    surprise: float | None
    surprises: list[float]
    density: float | None
    lag: int | None = None
    partition: int | None = None
    last_reading: float | None = None
    state_bytes: int | None


def rows_of(seen: Seen) -> list[Row]:
    """Return a row a group, of all that have a dictionary or a code."""
    return [row_of(seen, group) for group in sorted(seen.versions.keys() | seen.recent.keys())]


def row_of(seen: Seen, group: str) -> Row:
    """Return the row of one group."""
    recent, current = seen.recent.get(group), seen.current(group)
    newest = recent or Recent()
    sizes = {each.head.id: each.size for each in seen.versions.get(group, [])}
    row = Row(
        group=group,
        error=newest.error,
        surprise=newest.surprise,
        surprises=newest.surprises,
        density=newest.density(sizes, current.head.window if current else 1),
        state_bytes=None if seen.states is None else seen.states.get(group),
    )
    if current is not None:
        row.version, row.id, row.numbers = current.head.version, current.head.id, current.size
        row.partition = current.head.partition
    if recent is not None:
        row.version, row.id, row.partition = recent.version, recent.id, recent.partition
        row.last_reading = recent.time
    if seen.lags is not None and row.partition is not None:
        row.lag = seen.lags.get(row.partition)
    return row


def ordered(rows: Iterable[Row], order: Order) -> list[Row]:
    """Sort rows, the worst first; what is not known comes last.

    Worst is what is most surprised, least exact, densest, furthest behind, longest silent, largest
    and learned anew most often.
    """
    worst: dict[Order, Callable[[Row], tuple[float, ...]]] = {
        "surprise": lambda row: (_high(row.surprise), _high(row.error)),
        "error": lambda row: (_high(row.error),),
        "density": lambda row: (_high(row.density),),
        "lag": lambda row: (_high(row.lag),),
        "last": lambda row: (inf if row.last_reading is None else row.last_reading,),
        "state": lambda row: (_high(row.state_bytes),),
        "version": lambda row: (_high(row.version),),
        "group": lambda _: (),
    }
    return sorted(rows, key=worst[order])  # stable: equal ones stay by their names


def _high(figure: float | None) -> float:
    return inf if figure is None else -figure
