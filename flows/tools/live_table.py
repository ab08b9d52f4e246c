"""The live table: a line a group, as a person watches a run of the demo."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from flows.tools.figures import GroupLine

__all__ = ["LiveTable"]

HISTORY = 20
"""Glimpses of a group's surprise that are shown, the newest on the right."""

BARS = "▁▂▃▄▅▆▇█"
"""From a surprise of 0 to one of 2, twice what is unusual."""

FOUND, UNKNOWN = 0.05, 0.5
"""Distances below which the planted dictionary is found, and from which nothing of it is known."""

CALM, NOTICE, ALARM = "green", "yellow", "bold red"


class LiveTable:
    """Draws groups; remembers a little of their surprise, to show where it goes.

    Parameters
    ----------
    tolerance : float
        Promised for the error of a reading.
    """

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._surprises: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=HISTORY))

    def glimpse(self, groups: Mapping[str, GroupLine]) -> None:
        """Remember how surprised each group is now."""
        for name, line in groups.items():
            if line.surprise is not None:
                self._surprises[name].append(line.surprise)

    def draw(
        self, groups: Mapping[str, GroupLine], headlines: Iterable[str], events: Iterable[str]
    ) -> Group:
        """Return the table, with headlines above and the latest events below it."""
        legend = Text.assemble(
            ("error", "bold"), f" of decoded readings, {self._tolerance:g} at most   ",
            ("density", "bold"), " atoms a value   ",
            ("distance", "bold"), " to the planted dictionary\n",
            ("surprise", "bold"), " above 1 is unusual   ",
            ("Ctrl-C", "bold"), " ends", style="dim",
        )  # fmt: skip
        return Group(
            *(_line(headline, "bold") for headline in headlines),
            self._table(groups),
            legend,
            *(_line(event, "yellow") for event in events),
        )

    def _table(self, groups: Mapping[str, GroupLine]) -> Table:
        table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
        table.add_column("group", no_wrap=True, overflow="ellipsis", min_width=16, max_width=24)
        for name in ("readings", "version", "error", "density", "distance", "surprise"):
            table.add_column(name, justify="right", no_wrap=True, min_width=8)
        table.add_column("", no_wrap=True, width=HISTORY)
        simulated = sorted(name for name, line in groups.items() if line.distance is not None)
        others = sorted(groups.keys() - set(simulated))
        for section in (simulated, others):
            for name in section:
                table.add_row(name, *self._cells(name, groups[name]))
            table.add_section()
        return table

    def _cells(self, name: str, line: GroupLine) -> Iterator[Text | str]:
        yield f"{line.readings:,}"
        yield str(line.version)
        yield Text(f"{line.error:.3f}", style=CALM if line.error <= self._tolerance else ALARM)
        yield f"{line.density:.2f}"
        yield _distance(line.distance)
        yield _surprise(line.surprise)
        yield _spark(self._surprises[name])


def _line(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _distance(distance: float | None) -> Text:
    if distance is None:
        return Text("")
    style = CALM if distance <= FOUND else NOTICE if distance < UNKNOWN else ""
    return Text(f"{distance:.3f}", style=style)


def _surprise(surprise: float | None) -> Text:
    if surprise is None:
        return Text("…", style="dim")
    return Text(f"{surprise:.2f}", style=ALARM if surprise > 1 else "")


def _spark(surprises: Iterable[float]) -> Text:
    highest = len(BARS) - 1
    spark = Text()
    for surprise in surprises:
        bar = BARS[min(highest, int(surprise / 2 * len(BARS)))]
        spark.append(bar, style=ALARM if surprise > 1 else "blue")
    return spark
