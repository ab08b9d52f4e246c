"""One group for people: its facts, its atoms as bars, its channels, and how it came to that."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from flows.tables import iso_time
from flows.tools.inspect_atoms import Atom, Part
from flows.tools.inspect_rows import Row
from flows.tools.inspect_sources import Published
from flows.tools.inspect_table import age, kilobytes, spark, surprise_told
from flows.tools.letters import shown
from flows.wire import decode_dictionary, to_version
from oodl.coding import Version
from oodl.distance import distance

__all__ = ["History", "Page", "history", "page", "version_of"]

ATOMS, CHANNELS, SAMPLES, VERSIONS = 6, 8, 4, 6  # lines that are shown unless all are asked for
HALF, FULL = 9, 10  # characters of a bar to either side, and of one to the right
CURVE = 32  # characters of a curve
LEVELS = "▁▂▃▄▅▆▇█"
SHARES = " ▏▎▍▌▋▊▉█"
UP, DOWN, FAINT = "cyan", "magenta", "dim"


class History(msgspec.Struct):
    """A version as it came to be.

    Attributes
    ----------
    published : float
        When the broker took it, in seconds.
    partition, offset : int
        Learned up to there.
    turned : float or None
        How far its atoms are from those of the version before, from 0 to 1; None where there is
        none to compare it with.
    """

    version: int
    id: str
    published: float
    partition: int
    offset: int
    usual: int
    limit: float | None
    restart: bool
    turned: float | None


class Page(msgspec.Struct):
    """All that is told of a group."""

    row: Row
    version: Version
    atoms: list[Atom]
    versions: list[History]
    codes: int


def version_of(published: Published) -> Version:
    """Return the version itself.

    Raises
    ------
    WireError
        If its message does not bear out its name.
    """
    return to_version(decode_dictionary(published.value))


def history(versions: Sequence[Published]) -> list[History]:
    """Tell how versions followed one another, the oldest first."""
    found: list[History] = []
    before: Version | None = None
    for each in versions:
        version, head = version_of(each), each.head
        same = before is not None and before.channels == version.channels
        turned = None
        if before is not None and same and before.number and before.window == version.window:
            turned = distance(version.dictionary, before.dictionary)
        said = (head.version, head.id, each.stamp, head.partition, head.offset, head.usual)
        found.append(History(*said, head.limit, head.restart, turned))
        before = version
    return found


def page(told: Page, *, everything: bool) -> Group:
    """Draw a group; everything, or what matters most of it."""
    return Group(
        _title(told.row),
        _facts(told),
        "",
        _atoms(told, len(told.atoms) if everything else ATOMS),
        "",
        _channels(told.version, len(told.version.channels) if everything else _few(told)),
        "",
        _versions(told.versions, len(told.versions) if everything else VERSIONS),
    )


def _few(told: Page) -> int:
    """Of samples a few are like the others."""
    return SAMPLES if any(atom.curve for atom in told.atoms) else CHANNELS


def _title(row: Row) -> Text:
    return Text.assemble(
        (shown(row.group), "bold"), "   version ", (str(row.version), "bold"), "   surprise ",
        surprise_told(row.surprise), " ", spark(row.surprises, 32),
    )  # fmt: skip


def _facts(told: Page) -> Table:
    row, version, last = told.row, told.version, told.versions[-1]
    usual = f"{version.usual} of {row.numbers} atoms"
    if version.limit is not None:
        usual += f", limit {version.limit:.3f}"
    window = f", windows of {version.window} readings" if version.window > 1 else ""
    facts = {
        "channels": f"{len(version.channels)}{window}",
        "usual": usual,
        "density": "" if row.density is None else f"{row.density:.2f} atoms a value",
        "error": "" if row.error is None else f"{row.error:.3f} deviations",
        "last reading": age(row.last_reading),
        "lag": "" if row.lag is None else f"{row.lag:,} readings in partition {row.partition}",
        "state": kilobytes(row.state_bytes),
        "learned up to": f"partition {last.partition}, offset {last.offset:,}",
        "id": version.id,
    }
    known = [(name, fact) for name, fact in facts.items() if fact]
    half = -(-len(known) // 2)
    grid = Table.grid(padding=(0, 3, 0, 0))
    for left, right in zip(known[:half], [*known[half:], ("", "")], strict=False):
        grid.add_row(*(Text(cell, style=FAINT) if place % 2 == 0 else Text(cell)
                       for place, cell in enumerate((*left, *right))))  # fmt: skip
    return grid


def _atoms(told: Page, most: int) -> Table:
    grid = _grid("what moves together")
    grid.title = Text(f"atoms, by {told.codes:,} codes of this version", style="bold")
    for name in ("atom", "used"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("", no_wrap=True, width=FULL)
    grid.add_column("energy", justify="right", no_wrap=True)
    curved = any(atom.curve for atom in told.atoms)
    windows = told.version.window > 1
    grid.add_column("over the reading" if curved else "moves together", no_wrap=True)
    if not curved:
        grid.add_column("over the window" if windows else "", no_wrap=True)
        grid.add_column("", justify="right", no_wrap=True)
    for atom in told.atoms[:most]:
        for first, cells in _lines(atom):
            grid.add_row(*(_uses(atom) if first else [""] * 4), *cells)
        grid.add_section()
    if len(told.atoms) > most:
        grid.caption = f"{most} of {len(told.atoms)} atoms; --all shows all"
    return grid


def _lines(atom: Atom) -> Iterator[tuple[bool, list[Text | str]]]:
    if atom.curve:
        yield True, [_curve(atom.curve)]
        return
    for place, part in enumerate(atom.channels):
        bar = _curve(part.shape) if part.shape else _signed(part.weight)
        yield place == 0, [Text(shown(part.channel)), bar, _weight(part)]


def _uses(atom: Atom) -> list[Text | str]:
    if atom.used is None or atom.energy is None:
        return [str(atom.atom), "…", "", "…"]
    return [str(atom.atom), f"{atom.used:.0%}", _share(atom.used), f"{atom.energy:.0%}"]


def _share(share: float) -> Text:
    """Draw a share as a bar, in eighths of a character."""
    eighths = round(share * FULL * 8)
    return Text("█" * (eighths // 8) + SHARES[eighths % 8].strip(), style="blue")


def _signed(weight: float) -> Text:
    """Draw a number from -1 to 1 to the left or to the right of a middle."""
    halves = round(abs(weight) * HALF * 2)
    if weight < 0:
        bar = ("▐" if halves % 2 else "") + "█" * (halves // 2)
        return Text.assemble((f"{bar:>{HALF}}", DOWN), ("│", FAINT), " " * HALF)
    bar = "█" * (halves // 2) + ("▌" if halves % 2 else "")
    return Text.assemble(" " * HALF, ("│", FAINT), (f"{bar:<{HALF}}", UP))


def _curve(values: Sequence[float]) -> Text:
    """Draw numbers around 0, which is in the middle."""
    points = np.asarray(values)
    if len(points) > CURVE:
        points = np.array([piece[np.argmax(abs(piece))] for piece in np.array_split(points, CURVE)])
    most = abs(points).max() or 1.0
    levels = np.round((points / most + 1) / 2 * (len(LEVELS) - 1)).astype(int)
    return Text("".join(LEVELS[level] for level in levels), style=UP)


def _weight(part: Part) -> Text:
    return Text(f"{part.weight:.2f}" if part.shape else f"{part.weight:+.2f}", style=FAINT)


def _channels(version: Version, most: int) -> Table:
    grid = _grid("channels")
    grid.add_column("channel", no_wrap=True)
    grid.add_column("mean", justify="right", no_wrap=True)
    grid.add_column("scale", justify="right", no_wrap=True)
    figures = zip(version.channels, version.mean.tolist(), version.scale.tolist(), strict=True)
    for name, mean, scale in [*figures][:most]:
        grid.add_row(Text(shown(name)), f"{mean:.5g}", f"{scale:.3g}")
    if len(version.channels) > most:
        grid.caption = f"{most} of {len(version.channels)} channels; --all shows all"
    return grid


def _versions(versions: Sequence[History], most: int) -> Table:
    grid = _grid("versions, the newest first")
    for name in ("version", "id", "published", "learned up to", "usual", "limit", "turned"):
        grid.add_column(name, justify="left" if name == "id" else "right", no_wrap=True)
    for each in list(reversed(versions))[:most]:
        turned = "anew" if each.restart else "" if each.turned is None else f"{each.turned:.3f}"
        grid.add_row(
            str(each.version), each.id, iso_time(round(each.published))[:-1].replace("T", " "),
            f"{each.partition}/{each.offset:,}", str(each.usual),
            "" if each.limit is None else f"{each.limit:.3f}", turned,
        )  # fmt: skip
    if len(versions) > most:
        grid.caption = f"{most} of {len(versions)} versions that the topic has; --all shows all"
    return grid


def _grid(title: str) -> Table:
    return Table(
        box=SIMPLE_HEAD, title=Text(title, style="bold"), title_justify="left",
        header_style=FAINT, pad_edge=False, collapse_padding=True,
    )  # fmt: skip
