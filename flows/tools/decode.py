"""``oodl decode``: codes back to readings, from files or from a broker."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO

from kafka.errors import KafkaError
from rich.console import Console

from flows import access
from flows.kafka import BrokerError, admit, client_options
from flows.settings import Settings, load
from flows.tools.follow import Follower
from flows.tools.output import standard_output
from flows.tools.progress import Tell, progress
from flows.tools.rebuild import Outcome, Rebuilder
from flows.wire import WireError
from oodl.errors import MissingVersionError, OodlError, ValueFault

__all__ = ["decode"]

GZIP = b"\x1f\x8b"
NAMED = 3  # missing dictionaries that are named


class MissingFileError(OodlError, FileNotFoundError):
    """A file that codes or dictionaries should come from is not there."""


def decode(
    *,
    codes: Path | None = None,
    dictionaries: Path | None = None,
    out: Path | None = None,
    group: str = "*",
    follow: bool = False,
    until_end: bool = False,
    settings: Path | None = None,
) -> None:
    """Rebuild readings from codes, as a CSV file: group, time, partition, offset, then channels.

    A code is decoded with the dictionary it names or not at all; then the exit code is not 0.
    Repeats are told by their position and left out. Until all is decoded, and after a failure, the
    rows stand beside the file that is asked for, with ".part" after its name.

    Parameters
    ----------
    codes
        File of codes, one JSON message a line; .gz is read as it is.
    dictionaries
        File of dictionaries, likewise.
    out
        CSV file to write; by default standard output.
    group
        Only groups whose names fit this pattern; the rows then have their channels alone.
    follow
        Read the topics of a broker instead of files, until Ctrl-C.
    until_end
        With --follow: end where the codes end now.
    settings
        With --follow: TOML file that says where the broker is and what the topics are called.

    Examples
    --------
    What `oodl try` has written, back to readings:
    $ oodl decode --codes pumps-oodl/codes.jsonl --dictionaries pumps-oodl/dictionaries.jsonl
    All that is on the broker now, into a file:
    $ oodl decode --follow --until-end --settings oodl.toml --out readings.csv
    One group alone, and what comes to it from now on:
    $ oodl decode --follow --group press-1 --settings oodl.toml
    """
    if follow == (codes is not None or dictionaries is not None):
        msg = "decode: expected --codes and --dictionaries, or --follow, got {}; name one way"
        raise ValueFault(msg.format("both" if follow else "neither"))
    if not follow and (until_end or settings is not None):
        given = "--until-end" if until_end else "--settings"
        msg = f"decode: {given}: expected --follow with it, got files; leave it out"
        raise ValueFault(msg)
    files = [] if follow else [_file("dictionaries", dictionaries), _file("codes", codes)]
    _check_own(out, files if settings is None else [settings])
    with _opened(out) as file:
        rebuilder = Rebuilder(file, group)
        if follow:
            _follow(rebuilder, file, load(settings), until_end=until_end)
        else:
            _decode_files(rebuilder, file, *files)
    _tell(rebuilder.outcome, out)
    _check_group(group, rebuilder)


def _file(thing: str, path: Path | None) -> Path:
    if path is None or not path.is_file():
        got = "no name" if path is None else f"no file {path}"
        msg = f"{thing}: expected a file of JSON lines, got {got}; `oodl try` writes one"
        raise MissingFileError(msg)
    return path


def _check_own(out: Path | None, read: Iterable[Path]) -> None:
    for path in read:
        if out is not None and out.exists() and path.exists() and out.samefile(path):
            msg = f"--out: expected a file of its own, got {out}, which is read; name another"
            raise ValueFault(msg)


def _opened(out: Path | None) -> AbstractContextManager[IO[str]]:
    if out is None:
        return standard_output()
    if out.exists() and not out.is_file():  # a pipe or a device, which holds nothing to be kept
        return out.open("w", encoding="utf-8", newline="")
    return _complete(out.resolve())


@contextmanager
def _complete(out: Path) -> Iterator[IO[str]]:
    """Open a file that takes its name when it is complete; one without a row is no remainder."""
    part = out.with_name(f"{out.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        try:
            yield file
        except BaseException:
            if not file.tell():
                part.unlink()
            raise
    part.replace(out)


def _decode_files(rebuilder: Rebuilder, file: IO[str], dictionaries: Path, codes: Path) -> None:
    with progress(dictionaries.name, "bytes", beside=file) as tell:
        for place, line in _lines(dictionaries, tell):
            rebuilder.dictionary(line, place)
    with progress(codes.name, "bytes", beside=file) as tell:
        for place, line in _lines(codes, tell):
            for code in rebuilder.codes(line, place):
                rebuilder.write(code, place)


def _lines(path: Path, tell: Tell) -> Iterator[tuple[str, bytes]]:
    """Each line that is not empty, and where it stands.

    Raises
    ------
    WireError
        If the file is packed and broken.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as raw:
            for number, line in enumerate(_unpacked(raw), start=1):
                tell(raw.tell(), size)
                if line.strip():
                    yield f"{path}, line {number}", line
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        msg = f"{path}: expected a whole gzip file, got: {problem}; pack it anew"
        raise WireError(msg) from problem


def _unpacked(file: BufferedReader) -> Iterable[bytes]:
    packed = file.peek(len(GZIP))[: len(GZIP)] == GZIP
    return gzip.open(file) if packed else file


def _follow(rebuilder: Rebuilder, file: IO[str], settings: Settings, *, until_end: bool) -> None:
    """Decode the topics' messages, each row out at once, until the end or Ctrl-C.

    Raises
    ------
    BrokerError
        If the broker does not answer.
    """
    admit(settings.kafka, access.to_decode(settings))
    try:
        with (
            Follower(rebuilder, client_options(settings), settings.topics) as follower,
            progress(settings.topics.codes, "messages", beside=file) as tell,
        ):
            done = 0
            for messages in follower.read(until_end=until_end):
                file.flush()
                done += messages
                tell(done, max(done, follower.messages))
    except KeyboardInterrupt:
        return
    except KafkaError as problem:
        place = settings.kafka.bootstrap
        msg = f"kafka.bootstrap: expected a broker at {place} to answer, got {problem!r}; start it"
        raise BrokerError(msg) from problem


def _check_group(group: str, rebuilder: Rebuilder) -> None:
    """Refuse a pattern that fits no group at all: it is misspelt.

    Raises
    ------
    ValueFault
        If it does not.
    """
    if rebuilder.passed_over and not rebuilder.outcome.readings:
        some = ", ".join(sorted(rebuilder.passed_over))
        msg = f"--group: expected groups that have codes, got {group!r}; there are {some}"
        raise ValueFault(msg)


def _tell(outcome: Outcome, out: Path | None) -> None:
    """Say what was written; what could not be is an error.

    Raises
    ------
    MissingVersionError
        If codes name dictionaries that are not there.
    WireError
        If messages are malformed.
    """
    told = Console(stderr=True, highlight=False)
    for problem in outcome.problems:
        told.print(problem, markup=False, soft_wrap=True)
    repeats = f", {outcome.repeats:,} repeats left out" if outcome.repeats else ""
    counted = f"{out or 'decoded'}: {outcome.readings:,} readings{repeats}"
    told.print(counted, markup=False, soft_wrap=True)
    malformed = f"{outcome.malformed:,} malformed messages" if outcome.malformed else ""
    if outcome.missing:
        named = [f"{group}/{name}" for group, name in list(outcome.missing)[:NAMED]]
        more = f" and {len(outcome.missing) - NAMED} more" if len(outcome.missing) > NAMED else ""
        msg = (
            f"{outcome.missing.total():,} codes not decoded: expected dictionaries "
            f"{', '.join(named)}{more}, got none of that name; add the dictionaries they were "
            "coded with"
        )
        raise MissingVersionError(f"{msg}; also {malformed}" if malformed else msg)
    if malformed:
        msg = f"{malformed} left out: expected codes and dictionaries, got other bytes; see above"
        raise WireError(msg)
