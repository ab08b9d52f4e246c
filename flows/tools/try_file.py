"""``oodl try``: the step of the pipeline over a CSV file, without Kafka.

Every group of the file goes through the same `GroupCoder` and the same messages as in the pipeline;
what the pipeline would write to its topics becomes lines of files in a folder.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
from cyclopts import Parameter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from flows.settings import LARGEST_FRAME
from flows.tables import BadRow, Batch, Columns, Table, TableError, iso_time, open_table, stem
from flows.tools.account import Account
from flows.tools.progress import progress
from flows.wire import encode_codes, encode_dictionary
from oodl.coding import Atoms, Codes, Rule, Tolerance
from oodl.errors import ValueFault
from oodl.rates import Rates
from oodl.stream import Block, GroupCoder, GroupState, Output, Published
from oodl.windows import MAX_GAP

__all__ = ["try_file"]

Floats = npt.NDArray[np.float64]

PARTITION = 0  # a file is one partition, the number of a data row its offset
SHOWN = 20  # groups that the table has a line for
MINUTES = len("2026-03-02T08:43")
BARS = "▁▂▃▄▅▆▇█"  # from a surprise of 0 to one of 2, twice what is unusual
Names = Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)]


def try_file(
    file: Path,
    /,
    *,
    group_column: Names = None,
    time_column: str | None = None,
    channels: Names = None,
    ignore: Names = None,
    tolerance: float | None = None,
    atoms: int | None = None,
    window: int = 1,
    max_gap: float = MAX_GAP,
    rate: Names = None,
    out: Path | None = None,
) -> None:
    """Try a CSV file of sensor readings: codes, dictionaries and surprise, without Kafka.

    Separator, header, decimal comma and time format are found; .gz is read as it is. Rows that
    cannot be read become dead letters and stop nothing.

    Parameters
    ----------
    file
        CSV file: a row a reading, a column a channel.
    group_column
        Column that names the machine; several, repeated or with commas, are joined by "/".
    time_column
        Column of the time; by default the first one that holds times, else the row number.
    channels
        Columns to take as channels, repeated or with commas; by default all that hold numbers.
    ignore
        Columns to leave out, repeated or with commas.
    tolerance
        Largest error of a reading, in standard deviations of its channels; by default 0.1.
    atoms
        Instead of a tolerance: the most numbers a reading is coded with.
    window
        Readings that are coded together, as a frame: what moves together over time.
    max_gap
        Seconds between readings after which a frame is closed early.
    rate
        Patterns of channels that are counters, repeated or with commas: taken as rates a second.
    out
        Folder for the results; by default the file's name with "-oodl".

    Examples
    --------
    A file in which one column names the machine:
    $ oodl try docs/examples/pumps.csv --group-column pump
    One sensor alone, eight readings at a time, so that what it does over time is learned:
    $ oodl try docs/examples/bearing.csv --window 8 --out bearing
    Two channels, coded with one number a reading at most:
    $ oodl try docs/examples/pumps.csv --channels pressure_bar,flow_m3h --atoms 1 --out two
    """
    _check_window(window, max_gap)
    coder = GroupCoder(_rule(tolerance, atoms), window=window, max_gap=max_gap)
    asked = Columns(group_column or (), time_column, channels or (), ignore or ())
    table = open_table(file, asked)
    _check_frames(table, window)
    counters = _counters(table, rate or ())
    folder = out or Path(f"{stem(file)}-oodl")
    runs = _run(table, coder, folder, counters)
    summary = _summary(table, coder.rule, runs) | {"rates": counters}
    written = msgspec.json.format(msgspec.json.encode(summary), indent=2)
    (folder / "summary.json").write_bytes(written + b"\n")
    console = Console(highlight=False)
    if counters:
        console.print(Text(f"rates: {', '.join(counters)}, a second"), soft_wrap=True)
    _tell(console, table, coder, runs, folder)


def _rule(tolerance: float | None, atoms: int | None) -> Rule:
    if tolerance is not None and atoms is not None:
        msg = "tolerance, atoms: expected one of them, got both; leave one out"
        raise ValueFault(msg)
    if atoms is not None:
        return Atoms(atoms)
    return Tolerance() if tolerance is None else Tolerance(tolerance)


def _check_window(window: int, max_gap: float) -> None:
    if not 1 <= window <= LARGEST_FRAME:
        msg = f"window: expected 1 to {LARGEST_FRAME} readings, got {window}; try 8"
        raise ValueFault(msg)
    if not max_gap > 0:
        msg = f"max_gap: expected seconds above 0, got {max_gap:g}; try {MAX_GAP:g}"
        raise ValueFault(msg)


def _check_frames(table: Table, window: int) -> None:
    most = max((len(extent.channels) for extent in table.groups.values()), default=0)
    if most * window > LARGEST_FRAME:
        remedy = "name some with --channels or leave some out with --ignore"
        expected, got = f"at most {LARGEST_FRAME} channels", f"{most}"
        if window > 1:
            expected, got = f"at most {LARGEST_FRAME} numbers a frame", f"{most} x {window}"
            remedy = f"lower --window, or {remedy}"
        msg = f"{table.path}: expected {expected}, got {got}; {remedy}"
        raise TableError(msg)


def _counters(table: Table, patterns: Collection[str]) -> list[str]:
    """Return the channels that are counters; each pattern is for some."""
    asked = [pattern.strip() for text in patterns for pattern in text.split(",")]
    for pattern in asked:
        if not any(fnmatchcase(name, pattern) for name in table.channels):
            found = ", ".join(table.channels)
            msg = f"--rate: expected a pattern of channels, got {pattern!r}; there are {found:.200}"
            raise ValueFault(msg)
    return [name for name in table.channels if any(fnmatchcase(name, pattern) for pattern in asked)]


# The step over the file


class Files:
    """The lines that are written, and how many bytes of each kind."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        names = ("codes", "dictionaries", "dead-letters")
        self._codes, self._dictionaries, self._dead = (
            opened.enter_context((folder / f"{name}.jsonl").open("wb")) for name in names
        )

    def codes(self, lines: list[bytes]) -> int:
        """Write codes, return their bytes."""
        self._codes.writelines(line + b"\n" for line in lines)
        return sum(map(len, lines))

    def dictionary(self, line: bytes) -> int:
        """Write a dictionary, return its bytes."""
        self._dictionaries.write(line + b"\n")
        return len(line)

    def dead_letter(self, row: BadRow) -> None:
        """Write a row that could not be read."""
        self._dead.write(msgspec.json.encode(row._asdict()) + b"\n")


@dataclass(slots=True)
class GroupRun:
    """A group on its way through the file."""

    name: str
    places: list[int]
    state: GroupState
    rates: Rates
    account: Account
    coming: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.coming = np.empty((0, len(self.places)))

    def step(self, coder: GroupCoder, files: Files, part: Batch) -> None:
        """Code some rows of the group, write what comes out."""
        values = part.values[:, self.places]
        account = self.account
        account.text_bytes += int(part.sizes.sum())
        account.json_bytes += _as_messages(self.name, part.times, values)
        rated = self.rates.turn_values(account.channels, values, part.times.tolist())
        block = Block(
            channels=account.channels,
            settled=True,
            values=rated,
            times=part.times,
            offsets=part.offsets,
        )
        self.coming = np.concatenate((self.coming, rated))
        self.state, outputs = coder.step(self.state, block)
        for output in outputs:
            self._take(files, output)

    def finish(self, coder: GroupCoder, files: Files) -> None:
        """Code what is left of a frame at the end of the file."""
        self.state, outputs = coder.finish(self.state)
        for output in outputs:
            self._take(files, output)

    def _take(self, files: Files, output: Output) -> None:
        account = self.account
        if isinstance(output, Codes):
            account.coded(output, self.coming[: output.readings])
            self.coming = self.coming[output.readings :]
            lines = encode_codes(self.name, PARTITION, output, "reading")
            account.code_bytes += files.codes(lines)
        elif isinstance(output, Published):
            account.versions += output.version.number > 0
            line = encode_dictionary(self.name, PARTITION, output)
            account.dictionary_bytes += files.dictionary(line)
        elif output.kind == "accepted":
            account.mean = 0.0


def _run(
    table: Table, coder: GroupCoder, folder: Path, counters: Collection[str]
) -> dict[str, GroupRun]:
    """Take every row of the file through its group's step, in order."""
    runs = {
        name: GroupRun(
            name,
            list(extent.channels),
            coder.start(),
            Rates(counters.__contains__, coder.max_ahead),
            Account(tuple(table.channels[i] for i in extent.channels), extent.rows),
        )
        for name, extent in table.groups.items()
    }
    with ExitStack() as opened:
        files = Files(folder, opened)
        tell = opened.enter_context(progress(table.path.name, "rows"))
        rows = sum(extent.rows for extent in table.groups.values()) + table.unreadable
        done = 0
        for batch in table.batches():
            for name, part in _by_group(batch):
                runs[name].step(coder, files, part)
            for row in batch.bad:
                files.dead_letter(row)
            done += len(batch.groups) + len(batch.bad)
            tell(done, rows)
        for run in runs.values():
            run.finish(coder, files)
    return runs


def _by_group(batch: Batch) -> Iterator[tuple[str, Batch]]:
    places: dict[str, list[int]] = defaultdict(list)
    for place, group in enumerate(batch.groups):
        places[group].append(place)
    for group, rows in places.items():
        yield group, Batch(
            [group] * len(rows), batch.offsets[rows], batch.times[rows], batch.sizes[rows],
            batch.values[rows], [],
        )  # fmt: skip


def _as_messages(group: str, times: Floats, values: Floats) -> int:
    """Bytes of the readings as the messages that a pipeline would read."""
    encode = msgspec.json.Encoder().encode
    return sum(
        len(encode({"group": group, "ts": time, "values": row}))
        for time, row in zip(times.tolist(), values.tolist(), strict=True)
    )


# What is told


def _summary(table: Table, rule: Rule, runs: dict[str, GroupRun]) -> dict[str, Any]:
    return {
        "file": str(table.path),
        "time_column": table.time,
        "time_format": table.style,
        "left_out": table.left_out,
        "tolerance": rule.tolerance if isinstance(rule, Tolerance) else None,
        "atoms": rule.most if isinstance(rule, Atoms) else None,
        "dead_letters": table.unreadable,
        "groups": {name: _entry(run.account) for name, run in runs.items()},
    }


def _entry(account: Account) -> dict[str, Any]:
    highest = account.highest
    return {
        "readings": account.readings,
        "readings_version_0": account.exact,
        "channels": account.channels,
        "versions": account.versions,
        "density": account.density,
        "error": account.error,
        "channel_errors": account.channel_errors,
        "surprise": account.surprise,
        "surprised_readings": account.surprised,
        "highest_surprise": highest and highest._asdict() | {"time": iso_time(highest.time)},
        "bytes_in": {"text": account.text_bytes, "json": account.json_bytes},
        "bytes_out": {"codes": account.code_bytes, "dictionaries": account.dictionary_bytes},
    }


def _tell(
    console: Console, table: Table, coder: GroupCoder, runs: dict[str, GroupRun], folder: Path
) -> None:
    console.print(_columns_told(table, coder.window), soft_wrap=True)
    accounts = {name: run.account for name, run in runs.items()}
    if accounts:
        console.print("", _grid(table, accounts), sep="\n", end="\n\n")
    console.print(_figures_told(coder, accounts.values()), soft_wrap=True)
    console.print(_files_told(table, folder), soft_wrap=True)


def _columns_told(table: Table, window: int) -> Text:
    """How the columns were understood, and what else one might ask for."""
    time = "the row number, in seconds: no column holds times"
    if table.time is not None:
        time = f"{table.time!r} ({table.style}, UTC where it names no zone)"
    lines = [f"channels: {', '.join(table.channels)}", f"time: {time}"]
    if window > 1:
        lines.append(f"frame: {window} readings, at most {window * len(table.channels)} numbers")
    if table.left_out:
        told = (f"{name!r} ({what})" for name, what in table.left_out.items())
        lines.append(f"left out: {', '.join(told)}")
    if table.perhaps_groups:
        name = table.perhaps_groups[0]
        lines.append(
            f"one group: --group-column {name!r} would give each {name!r} its own dictionary"
        )
    return Text("\n".join(lines))


def _grid(table: Table, accounts: dict[str, Account]) -> Grid:
    """A line a group; of many groups those that were most surprised."""
    grid = Grid(box=SIMPLE_HEAD, show_edge=False, header_style="bold", pad_edge=False, padding=0)
    grid.add_column("group", max_width=28)  # the only one that gives way: the rest is not wrapped
    for name in ("readings", "versions", "density", "error"):
        grid.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    grid.add_column("surprise", no_wrap=True, min_width=10)
    grid.add_column("highest at", no_wrap=True, min_width=21)
    shown = list(accounts)
    if len(shown) > SHOWN:
        shown = sorted(shown, key=lambda name: -_height(accounts[name]))[:SHOWN]
    for name in shown:
        account = accounts[name]
        error = "exact" if account.error is None else f"{account.error:.3f}"
        grid.add_row(
            Text(name, no_wrap=True, overflow="ellipsis"),
            f"{account.readings:,}", str(account.versions), f"{account.density:.2f}", error,
            _spark(account.surprise), _highest_told(table, account),
        )  # fmt: skip
    if len(accounts) > len(shown):
        grid.caption = f"and {len(accounts) - len(shown)} calmer groups, see summary.json"
    return grid


def _height(account: Account) -> float:
    return account.highest.surprise if account.highest else 0.0


def _highest_told(table: Table, account: Account) -> Text:
    highest = account.highest
    if highest is None:
        return Text("too few readings", style="dim")
    place = f"row {highest.offset:,}"
    if table.time is not None:
        place = iso_time(highest.time)[:MINUTES].replace("T", " ")
    style = "bold red" if account.surprised else ""
    return Text.assemble((f"{highest.surprise:.2f}", style), f" {place}")


def _spark(surprises: list[float | None]) -> Text:
    spark = Text()
    for surprise in surprises:
        if surprise is None:
            spark.append("·", style="dim")
            continue
        bar = BARS[int(min(surprise / 2, 1) * (len(BARS) - 1))]
        spark.append(bar, style="bold red" if surprise > 1 else "blue")
    return spark


def _figures_told(coder: GroupCoder, accounts: Collection[Account]) -> Text:
    what = "reading" if coder.window == 1 else "frame"
    exact = isinstance(coder.rule, Tolerance)
    promised = f", at most {coder.rule.tolerance:g} a {what}" if exact else ""
    text, messages, codes, dictionaries = (
        sum(getattr(account, name) for account in accounts)
        for name in ("text_bytes", "json_bytes", "code_bytes", "dictionary_bytes")
    )
    return Text.assemble(
        ("density", "bold"), "   numbers kept for each that came\n",
        ("error", "bold"), f"     RMS, in standard deviations of the channels{promised}\n",
        ("surprise", "bold"), "  in ten parts of the readings; above 1: unlike the group's past\n",
        ("highest", "bold"), "   running mean of the surprise, and at which reading\n",
        ("in", "bold"), f"        {text:,} bytes of text, {messages:,} as JSON messages\n",
        ("out", "bold"), f"       {codes:,} bytes of codes, {dictionaries:,} of dictionaries",
    )  # fmt: skip


def _files_told(table: Table, folder: Path) -> Text:
    unreadable = f"{table.unreadable:,} rows" if table.unreadable != 1 else "1 row"
    return Text.assemble(
        f"\n{folder}: codes.jsonl, dictionaries.jsonl, summary.json, dead-letters.jsonl ",
        (f"({unreadable} that could not be read)", "bold red" if table.unreadable else ""),
        "\nback to readings: ",
        (
            f"oodl decode --codes {folder / 'codes.jsonl'} "
            f"--dictionaries {folder / 'dictionaries.jsonl'} --out readings.csv",
            "bold",
        ),
    )
