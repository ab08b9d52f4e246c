"""``oodl check``: would the pipeline run as it is set up here? Each problem with its remedy."""

import json as json_text
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.settings import SettingsError, load
from flows.tools.checks import SETTINGS, Looked, look
from flows.tools.checks.findings import of_error

__all__ = ["as_json", "check", "table"]

MARKS = {"fine": ("ok", "green"), "problem": ("problem", "bold red"),
         "advice": ("advice", "yellow"), "unknown": ("unknown", "cyan")}  # fmt: skip


def check(*, settings: Path | None = None, json: bool = False) -> int:
    """See whether the pipeline would run here as it is set up, without changing anything.

    Looks at the settings, the broker with its rights, topics, consumer group and clock, and at this
    host: recovery folder, disk, metrics port. Run it as the user that the pipeline runs as. Ends
    with 1 when there is a problem; advice, and what could not be looked at, does not count as one.

    Parameters
    ----------
    settings
        TOML file; without it the defaults and the environment hold.
    json
        Print one JSON object with all findings.

    Examples
    --------
    Before the first start, and whenever something is odd:
    $ oodl check --settings oodl.toml
    What has to be mended, for a script:
    $ oodl check --settings oodl.toml --json
    """
    done = _look(settings)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if json:
        looked = list(done)
        console.out(json_text.dumps(as_json(looked)), highlight=False)
    elif console.is_terminal:
        with console.status("looking"):
            looked = list(done)
        Console(highlight=False).print(table(looked))
    else:
        looked = []
        for each in done:
            looked.append(each)
            for line in _lines(each):
                console.print(line)
    return int(_has_problem(looked))


def as_json(looked: Iterable[Looked]) -> dict[str, Any]:
    """Return everything that was looked at, by name."""
    done = list(looked)
    checks = [
        {
            "check": each.check.name,
            "grade": _grade(each),
            "findings": [
                {
                    "grade": finding.grade,
                    "place": finding.place,
                    "told": finding.told,
                    "remedy": finding.remedy,
                }
                for finding in each.findings
            ],
        }
        for each in done
    ]
    return {"ok": not _has_problem(done), "checks": checks}


def table(looked: Iterable[Looked]) -> Table:
    """Draw what was looked at, each finding with its remedy below it."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("", "check", "what was found"):
        shown.add_column(name, no_wrap=name != "what was found")
    for each in looked:
        if not each.findings:
            shown.add_row(Text("ok", MARKS["fine"][1]), each.check.name, Text(each.check.fine))
        for number, finding in enumerate(each.findings):
            mark, style = MARKS[finding.grade]
            told = Text.assemble((finding.place, "bold"), f": {finding.told}")
            told.append(f"\n→ {finding.remedy}", "green" if finding.grade != "unknown" else "dim")
            shown.add_row(Text(mark, style), each.check.name if not number else "", told)
    return shown


def _look(path: Path | None) -> Iterator[Looked]:
    try:
        chosen = load(path)
    except SettingsError as problems:
        yield Looked(SETTINGS, tuple(of_error(problems)))
        return
    yield from look(chosen)


def _lines(each: Looked) -> Iterator[str]:
    if not each.findings:
        yield f"ok       {each.check.name}: {each.check.fine}"
    for finding in each.findings:
        yield f"{finding.grade:8} {each.check.name}: {finding}"


def _grade(each: Looked) -> str:
    """Name the gravest of what was found."""
    grades = {finding.grade for finding in each.findings}
    return next((grade for grade in ("problem", "advice", "unknown") if grade in grades), "fine")


def _has_problem(looked: Iterable[Looked]) -> bool:
    return any(_grade(each) == "problem" for each in looked)
