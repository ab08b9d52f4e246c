"""Groups as a table for people: the worst first, and what the figures are of."""

import time
from collections.abc import Collection, Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from flows.tables import iso_time
from flows.tools.inspect_figures import LAST
from flows.tools.inspect_rows import Row
from flows.tools.inspect_sources import Seen
from flows.tools.letters import shown

__all__ = ["age", "headline", "kilobytes", "spark", "surprise_told", "table", "troubles"]

CALM, ALARM, FAINT = "green", "bold red", "dim"
BARS = "▁▂▃▄▅▆▇█"  # from a surprise of 0 to one of 2, twice what is unusual
GLIMPSES = 16
COLUMNS = ("version", "N", "error", "density", "surprise", "", "lag", "last reading", "state")
WIDE, ROOM_NEEDED = 98, ("N", "")  # columns of a terminal that have room for these as well
MINUTE, HOUR, DAY = 60, 3600, 86400
DATE = len("2026-03-02")


def table(
    rows: Sequence[Row], total: int, order: str, tolerance: float | None, width: int = WIDE
) -> Table:
    """Return a line a group.

    Parameters
    ----------
    rows : sequence of Row
        Those that are shown.
    total : int
        How many groups there are.
    order : str
        By what they are sorted.
    tolerance : float or None
        What the error of a reading may be; None where no bound is promised.
    width : int
        Columns of the terminal; on a narrow one the last surprises and N are left out.
    """
    kept = [name for name in COLUMNS if width >= WIDE or name not in ROOM_NEEDED]
    lines = [dict(zip(COLUMNS, _cells(row, tolerance), strict=True)) for row in rows]
    grid = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    grid.add_column("group", min_width=5)  # the only one that gives way: no figure is cut
    for name in kept:
        needed = max([len(name), *(len(cells[name]) for cells in lines)])
        grid.add_column(name, justify="right", no_wrap=True, min_width=needed)
    for row, cells in zip(rows, lines, strict=True):
        group = Text(shown(row.group), no_wrap=True, overflow="ellipsis")
        grid.add_row(group, *(cells[name] for name in kept))
    if len(rows) < total:
        grid.caption = f"{len(rows):,} of {total:,} groups, by {order}; --all shows all"
    return grid


def headline(seen: Seen, rows: Collection[Row]) -> Group:
    """Say in two lines how all of it does, and what the figures are of."""
    surprised = sum(row.surprise is not None and row.surprise > 1 for row in rows)
    calm = Text("none surprised", style=CALM)
    told = Text(f"{surprised:,} surprised", style=ALARM) if surprised else calm
    one = Text.assemble((f"{len(rows):,} groups", "bold"), "   ", told, "   ", _pipeline(seen))
    if seen.lags is not None:
        one.append(f"   lag {sum(seen.lags.values()):,} readings")
    readings = sum(recent.readings for recent in seen.recent.values())
    two = Text(
        f"of the newest {readings:,} readings; error, density and surprise: of the last {LAST} "
        "codes of each group",
        style=FAINT,
    )
    return Group(one, two)


def troubles(seen: Seen) -> Iterator[Text]:
    """Yield what could not be reached or read."""
    for problem in seen.problems:
        yield Text(f"not known: {problem}", style="yellow")


def spark(surprises: Sequence[float], width: int = GLIMPSES) -> Text:
    """Draw the last surprises, the newest on the right."""
    drawn = Text()
    for surprise in surprises[-width:]:
        bar = BARS[min(len(BARS) - 1, int(surprise / 2 * len(BARS)))]
        drawn.append(bar, style=ALARM if surprise > 1 else "blue")
    return drawn


def surprise_told(surprise: float | None) -> Text:
    """Tell a mean surprise."""
    if surprise is None:
        return Text("…", style=FAINT)
    return Text(f"{surprise:.2f}", style=ALARM if surprise > 1 else "")


def age(then: float | None, now: float | None = None) -> str:
    """Tell how long ago something was; what is long past, by its date.

    >>> age(1764000000.0, 1764000007.5), age(1764000000.0, 1764009000.0), age(None)
    ('7 s ago', '2 h ago', '')
    >>> age(1764000000.0, 1774000000.0)
    '2025-11-24'
    """
    if then is None:
        return ""
    past = (time.time() if now is None else now) - then
    if not 0 <= past < 2 * DAY:
        return iso_time(then)[:DATE] if past > 0 else "just now"
    for unit, seconds in (("h", HOUR), ("min", MINUTE)):
        if past >= 2 * seconds:
            return f"{int(past // seconds)} {unit} ago"
    return f"{int(past)} s ago"


def kilobytes(size: int | None) -> str:
    """Tell a size.

    >>> kilobytes(163840), kilobytes(300), kilobytes(None)
    ('164 KB', '1 KB', '')
    """
    return "" if size is None else f"{max(1, round(size / 1000)):,} KB"


def _cells(row: Row, tolerance: float | None) -> Iterator[Text | str]:
    yield "" if row.version is None else str(row.version)
    yield "" if row.numbers is None else str(row.numbers)
    yield _error(row.error, tolerance)
    yield "" if row.density is None else f"{row.density:.2f}"
    yield surprise_told(row.surprise)
    drawn = spark(row.surprises)
    drawn.pad_left(GLIMPSES - len(drawn))
    yield drawn
    yield "" if row.lag is None else f"{row.lag:,}"
    yield age(row.last_reading)
    yield kilobytes(row.state_bytes)


def _error(error: float | None, tolerance: float | None) -> Text:
    if error is None:
        return Text("")
    kept = tolerance is None or error <= tolerance
    return Text(f"{error:.3f}", style="" if kept else ALARM)


def _pipeline(seen: Seen) -> Text:
    if seen.pipeline is None:
        return Text("pipeline not reached", style="yellow")
    state, reason = str(seen.pipeline["state"]), str(seen.pipeline.get("reason") or "")
    well = state in ("working", "idle")
    told = f"pipeline {state}" if well or not reason else f"pipeline {state}: {reason}"
    return Text(told, style=CALM if well else ALARM)
