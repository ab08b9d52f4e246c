"""``oodl dead-letters``: what could not be read: list it, explain one, send it again."""

import json as json_text
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.text import Text

from flows import access
from flows.kafka import StopFlag, admit, client_options
from flows.settings import Settings, load
from flows.tools.interrupting import STOPPED, interruptible
from flows.tools.letter_box import LetterBox
from flows.tools.letter_report import as_json, explained, newest, table, tally
from flows.tools.letters import Letter, Note, Selection, position, shown
from flows.tools.progress import progress
from flows.tools.send_again import Judge, Resender
from flows.wire import Reason
from oodl.errors import ValueFault

__all__ = ["app", "explain", "list_letters", "send_again"]

VERDICTS = {
    "sent": "sent again",
    "already": "were sent again before (--force sends them once more)",
    "too-often": "came back after they were sent again (--most, --force)",
    "unreadable": "would be refused again by these settings (--force)",
    "not-whole": "were cut, and where they came from they are gone",
    "elsewhere": "came from another topic than topics.readings",
}

app = App(
    name="dead-letters",
    help="What could not be read, or written: list it, explain one, send it again after a fix.",
    help_format="markdown",
    default_parameter=Parameter(negative=()),
)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Which:
    """Which letters are meant.

    Parameters
    ----------
    reason
        Only those with this reason; may be given several times.
    group
        Only those of groups whose name fits this pattern.
    since
        Only those written since then (ISO 8601; UTC without a zone).
    until
        Only those written until then.
    """

    reason: list[Reason] | None = None
    group: str | None = None
    since: Annotated[datetime | None, Parameter(name="--from")] = None
    until: Annotated[datetime | None, Parameter(name="--to")] = None

    @property
    def selection(self) -> Selection:
        """The same, ready to be asked."""
        return Selection(tuple(self.reason or ()), self.group, self.since, self.until)


ALL = Which()


@app.command(name="list")
def list_letters(which: Which = ALL, *, settings: Path | None = None, json: bool = False) -> None:
    """Show how many there are of each reason, since when, and an example.

    Parameters
    ----------
    settings
        TOML file that says where the broker is; without it the defaults and the environment hold.
    json
        Print one JSON object a reason instead of a table.

    Examples
    --------
    What could not be read, by reason:
    $ oodl dead-letters list --settings oodl.toml
    Of some groups since a day, as JSON:
    $ oodl dead-letters list --group "press-*" --from 2026-11-24 --json
    """
    chosen = load(settings)
    admit(chosen.kafka, access.to_see_letters(chosen))
    with _opened(chosen) as box, progress("reading", "messages") as tell:
        found = tally(box.scan(which.selection.first, tell), which.selection)
    if json:
        for reason, tallied in found.items():
            _print_json(as_json(reason, tallied))
    elif found:
        _console().print(table(found))
    else:
        _console().print("no dead letters", markup=False)


@app.command
def explain(
    letter: Annotated[str | None, Parameter(show_default=False)] = None,
    /,
    which: Which = ALL,
    *,
    settings: Path | None = None,
    json: bool = False,
) -> None:
    """Show one letter in full: what was expected, what came, and what helps.

    Parameters
    ----------
    letter
        Its position, as the list shows it, such as 0/17; by default the newest that is meant.
    settings
        TOML file that says where the broker is; without it the defaults and the environment hold.
    json
        Print a JSON object.

    Examples
    --------
    The newest one, or the one at a position:
    $ oodl dead-letters explain --settings oodl.toml
    $ oodl dead-letters explain 0/0 --settings oodl.toml
    """
    chosen = load(settings)
    admit(chosen.kafka, access.to_see_letters(chosen))
    with _opened(chosen) as box, progress("reading", "messages") as tell:
        if letter is not None:
            found = box.letter(*position(letter))
        else:
            found = newest(box.scan(which.selection.first, tell), which.selection)
        notes = [
            each for each in box.scan(found.written)
            if isinstance(each, Note) and each.of == (found.at.partition, found.at.offset)
        ]  # fmt: skip
    told = explained(found, notes, chosen)
    if json:
        _print_json(told)
        return
    console = _console()
    for name, value in told.items():
        for line in value if isinstance(value, list) else [value]:
            console.print(Text(f"{name:<12}{shown(str(line))}"), soft_wrap=True)


@app.command
def send_again(
    *letters: str,
    which: Which = ALL,
    settings: Path | None = None,
    everything: Annotated[bool, Parameter(name="--all")] = False,
    most: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
    force: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Send messages again once what was wrong is mended: to the topic and partition they came from.

    A message carries how often it was sent again, and a note beside its letter says that it was. So
    neither a message that stays bad nor this command, repeated, goes round for ever. Ctrl-C ends it
    after what is on its way; the next call goes on from there.

    Parameters
    ----------
    letters
        Positions, as the list shows them, such as 0/17.
    settings
        TOML file that says where the broker is; without it the defaults and the environment hold.
        What these settings would refuse again is not sent.
    everything
        Send all, when nothing says which are meant.
    most
        A message that came back after it was sent again so often is not sent once more.
    force
        Send also what was sent before, came back too often, or would be refused again.
    dry_run
        Only tell what would be done.
    json
        Print a JSON object.

    Examples
    --------
    What would be sent again, once the settings are mended:
    $ oodl dead-letters send-again --all --dry-run --settings oodl.toml
    Those of one reason:
    $ oodl dead-letters send-again --reason length --settings oodl.toml
    """
    wanted = {position(each) for each in letters}
    if not (wanted or which.selection or everything):
        msg = "dead-letters send-again: expected which letters, got none; name some, or take --all"
        raise ValueFault(msg)
    chosen = load(settings)
    admit(chosen.kafka, access.to_see_letters(chosen) if dry_run else access.to_resend(chosen))
    with interruptible() as stop, _opened(chosen) as box, _opened(chosen) as other:
        with progress("looking for notes", "messages") as tell:
            notes = {each.of for each in box.scan(None, tell) if isinstance(each, Note)}
        judge = Judge(chosen, other.fetch, most, force)
        with progress("sending again", "messages") as tell:
            letters_meant = _meant(box.scan(which.selection.first, tell), which, wanted, stop)
            counts = _send(letters_meant, judge, notes, None if dry_run else chosen)
    _tell(counts, dry_run=dry_run, json=json, stopped=bool(stop))
    return STOPPED if stop else 0


def _meant(
    found: Iterable[Letter | Note], which: Which, wanted: set[tuple[int, int]], stop: StopFlag
) -> Iterator[Letter]:
    """Yield the letters that are meant, until Ctrl-C."""
    for each in found:
        if stop:
            return
        if not isinstance(each, Letter) or not which.selection.fits(each):
            continue
        if not wanted or (each.at.partition, each.at.offset) in wanted:
            yield each


def _send(
    letters: Iterable[Letter],
    judge: Judge,
    notes: set[tuple[int, int]],
    chosen: Settings | None,
) -> dict[str, int]:
    """Send what is worth it, or only judge where no settings are given; count what became of it."""
    counts = dict.fromkeys(VERDICTS, 0)
    resender = None if chosen is None else Resender(client_options(chosen), chosen)
    try:
        for letter in letters:
            noted = (letter.at.partition, letter.at.offset) in notes
            verdict, value = judge(letter, noted=noted)
            counts[verdict] += 1
            if resender is not None and verdict == "sent":
                resender.send(letter, value)
        if resender is not None:
            resender.settle()
    finally:
        if resender is not None:
            resender.close()
    return counts


def _tell(counts: dict[str, int], *, dry_run: bool, json: bool, stopped: bool) -> None:
    if json:
        _print_json({**counts, "dry_run": dry_run, "stopped": stopped})
        return
    console = _console()
    for verdict, meaning in VERDICTS.items():
        if counts[verdict] or verdict == "sent":
            told = "would be sent again" if dry_run and verdict == "sent" else meaning
            console.print(f"{counts[verdict]:,} {told}", markup=False)
    if stopped:
        console.print("stopped by Ctrl-C; the next call goes on from here", markup=False)


def _opened(settings: Settings) -> LetterBox:
    return LetterBox(client_options(settings), settings.topics.dead_letters)


def _print_json(told: dict[str, Any]) -> None:
    _console().print(Text(json_text.dumps(told)), soft_wrap=True)


def _console() -> Console:
    return Console(highlight=False)
