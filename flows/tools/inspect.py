"""``oodl inspect``: what each group does now, and what one of them has learned."""

import json as json_text
from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console, RenderableType

from flows.settings import Settings, load
from flows.tables import iso_time
from flows.tools.inspect_atoms import Ranked, atoms_of
from flows.tools.inspect_group import Page, history, page, version_of
from flows.tools.inspect_rows import Order, Row, ordered, row_of, rows_of
from flows.tools.inspect_sources import Seen, look
from flows.tools.inspect_table import headline, table, troubles
from flows.tools.output import standard_output
from oodl.coding import Tolerance
from oodl.errors import OodlError, ValueFault

__all__ = ["as_json", "inspect", "one_as_json", "page_of"]

SHOWN = 20  # groups
NEWEST = 100_000  # messages of codes, fetched and read in about a second
Sort = Order | Ranked
Json = dict[str, Any]


class UnknownGroupError(OodlError, LookupError):
    """A group of which there is neither a dictionary nor a code."""


def inspect(
    *,
    group: str | None = None,
    sort: Sort | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = SHOWN,
    everything: Annotated[bool, Parameter(name="--all")] = False,
    newest: Annotated[int, Parameter(validator=Number(gte=1))] = NEWEST,
    json: bool = False,
    settings: Path | None = None,
) -> None:
    """Show what each group does now, those first that are most unlike their past.

    Versions come from the topic of dictionaries; error, density, surprise and last reading from the
    newest codes; lag, of a group's partition, from what the pipeline has committed, an epoch or two
    late by itself; sizes of states from the recovery folder, where it is here; and how the pipeline
    does from /healthz. What cannot be reached is said.

    Parameters
    ----------
    group
        One group: its dictionary, as bars, what it is learned from and how it changed. With * or ?
        those groups of the table whose names fit.
    sort
        By what the table is sorted, the worst first: surprise unless said otherwise; of one group
        its atoms, by how often they are used or by their energy.
    limit
        Groups that are shown.
    everything
        Show all groups; of one group all atoms, channels and versions.
    newest
        Messages of codes to go back, over all partitions.
    json
        Print one JSON object a group instead of the table; of one group one object.
    settings
        TOML file that says where the broker is; without it the defaults and the environment hold.

    Examples
    --------
    The groups, the most surprised first, or those furthest behind:
    $ oodl inspect --settings oodl.toml
    $ oodl inspect --settings oodl.toml --sort lag --limit 5
    What one of them has learned:
    $ oodl inspect --group press-1 --settings oodl.toml
    All presses, for a program:
    $ oodl inspect --group "press-*" --json --settings oodl.toml
    """
    one = group is not None and not any(sign in group for sign in "*?[")
    _check_sort(sort, one=one)
    chosen = load(settings)
    seen = look(chosen, newest, group if one else None)
    console = Console(highlight=False)
    if group is not None and one:
        told = page_of(seen, group, "energy" if sort == "energy" else "used")
        shown: Iterable[RenderableType] = [page(told, everything=everything)]
        objects = [one_as_json(told)]
    else:
        rows = ordered(_meant(seen, group), cast(Order, sort or "surprise"))
        listed = rows if everything else rows[:limit]
        order = sort or "surprise"
        listing = table(listed, len(rows), order, _bound(chosen), console.width)
        shown = [headline(seen, rows), listing]
        objects = [as_json(row) for row in rows]
    if json:
        with standard_output() as out:
            out.writelines(f"{json_text.dumps(each)}\n" for each in objects)
        console = Console(stderr=True, highlight=False)
    for part in () if json else shown:
        console.print(part)
    for trouble in troubles(seen):
        console.print(trouble, soft_wrap=True)


def page_of(seen: Seen, group: str, ranked: Ranked) -> Page:
    """Gather what is told of one group.

    Raises
    ------
    UnknownGroupError
        If nothing is known of it.
    """
    current = seen.current(group)
    if current is None:
        known = seen.versions.keys() | seen.recent.keys()
        near = get_close_matches(group, known, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "`oodl inspect --all` lists them"
        got = "codes alone, of a dictionary that is gone" if group in known else "none"
        msg = f"--group: expected a group with a dictionary, got {group!r}, with {got}; {remedy}"
        raise UnknownGroupError(msg)
    version = version_of(current)
    return Page(
        row_of(seen, group),
        version,
        atoms_of(version, seen.codes, ranked),
        history(seen.versions[group]),
        sum(code.id == version.id for code in seen.codes),
    )


def as_json(row: Row) -> Json:
    """Return a row as a JSON object; times in ISO 8601."""
    told = {name: _rounded(value) for name, value in msgspec.to_builtins(row).items()}
    told["last_reading"] = None if row.last_reading is None else iso_time(row.last_reading)
    del told["surprises"]
    return told


def one_as_json(told: Page) -> Json:
    """Return all that is told of a group as a JSON object."""
    version = told.version
    figures = zip(version.channels, version.mean.tolist(), version.scale.tolist(), strict=True)
    published = [
        msgspec.to_builtins(each) | {"published": iso_time(each.published)}
        for each in told.versions
    ]
    return as_json(told.row) | {
        "window": version.window,
        "usual": version.usual,
        "limit": version.limit,
        "codes": told.codes,
        "channels": [{"name": name, "mean": a, "scale": b} for name, a, b in figures],
        "atoms": [msgspec.to_builtins(atom) for atom in told.atoms],
        "versions": published,
    }


def _check_sort(sort: Sort | None, *, one: bool) -> None:
    """Refuse an order that what is shown has not."""
    if sort is not None and (sort in get_args(Ranked)) != one:
        orders = get_args(Ranked if one else Order)
        what = "the atoms of one group" if one else "groups"
        msg = f"--sort: expected one of {', '.join(orders)} for {what}, got {sort}; take one"
        raise ValueFault(msg)


def _meant(seen: Seen, pattern: str | None) -> list[Row]:
    """Return the rows of groups whose names fit.

    Raises
    ------
    UnknownGroupError
        If some are asked for and none is there.
    """
    rows = rows_of(seen)
    meant = [row for row in rows if fnmatchcase(row.group, pattern or "*")]
    if pattern is not None and not meant:
        msg = (
            f"--group: expected a pattern of groups, got {pattern!r}, which fits none of the "
            f"{len(rows):,}; `oodl inspect --all` lists them"
        )
        raise UnknownGroupError(msg)
    return meant


def _bound(settings: Settings) -> float | None:
    """Return what all groups' errors keep below, where that is one number."""
    rules = {settings.coding.rule} | {
        settings.for_group(pattern).coding.rule for pattern in settings.groups.patterns
    }
    bounds = {rule.tolerance if isinstance(rule, Tolerance) else None for rule in rules}
    return bounds.pop() if len(bounds) == 1 else None


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
