"""What a person sees of the demo: a live table on a terminal, else a line now and then."""

import io
from collections import deque
from dataclasses import dataclass
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live

from flows.tools.figures import GroupLine
from flows.tools.live_table import LiveTable

__all__ = ["LastLines", "LiveScreen", "Moment", "PlainScreen", "Screen"]

FRAME_SECONDS, GLIMPSE_SECONDS, LINE_SECONDS = 0.25, 1.0, 5.0
"""Between two pictures, two glimpses at rate and surprise, and two plain lines."""

RATE_GLIMPSES = 5
EVENTS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """Where the demo stands.

    Attributes
    ----------
    seconds : float
        Since the start of the process.
    readings, compared : int
        Readings sent, and those among them whose code was compared with them.
    largest_error : float
        Of all codes so far.
    groups : dict
        A line for each group.
    """

    seconds: float
    readings: int
    compared: int
    largest_error: float
    groups: dict[str, GroupLine]


class Screen(Protocol):
    """Shows moments from its creation until it is closed, and has a place for events meanwhile."""

    @property
    def log(self) -> TextIO:
        """Where events are to be written."""

    def show(self, moment: Moment) -> None:
        """Show a moment, if the time for it has come."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class LiveScreen:
    """A table that is drawn anew four times a second, with the last events below it.

    Parameters
    ----------
    console : Console
    table : LiveTable
    metrics : str
        What to say of the metrics.
    """

    def __init__(self, console: Console, table: LiveTable, metrics: str) -> None:
        self.log = LastLines(EVENTS_SHOWN)
        self._table, self._metrics = table, metrics
        self._drawn = self._glimpsed = -GLIMPSE_SECONDS
        self._counts: deque[tuple[float, int]] = deque([(0.0, 0)], maxlen=RATE_GLIMPSES)
        self._live = Live(console=console, auto_refresh=False)
        self._live.start()

    def show(self, moment: Moment) -> None:
        """Draw the table, four times a second at most."""
        if moment.seconds - self._drawn < FRAME_SECONDS:
            return
        self._drawn = moment.seconds
        if moment.seconds - self._glimpsed >= GLIMPSE_SECONDS:
            self._glimpsed = moment.seconds
            self._table.glimpse(moment.groups)
            self._counts.append((moment.seconds, moment.readings))
        headlines = f"oodl demo   {_tell(moment, self._rate())}", self._metrics
        self._live.update(self._table.draw(moment.groups, headlines, self.log.lines), refresh=True)

    def close(self) -> None:
        """Leave the last picture where it is, and the cursor below it."""
        self._live.stop()

    def _rate(self) -> float:
        (since, before), (now, readings) = self._counts[0], self._counts[-1]
        return (readings - before) / (now - since) if now > since else 0.0


class PlainScreen:
    """A line every five seconds.

    Parameters
    ----------
    console : Console
    log : TextIO
        Where events go.
    metrics : str
        What to say of the metrics.
    """

    def __init__(self, console: Console, log: TextIO, metrics: str) -> None:
        self.log = log
        self._console = console
        self._told_at, self._told = 0.0, 0
        self._console.print(metrics, soft_wrap=True)

    def show(self, moment: Moment) -> None:
        """Print a line, every five seconds at most."""
        elapsed = moment.seconds - self._told_at
        if elapsed < LINE_SECONDS:
            return
        rate = (moment.readings - self._told) / elapsed
        self._told_at, self._told = moment.seconds, moment.readings
        self._console.print(_tell(moment, rate), soft_wrap=True)

    def close(self) -> None:
        """Do nothing: lines stay as they are."""


class LastLines(io.StringIO):
    r"""A terminal of a few lines, for a picture that shows them.

    Examples
    --------
    >>> last = LastLines(2)
    >>> print("one", "two", "three", sep="\n", file=last)
    >>> list(last.lines)
    ['two', 'three']
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=count)

    def write(self, text: str) -> int:
        """Keep the lines of the text, empty ones left out."""
        self.lines.extend(filter(None, text.splitlines()))
        return len(text)

    def isatty(self) -> bool:
        """Say yes: people read it."""
        return True


def _tell(moment: Moment, rate: float) -> str:
    minutes, seconds = divmod(int(moment.seconds), 60)
    return (
        f"{minutes:02d}:{seconds:02d}   {rate:,.0f} readings a second   "
        f"{moment.compared:,} of {moment.readings:,} compared   "
        f"largest error {moment.largest_error:.4f}"
    )
