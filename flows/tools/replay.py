"""``oodl replay``: a file, or what a topic holds, sent to the readings topic as if it came now."""

import math
import time
from collections.abc import Iterable
from contextlib import ExitStack
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from cyclopts import Parameter
from rich.console import Console

from flows import access
from flows.kafka import admit, client_options
from flows.settings import Settings, load
from flows.tables import Columns, iso_time, open_table
from flows.tools.bounds import Bound, bound
from flows.tools.interrupting import STOPPED, interruptible
from flows.tools.pace import paced
from flows.tools.progress import progress
from flows.tools.recorded import Recorded, Recording
from flows.tools.recorded_file import FileRecording
from flows.tools.recorded_topic import TopicRecording
from flows.tools.replayer import Replayer
from flows.tools.shift import Shift
from oodl.errors import OodlError, ValueFault

__all__ = ["replay"]

Names = Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)]
Speed = float | Literal["max"]


class NothingToReplayError(OodlError, LookupError):
    """Neither a file nor a topic of that name is there."""


def replay(
    source: str,
    /,
    *,
    speed: Speed = 1.0,
    since: Annotated[str | None, Parameter(name="--from")] = None,
    until: Annotated[str | None, Parameter(name="--to")] = None,
    now: bool = False,
    into_itself: bool = False,
    group_column: Names = None,
    time_column: str | None = None,
    channels: Names = None,
    ignore: Names = None,
    settings: Path | None = None,
) -> int:
    """Send a CSV file, or the messages that a topic holds, to the readings topic.

    In the time they took, some times faster, or as fast as it goes. Messages of a topic keep key,
    value, headers and time stamp (what is older than the readings topic keeps, its broker deletes
    soon), and their partition where both topics have as many. Each gets a header `oodl-replayed`
    that names where it was. Ctrl-C ends it after what is on its way, and tells where to go on.

    Parameters
    ----------
    source
        CSV file, read as `oodl try` reads it, or a topic; one that is both is the file.
    speed
        How many times faster than it was, by the readings' times in a file and by the messages' own
        in a topic; max: as fast as it goes, a file then in its own order.
    since
        Begin at a time (ISO 8601, UTC without a zone), a row of the file or an offset of each
        partition.
    until
        End before a time, a row or an offset; in any case where the source ends now.
    now
        Move the times to when they are sent: those of messages, and `ts` inside of them.
    into_itself
        Let the topic be the readings topic itself: what is there now is sent once more.
    group_column
        Of a file: column that names the machine; several, with commas, are joined by "/".
    time_column
        Of a file: column of the time; by default the first one that holds times.
    channels
        Of a file: columns to take as channels; by default all that hold numbers.
    ignore
        Of a file: columns to leave out.
    settings
        TOML file that says where the broker is and what the topic is called; without it the
        defaults and the environment hold.

    Examples
    --------
    A file, as fast as it goes:
    $ oodl replay docs/examples/pumps.csv --group-column pump --speed max --settings oodl.toml
    A part of it as if it happened now, a thousand times faster:
    $ oodl replay docs/examples/bearing.csv --from 2026-03-02T08:10 --now --speed 1000
    What came to another topic within an hour:
    $ oodl replay plant.archive --from 2026-03-02T08:00 --to 2026-03-02T09:00 --speed max
    """
    pace = _pace(speed, now=now)
    meant = _Meant(
        source,
        Columns(group_column or (), time_column, channels or (), ignore or ()),
        bound("--from", since),
        bound("--to", until),
    )
    chosen = load(settings)
    with interruptible() as stop:
        with ExitStack() as held:
            if Path(source).is_file():
                admit(chosen.kafka, access.to_replay(chosen)).require(readings=_target(chosen))
                recording: Recording = _of_file(meant, by_time=pace < math.inf)
            else:
                recording = held.enter_context(_of_topic(meant, chosen, into_itself=into_itself))
            replayer = held.enter_context(Replayer(client_options(chosen), _target(chosen)))
            shift = Shift(chosen) if now else None
            last = _send(recording, replayer, paced(recording, pace, stop.__bool__), shift)
        _tell(recording, replayer, _target(chosen))
        if stop:
            _tell_where(last, by_row=pace == math.inf and isinstance(recording, FileRecording))
        return STOPPED if stop else 0


class _Meant(NamedTuple):
    """What is to be replayed."""

    source: str
    columns: Columns
    since: Bound | None
    until: Bound | None


def _target(settings: Settings) -> str:
    return settings.topics.readings


def _pace(speed: Speed, *, now: bool) -> float:
    pace = math.inf if speed == "max" else float(speed)
    if not pace > 0:
        msg = f"--speed: expected a number above 0, or max, got {speed}; 1 is as fast as it was"
        raise ValueFault(msg)
    if now and pace == math.inf:
        msg = "--now: expected --speed with a number, got max; the times between readings follow it"
        raise ValueFault(msg)
    return pace


def _of_file(meant: _Meant, *, by_time: bool) -> FileRecording:
    table = open_table(Path(meant.source), meant.columns)
    for name, end in (("--from", meant.since), ("--to", meant.until)):
        if table.time is None and end is not None and end.time is not None:
            msg = f"{name}: expected a row of {table.path}, got a time; no column of it holds times"
            raise ValueFault(msg)
    with progress("looking at the file", "rows") as tell:
        return FileRecording(table, meant.since, meant.until, by_time=by_time, tell=tell)


def _of_topic(meant: _Meant, settings: Settings, *, into_itself: bool) -> TopicRecording:
    """Open a topic, once it is one that may be replayed.

    Raises
    ------
    NothingToReplayError
        If there is neither a file nor a topic of that name.
    ValueFault
        If something is asked for that no topic has, or the topic is that of readings.
    """
    topic, target = meant.source, _target(settings)
    cluster = admit(settings.kafka, access.to_replay(settings))
    if topic not in cluster.partitions:
        near = get_close_matches(topic, cluster.partitions, n=1)
        remedy = f"did you mean the topic {near[0]!r}?" if near else "name one that is there"
        msg = f"replay: expected a file or a topic, got {topic!r}, which is neither; {remedy}"
        raise NothingToReplayError(msg)
    cluster.require(readings=target)
    if topic == target and not into_itself:
        msg = (
            f"replay: expected another topic than the readings' own, got {topic}; "
            "--into-itself sends what it holds now once more"
        )
        raise ValueFault(msg)
    if meant.columns != Columns():
        msg = f"replay: expected a file with columns, got the topic {topic}; leave out the columns"
        raise ValueFault(msg)
    admit(settings.kafka, access.to_replay(settings, topic))
    partitions = cluster.partitions[target]
    return TopicRecording(
        client_options(settings), topic, meant.since, meant.until, partitions=partitions
    )


def _send(
    recording: Recording,
    replayer: Replayer,
    coming: Iterable[tuple[float, Recorded]],
    shift: Shift | None,
) -> Recorded | None:
    """Send what comes, and return the last message that was handed on."""
    last, begun, total = None, time.time(), len(recording)
    with progress("replaying", "messages") as tell:
        for due, message in coming:
            replayer.send(message if shift is None else _now(message, begun + due, shift))
            last = message
            tell(replayer.sent, total)
    return last


def _now(message: Recorded, moment: float, shift: Shift) -> Recorded:
    value, headers = shift(moment - message.time, message.value, message.headers)
    stamp = None if message.stamp is None else moment
    return message._replace(value=value, headers=headers, stamp=stamp)


def _tell(recording: Recording, replayer: Replayer, topic: str) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    console.print(f"{replayer.sent:,} of {len(recording):,} messages sent to {topic}, confirmed")
    if replayer.left_out:
        console.print(f"{replayer.left_out:,} left out: they had neither key nor value")
    bad = recording.bad if isinstance(recording, FileRecording) else []
    if bad:
        console.print(
            f"{len(bad):,} rows could not be read and were left out, the first in line "
            f"{bad[0].line}: {bad[0].detail}"
        )


def _tell_where(last: Recorded | None, *, by_row: bool) -> None:
    """Say where the next call goes on."""
    told = "stopped by Ctrl-C"
    if last is not None and by_row:
        told += f"; go on with --from {int(last.place.rpartition('/')[2]) + 1}"
    elif last is not None:
        told += f"; go on with --from {iso_time(last.time)}, of which some were sent"
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(told)
